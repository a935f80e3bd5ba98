"""ConfigMap `loco-health`, in which `discover` publishes the fleet's verdicts."""

from __future__ import annotations

from typing import Any

from api.kubectl.program import Kubectl
from jobs.store.snapshot import FleetSnapshot, decode

SNAPSHOT = "loco-health"
_FILE = "snapshot.json"


def read_snapshot(kubectl: Kubectl) -> FleetSnapshot:
    """Return the snapshot. Raises: KubectlFailed, SnapshotInvalid, KeyError, TypeError, AttributeError."""
    data: dict[str, Any] = kubectl.get(f"{kubectl.core}/configmaps/{SNAPSHOT}")["data"]
    return decode(data[_FILE].encode())
