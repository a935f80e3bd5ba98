"""The fleet's switches as files: ConfigMap `loco-control` mounted, or a plain folder of the same names."""

from __future__ import annotations

from pathlib import Path

from jobs.health.control import SWITCHES, Stop, stop_of
from jobs.health.recovery import Hold

# chosen: an instant and a reason; a longer file is none of these.
_MAX_BYTES = 4096


def folder_of(control: Path | None, store: Path) -> Path:
    """Return the folder of switches: the one that is named, else the one that all who share a store find beside it."""
    return control or store.absolute().parent / "control"


def stop_in(folder: Path | None, now_ms: int) -> Stop | None:
    """Return what the switches in a folder forbid now; a folder or file that isn't there forbids nothing.

    One that can't be read stops all acts: acts fail closed.
    """
    if folder is None:
        return None
    try:
        return stop_of(_said_in(folder), now_ms)
    except (OSError, UnicodeDecodeError) as error:
        return Stop(Hold.KILL_SWITCH, f"the switches in {folder} can't be read: {error}")


def _said_in(folder: Path) -> dict[str, str]:
    """Return what the folder's files say; of one that is no switch the name alone."""
    try:
        names = [file.name for file in folder.iterdir()]
    except FileNotFoundError:
        return {}
    # What begins with a dot is kubelet's or an editor's.
    found = {name: _read(folder / name) if name in SWITCHES else "" for name in names if not name.startswith(".")}
    return {name: text for name, text in found.items() if text is not None}


def _read(path: Path) -> str | None:
    """Return a switch's text, None where it isn't set."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode()
    except FileNotFoundError:
        return None
