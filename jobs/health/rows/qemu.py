"""Rows about the emulator: its process, its monitor socket, and the guest's run state."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.health.history import Observation, pid_of
from jobs.health.model import Evidence, FailureClass, Severity
from jobs.health.rows.causes import CRASHED, DEAD, HUNG, PLANNED
from jobs.health.rule import Rule, View

# Linux man proc_pid_stat(5): Z is a zombie, X is dead; both execute nothing any more.
_GONE_STATES = (None, "Z", "X")
# The same page: T is stopped by a signal, t by a debugger.
_SIGNALLED_STATES = ("T", "t")

# QEMU qapi/run-state.json, RunState: somebody stopped the guest; moving it or its memory elsewhere stops it too.
_PAUSED_STATES = ("paused", "prelaunch", "debug")
_MOVING_STATES = ("inmigrate", "finish-migrate", "postmigrate", "save-vm", "restore-vm")
_CRASHED_STATES = ("guest-panicked", "io-error", "internal-error", "watchdog", "shutdown")
_KNOWN_STATES = frozenset({None, "running", "suspended", *_PAUSED_STATES, *_MOVING_STATES, *_CRASHED_STATES})


def _is_dead(view: View) -> bool:
    """Tell whether no QEMU executes: neither kernel nor QMP shows one, and the agent calls it unhealthy.

    An agent that may not see processes calls it nothing; there QMP and VNC must both be gone.
    """
    qemu = view.qemu
    if qemu.process_state not in _GONE_STATES or qemu.run_state is not None:
        return False
    if view.report.qemu_healthy is None:
        return view.video.vnc_available is False and qemu.qmp_error is not None and not _is_silent(view)
    return not view.report.qemu_healthy


def _is_stuck(view: View) -> bool:
    """Tell whether the process executes nothing; D alone is every disk access, so there QMP must be silent too."""
    state = view.qemu.process_state
    return state in _SIGNALLED_STATES or (state == "D" and view.qemu.qmp_error is not None)


def _is_silent(view: View) -> bool:
    """Tell whether QMP was asked and stayed silent; a refusal proves nothing, as the socket's backlog is one."""
    qemu = view.qemu
    return qemu.run_state is None and qemu.qmp_error is not None and qemu.qmp_error.startswith("timeout")


def _is_unhealthy_otherwise(view: View) -> bool:
    """Tell whether the agent calls QEMU unhealthy and no finer rule can say why."""
    qemu = view.qemu
    return (
        view.report.qemu_healthy is False
        and qemu.run_state in (None, "running")
        and not _is_dead(view)
        and not _is_stuck(view)
        and not _is_silent(view)
    )


def _process(view: View) -> Iterator[Evidence]:
    """Show the process as the agent saw it."""
    yield Evidence("qemu_healthy", view.report.qemu_healthy)
    yield Evidence("qemu.process_state", view.qemu.process_state)
    yield Evidence("performance.qemu_pid", pid_of(view.report))
    if view.qemu.qmp_error is not None:
        yield Evidence("qemu.qmp_error", view.qemu.qmp_error)


def _run_state(view: View) -> Iterator[Evidence]:
    """Show the run state, and the last event that came with it."""
    yield Evidence("qemu.run_state", view.qemu.run_state, "running")
    events = [event for event in view.qemu.events if not event.name.startswith("VNC_")]
    if events:
        yield Evidence("qemu.events", f"{events[-1].name} {events[-1].detail or ''}".strip())


def _has_restarted(view: View) -> bool:
    """Tell whether QEMU is another process than a minute ago, by the agent's count or else by ours."""
    qemu, limit = view.qemu, view.policy.restart_shown_seconds
    if qemu.restarts and qemu.seconds_since_restart is not None and qemu.seconds_since_restart <= limit:
        return True
    earlier = _uncounted(view)
    if qemu.uptime_seconds is not None:
        return qemu.uptime_seconds <= limit and any(
            one.qemu_uptime_seconds is not None and one.qemu_uptime_seconds > qemu.uptime_seconds for one in earlier
        )
    pid = pid_of(view.report)
    return pid is not None and any(
        one.qemu_pid not in (None, pid) and view.at_ms - one.received_at_ms <= limit * 1000 for one in earlier
    )


def _uncounted(view: View) -> tuple[Observation, ...]:
    """Return the observations that the agent's count says nothing of: all, or those before this agent started.

    What it counted itself it also knows to be planned or not; an age or a pid can't tell.
    """
    if view.qemu.restarts is None:
        return view.of_this_pod
    boot_id = view.agent.boot_id if view.agent else None
    return tuple(one for one in view.of_this_pod if boot_id is not None and one.boot_id not in (None, boot_id))


def _restart(view: View) -> Iterator[Evidence]:
    """Show how young the process is."""
    yield Evidence("qemu.restarts", view.qemu.restarts)
    yield Evidence("qemu.uptime", view.qemu.uptime_seconds, view.policy.restart_shown_seconds, "s")
    yield Evidence("performance.qemu_pid", pid_of(view.report))


def _crashed(code: str, run_state: str, means: str, advice: str) -> Rule:
    """Return a row for a run state that QEMU enters only through a fault."""
    return Rule(
        code,
        FailureClass.QEMU,
        Severity.UNHEALTHY,
        lambda view: view.qemu.run_state == run_state,
        _run_state,
        means,
        advice,
        follows=DEAD,
    )


def _planned(code: str, run_states: tuple[str, ...], means: str, advice: str) -> Rule:
    """Return a row for a run state that somebody chose: shown, never acted on."""
    return Rule(
        code,
        FailureClass.NONE,
        Severity.DEGRADED,
        lambda view: view.qemu.run_state in run_states,
        _run_state,
        means,
        advice,
        follows=DEAD,
        is_planned=True,
    )


ROWS = (
    Rule(
        "QemuDead",
        FailureClass.QEMU,
        Severity.UNHEALTHY,
        _is_dead,
        _process,
        "No QEMU process runs.",
        "Restart QEMU; the container's own log says why it ended.",
    ),
    Rule(
        "QemuStuck",
        FailureClass.QEMU,
        Severity.UNHEALTHY,
        _is_stuck,
        _process,
        "The QEMU process exists and executes nothing: stopped by a signal, or waiting in the kernel.",
        "Continue it (SIGCONT) when it was stopped; when it waits in the kernel, look at the node's disks.",
    ),
    Rule(
        "QmpTimeout",
        FailureClass.QEMU,
        Severity.UNHEALTHY,
        _is_silent,
        _process,
        "QEMU's main loop doesn't answer on its monitor socket.",
        "Restart QEMU when it lasts; see that nobody else holds the agent's own QMP socket.",
        follows=DEAD,
    ),
    _crashed(
        "GuestPanicked",
        "guest-panicked",
        "The guest's operating system has crashed.",
        "Save a screen picture, then reset the guest.",
    ),
    _crashed(
        "QemuIoError",
        "io-error",
        "QEMU stopped the guest because a disk access failed.",
        "Free space or mend the disk image's storage, then continue or reset the guest.",
    ),
    _crashed(
        "QemuInternalError",
        "internal-error",
        "QEMU stopped the guest after an error of its own.",
        "Restart QEMU and keep its log.",
    ),
    _crashed(
        "QemuWatchdog",
        "watchdog",
        "The guest's watchdog fired: it stopped feeding it.",
        "Reset the guest.",
    ),
    _crashed(
        "GuestShutDown",
        "shutdown",
        "The guest has switched itself off and QEMU keeps it so.",
        "Reset the guest, or restart QEMU.",
    ),
    Rule(
        "QemuUnhealthy",
        FailureClass.QEMU,
        Severity.UNHEALTHY,
        _is_unhealthy_otherwise,
        _process,
        "The agent calls QEMU unhealthy, and nothing finer is known.",
        "Read the report's qemu block, and restart QEMU when it lasts.",
    ),
    Rule(
        "QemuRestarted",
        FailureClass.QEMU,
        Severity.DEGRADED,
        _has_restarted,
        _restart,
        "QEMU was started anew within the last minute, and nobody had planned it.",
        "Nothing at once; when it comes again, read why QEMU ended.",
        follows=DEAD,
    ),
    _planned(
        "PausedByOperator",
        _PAUSED_STATES,
        "Somebody paused the guest.",
        "Continue it (QMP cont) when the pause is over.",
    ),
    _planned(
        "GuestSuspended",
        ("suspended",),
        "The guest has put itself to sleep.",
        "Wake it (QMP system_wakeup, or a key) when it is wanted.",
    ),
    _planned(
        "Migrating",
        _MOVING_STATES,
        "The guest stands still while its state is moved or saved.",
        "Wait for the end of the migration or snapshot.",
    ),
    Rule(
        "RunStateUnknown",
        FailureClass.NONE,
        Severity.UNKNOWN,
        lambda view: view.qemu.run_state not in _KNOWN_STATES,
        _run_state,
        "QEMU reports a run state that this version doesn't know.",
        "Look it up in the QEMU version's qapi/run-state.json.",
        follows=HUNG | CRASHED | PLANNED,
    ),
    Rule(
        "Booting",
        FailureClass.NONE,
        Severity.FINDING,
        lambda view: view.is_booting,
        lambda view: (Evidence("qemu.uptime", view.qemu.uptime_seconds, view.policy.boot_grace_seconds, "s"),),
        "QEMU is so young that motion and sound are not expected yet.",
        "Wait for the boot grace to pass.",
        is_planned=True,
    ),
)
