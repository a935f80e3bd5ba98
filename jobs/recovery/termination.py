"""What a recovery says at its end: one line for people and for `kubectl describe`, the same as the ledger."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from jobs.recovery.recoverer import Result

# Kubernetes docs, "Determine the Reason for Pod Failure": the default terminationMessagePath, and its limit.
PATH = Path("/dev/termination-log")
_MAX_BYTES = 4096

_MAX_DETAIL_CHARACTERS = 1000


def line_of(result: Result, public_id: str) -> str:
    """Return the result as one line of JSON."""
    attempt = result.attempt
    said: dict[str, Any] = {
        "instance": public_id,
        "attempt": attempt.id if attempt else None,
        "action": attempt.action.value if attempt else None,
        "outcome": result.outcome.value,
        "detail": result.detail[:_MAX_DETAIL_CHARACTERS],
    }
    return msgspec.json.encode(said).decode()


def tell(line: str, path: Path = PATH) -> None:
    """Leave the line where kubelet takes it from; elsewhere there is no such file."""
    with suppress(OSError):
        if path.is_file():
            path.write_bytes(line.encode()[:_MAX_BYTES])
