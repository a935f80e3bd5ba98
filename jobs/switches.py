"""The fleet's switches as files: ConfigMap `loco-control` mounted, or a plain folder of the same names."""

from __future__ import annotations

from pathlib import Path

from jobs.health.control import PAUSE_REASON, PAUSE_UNTIL, RECOVERY, Stop, stop_of
from jobs.health.recovery import Hold

# chosen: an instant and a reason; a longer file is none of these.
_MAX_BYTES = 4096


def stop_in(folder: Path | None, now_ms: int) -> Stop | None:
    """Return what the switches in a folder forbid now; a folder or file that isn't there forbids nothing.

    One that can't be read stops all acts: acts fail closed.
    """
    if folder is None:
        return None
    try:
        read = {name: _read(folder / name) for name in (RECOVERY, PAUSE_UNTIL, PAUSE_REASON)}
    except (OSError, UnicodeDecodeError) as error:
        return Stop(Hold.KILL_SWITCH, f"the switches in {folder} can't be read: {error}")
    return stop_of({name: text for name, text in read.items() if text is not None}, now_ms)


def _read(path: Path) -> str | None:
    """Return a switch's text, None where it isn't set."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode()
    except FileNotFoundError:
        return None
