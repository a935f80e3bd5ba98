"""What only the agent can see of its instance, for whoever asks later what was wrong: read-only, bounded, no secrets.

Names, states and counters; no command lines, no environment, no file names, no contents.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from agent.actions.scene import Scene
from agent.checks.audio import state_of
from agent.netlink import read_addresses, read_links
from agent.qmp import QmpError
from agent.report import rfc3339

# chosen: it costs a handful of questions to the kernel and QEMU, and anybody may ask.
_PAUSE_SECONDS = 1.0

# chosen: an instance has 4 interfaces, 2 streams and 6 threads; in all the answer stays below 64 KiB.
_MAX_ROWS = 64
_MAX_TEXT_CHARACTERS = 100


class Evidence:
    """The latest evidence, gathered again at most once a second."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._lock = threading.Lock()
        self._body, self._gathered_at = b"", -_PAUSE_SECONDS

    def body(self) -> bytes:
        """Return it as JSON."""
        with self._lock:
            if time.monotonic() - self._gathered_at >= _PAUSE_SECONDS:
                self._body = msgspec.json.encode(gather(self._scene))
                self._gathered_at = time.monotonic()
            return self._body


def gather(scene: Scene) -> dict[str, Any]:
    """Return each part, or `{"error": ...}` where it can't be had."""
    report = scene.report()
    return {
        "taken_at": rfc3339(time.time()),
        "agent": {"boot_id": report.agent.boot_id, "sequence": report.agent.sequence} if report.agent else None,
        "interfaces": _tried(lambda: _interfaces(scene)),
        "bridge_when_well": scene.network.known_bridge,
        "audio": _tried(lambda: _audio(scene)),
        "qmp": {
            "status": _asked(scene, "query-status", lambda answer: answer),
            "drives": _asked(scene, "query-block", _drives),
            "events": report.qemu.events if report.qemu else [],
        },
        "qemu_threads": _tried(lambda: _threads(scene)),
    }


def _interfaces(scene: Scene) -> list[dict[str, Any]]:
    links = read_links()
    names = {link.index: name for name, link in links.items()}
    ours = {scene.settings.bridge, scene.settings.tap}
    return [
        {
            "name": name,
            **dataclasses.asdict(link),
            "in_bridge": names.get(link.master) if link.master else None,
            "addresses": read_addresses(link.index) if name in ours else None,
        }
        for name, link in list(links.items())[:_MAX_ROWS]
    ]


def _audio(scene: Scene) -> dict[str, Any]:
    """Return the sinks and streams of the last round."""
    sinks, streams = scene.audio.listing
    names = {sink.index: sink.name for sink in sinks}
    return {
        "sinks": [{**_heard(sink), "state": state_of(sink)} for sink in sinks[:_MAX_ROWS]],
        "streams": [
            {
                **_heard(stream),
                "program": stream.proplist.get("application.process.binary", "")[:_MAX_TEXT_CHARACTERS],
                "sink": names.get(stream.sink),
            }
            for stream in streams[:_MAX_ROWS]
        ],
    }


def _heard(subject: Any) -> dict[str, Any]:  # noqa: ANN401 - pulsectl has no types
    name = subject.name[:_MAX_TEXT_CHARACTERS]
    return {"name": name, "muted": bool(subject.mute), "volume": round(subject.volume.value_flat, 3)}


def _drives(answer: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
    return [{"device": drive.get("device"), "io_status": drive.get("io-status")} for drive in answer[:_MAX_ROWS]]


def _threads(scene: Scene) -> list[dict[str, str]]:
    """Return what each of QEMU's threads does, and where in the kernel it waits: proc(5), stat and wchan."""
    process = scene.process.current
    if process is None:
        raise FileNotFoundError(scene.process.missing)
    rows = []
    for task in sorted(Path(f"/proc/{process.pid}/task").iterdir())[:_MAX_ROWS]:
        head, _, tail = (task / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
        waits = (task / "wchan").read_text(encoding="ascii", errors="replace")
        rows.append({"name": head.partition("(")[2], "state": tail.split()[0], "waits_in": waits})
    return rows


def _asked(scene: Scene, command: str, kept: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - JSON
    """Return what is kept of QEMU's answer; a monitor that failed in this round isn't asked again."""
    if scene.qmp is None:
        return {"error": "no QMP socket is configured"}
    try:
        return kept(scene.qmp.execute(command))
    except QmpError as error:
        return {"error": str(error)}


def _tried(look: Callable[[], Any]) -> Any:  # noqa: ANN401 - JSON
    try:
        return look()
    except OSError as error:
        return {"error": error.strerror or str(error)}
