"""Evidence bundles as they were kept before an act."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from jobs.health.recovery import Attempt
from jobs.store.evidence import read_bundle

_any = msgspec.json.Decoder(msgspec.Raw)


def bundle(attempt: Attempt, store: Path) -> dict[str, Any]:
    """Return one attempt's bundle; null with the problem when it can't be told any more."""
    problem = None
    found = None
    try:
        body = read_bundle(store, attempt.id)
        found = None if body is None else _any.decode(body.decode())  # msgspec doesn't look into the strings
        problem = "it was deleted: bundles are kept for 7 days, and 256 MiB of them" if body is None else None
    except OSError as error:
        problem = f"it can't be read: {error.strerror or error}"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        problem = "it is damaged"
    return {"attempt": attempt.id, "action": attempt.action, "bundle": found, "problem": problem}
