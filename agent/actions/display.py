"""`reset-display`: end the VNC bridge (x11vnc and its like); its supervisor starts the next one."""

from __future__ import annotations

import signal
from fnmatch import fnmatchcase

import psutil

from agent.actions.act import CannotAct, Done, Work
from agent.actions.scene import Scene
from agent.actions.signals import hold
from agent.checks.video import is_listening
from agent.report import HealthReport

# chosen: x11vnc was seen to leave at once.
_TERM_SECONDS = 2.0


def why_not(scene: Scene, _report: HealthReport) -> str | None:
    """Return why the display can't be reset here."""
    if not scene.settings.display_pattern:
        return "no VNC bridge is named (LOCO_DISPLAY_PATTERN); where QEMU serves VNC itself there is none"
    return None


def perform(scene: Scene, work: Work) -> Done:
    """End every process of that name, and wait for one that serves again. Raises: CannotAct, ActFailed."""
    pattern, port = scene.settings.display_pattern, scene.settings.vnc_address[1]
    before = _processes(pattern)
    if not before:
        raise CannotAct(f"no process matches {pattern}, or none is visible from here")
    for process in before:
        _end(process, work)

    def serves_again() -> bool:
        return any(process not in before for process in _processes(pattern)) and is_listening(port)

    held = work.until(serves_again)
    detail = f"a new one listens on port {port}" if held else f"nothing listens on port {port} again"
    return Done(held, detail)


def _end(process: psutil.Process, work: Work) -> None:
    with hold(process) as handle:
        if handle is None:
            return
        handle.send(signal.SIGTERM)
        handle.send(signal.SIGCONT)
        work.note(f"SIGTERM to process {handle.pid}")
        if not handle.ends_within(min(_TERM_SECONDS, work.seconds_left)):
            handle.send(signal.SIGKILL)
            work.note(f"SIGKILL to process {handle.pid}")


def _processes(pattern: str) -> list[psutil.Process]:
    """Return those whose executable has that name; a zombie serves nobody."""
    found = []
    for process in psutil.process_iter():
        try:
            if fnmatchcase(process.name(), pattern) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found
