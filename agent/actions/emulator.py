"""`restart-qemu`: have QEMU end, politely first; its container or supervisor starts the next one."""

from __future__ import annotations

import signal

import psutil

from agent.actions.act import ActFailed, CannotAct, Done, Work
from agent.actions.audio import make_ready
from agent.actions.scene import Scene
from agent.actions.signals import Handle, hold
from agent.qmp import QmpError
from agent.report import HealthReport

# architecture section 6.
_QUIT_SECONDS = 3.0
# chosen: QEMU was seen to end within 0.2 s of SIGTERM; one that hangs gets no more than a moment.
_TERM_SECONDS = 2.0


def why_not(scene: Scene, report: HealthReport) -> str | None:
    """Return why QEMU can't be restarted here."""
    if scene.process.current is None and (report.qemu is None or report.qemu.run_state is None):
        return f"no QEMU runs ({scene.process.missing})"
    return None


def perform(scene: Scene, work: Work) -> Done:
    """End the QEMU that the last round saw; a later one is left alone. Raises: CannotAct, ActFailed."""
    make_ready(scene, work)
    process = scene.process.current
    if process is None:
        return _quit_unseen(scene, work)
    with hold(process) as handle:
        if handle is None:
            raise CannotAct("the QEMU of the last report has ended by itself")
        # Before it ends, as the next one may be seen at once. Its container may end PulseAudio with it.
        scene.planned.expect("qemu", "audio")
        held = _end(scene, process, handle, work)
    return Done(held, "that QEMU has ended" if held else "QEMU is still there after SIGKILL")


def _end(scene: Scene, process: psutil.Process, handle: Handle, work: Work) -> bool:
    """Ask, then tell, then kill; return whether it is gone."""
    if _is_asked(scene, process):
        work.note("quit")
        if handle.ends_within(min(_QUIT_SECONDS, work.seconds_left)):
            return True
    handle.send(signal.SIGTERM)
    handle.send(signal.SIGCONT)  # a stopped process gets nothing else before it goes on
    work.note(f"SIGTERM and SIGCONT to process {handle.pid}")
    if handle.ends_within(min(_TERM_SECONDS, work.seconds_left)):
        return True
    handle.send(signal.SIGKILL)
    work.note(f"SIGKILL to process {handle.pid}")
    return handle.ends_within(work.seconds_left)


def _is_asked(scene: Scene, process: psutil.Process) -> bool:
    """Send QMP's quit to a QEMU that can answer, and tell whether it was taken."""
    try:
        if scene.qmp is None or process.status() in {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP}:
            return False
        scene.qmp.new_round()
        scene.qmp.execute("quit")
    except (QmpError, psutil.NoSuchProcess):
        return False
    return True


def _quit_unseen(scene: Scene, work: Work) -> Done:
    """Have a QEMU quit whose process can't be seen from this container."""
    if scene.qmp is None:
        raise CannotAct(f"no QEMU runs ({scene.process.missing})")
    scene.planned.expect("qemu", "audio")
    scene.qmp.new_round()
    try:
        scene.qmp.execute("quit")
    except QmpError as error:
        raise ActFailed(f"QMP quit: {error}; its process can't be seen from here, so no signal can be sent") from error
    work.note("quit")
    held = work.until(lambda: not _answers(scene))
    return Done(held, "QEMU has hung up" if held else "QEMU still answers")


def _answers(scene: Scene) -> bool:
    assert scene.qmp is not None  # noqa: S101 - the caller has asked it
    scene.qmp.new_round()
    try:
        scene.qmp.execute("query-status")
    except QmpError:
        return False
    return True
