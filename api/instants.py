"""Times between the store's Unix milliseconds and the wire's RFC 3339."""

from __future__ import annotations

import time
from datetime import datetime

from agent import report


def now_ms() -> int:
    """Return the wall clock as Unix milliseconds."""
    return time.time_ns() // 1_000_000


def rfc3339(at_ms: int) -> str:
    """Return `2026-11-24T20:07:43.125Z`."""
    return report.rfc3339(at_ms / 1000)


def rfc3339_or_none(at_ms: int | None) -> str | None:
    """Return the time as text, None where nothing happened yet."""
    return None if at_ms is None else rfc3339(at_ms)


def parse_rfc3339(text: str) -> int:
    """Return Unix milliseconds.

    Raises: ValueError for anything but a date, a time and an offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    return round(moment.timestamp() * 1000)
