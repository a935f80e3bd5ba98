"""`reset-guest`: wake a QEMU that a signal stopped; press the guest's reset button; let it run."""

from __future__ import annotations

import signal

import psutil

from agent.actions.act import ActFailed, CannotAct, Done, Work
from agent.actions.monitor import ask, run_state
from agent.actions.scene import Scene
from agent.actions.signals import hold
from agent.report import HealthReport

_STOPPED = frozenset({psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP})


def why_not(scene: Scene, _report: HealthReport) -> str | None:
    """Return why the guest can't be reset here."""
    return None if scene.qmp else "no QMP socket is configured"


def perform(scene: Scene, work: Work) -> Done:
    """Reset the guest. Raises: CannotAct, ActFailed."""
    if scene.qmp is None:
        raise CannotAct("no QMP socket is configured")
    _wake(scene.process.current, work)
    with scene.qmp.watch() as events:
        ask(scene.qmp, work, "system_reset")
        work.note("system_reset")
        # A guest that isn't running is reset as well, and then waits in state prelaunch.
        if run_state(scene.qmp, work) != "running":
            ask(scene.qmp, work, "cont")
            work.note("cont")

        def is_over() -> bool:
            is_running = scene.qmp is not None and run_state(scene.qmp, work) == "running"
            return is_running and any(event["event"] == "RESET" for event in events)

        held = work.until(is_over)
    return Done(held, "the guest was reset and runs" if held else "QEMU told of no reset, or the guest doesn't run")


def _wake(process: psutil.Process | None, work: Work) -> None:
    """Let a QEMU go on that was stopped by a signal: it can't answer before. Raises: ActFailed."""
    try:
        if process is None or process.status() not in _STOPPED:
            return
        with hold(process) as handle:
            if handle:
                handle.send(signal.SIGCONT)
                work.note(f"SIGCONT to QEMU, process {handle.pid}")
    except psutil.NoSuchProcess as error:
        raise ActFailed("QEMU has just ended") from error
