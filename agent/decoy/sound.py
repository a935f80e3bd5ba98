"""A decoy's PulseAudio from outside: its sink and the stream that QEMU plays into it."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from agent.decoy.errors import DecoyError
from agent.decoy.folder import Folder
from agent.decoy.programs import SINK
from agent.decoy.waiting import until_it_works

# chosen: a local PulseAudio answers in milliseconds; one that is stopped never does.
_ANSWER_SECONDS = 3.0

# chosen: PulseAudio was seen to answer 0.1 s after its start.
_START_SECONDS = 5.0


def wait_for_server(folder: Folder) -> None:
    """Wait until PulseAudio answers. Raises: DecoyError when it doesn't in the time of a start."""
    until_it_works(lambda: _pactl(folder, "info"), seconds=_START_SECONDS)


def mute(folder: Folder) -> None:
    """Mute the sink."""
    _pactl(folder, "set-sink-mute", SINK, "1")


def make_audible(folder: Folder) -> None:
    """Let the sink be heard at full volume."""
    _pactl(folder, "set-sink-mute", SINK, "0")
    _pactl(folder, "set-sink-volume", SINK, "100%")
    _pactl(folder, "suspend-sink", SINK, "0")


def has_sink(folder: Folder) -> bool:
    """Tell whether the sink is there."""
    return any(row["name"] == SINK for row in _list(folder, "sinks"))


def make_sink(folder: Folder) -> None:
    """Make the sink again."""
    _pactl(folder, "load-module", "module-null-sink", f"sink_name={SINK}")


def is_audible(folder: Folder) -> bool:
    """Tell whether the sink is neither muted nor suspended nor turned down to nothing."""
    (sink,) = (row for row in _list(folder, "sinks") if row["name"] == SINK)
    is_loud = any(channel["value"] > 0 for channel in sink["volume"].values())
    return is_loud and not sink["mute"] and sink["state"] != "SUSPENDED"


def has_stream(folder: Folder, pid: int) -> bool:
    """Tell whether a process plays into the sink."""
    players = {row["properties"].get("application.process.id") for row in _list(folder, "sink-inputs")}
    return str(pid) in players


def _list(folder: Folder, kind: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(_pactl(folder, "--format=json", "list", kind))
    return rows


def _pactl(folder: Folder, *arguments: str) -> str:
    """Run `pactl`, which, unlike a client inside this process, can be given up when PulseAudio hangs."""
    environment = {**os.environ, "PULSE_SERVER": folder.pulse_server, "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            ["pactl", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=_ANSWER_SECONDS
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise DecoyError(f"PulseAudio at {folder.pulse} does not do as asked: {error}") from error
    if done.returncode:
        raise DecoyError(f"PulseAudio at {folder.pulse} does not do as asked: {done.stderr.strip()}")
    return done.stdout
