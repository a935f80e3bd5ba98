"""Rows about the report itself: whether there is one, whether it is fresh, whole, and whose it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.report import Audio
from jobs.health.model import Evidence, FailureClass, ProbeOutcome, Severity
from jobs.health.rows.causes import HUNG
from jobs.health.rows.network import unmeasured
from jobs.health.rule import Rule, View


def _ended(outcome: ProbeOutcome) -> Callable[[View], bool]:
    """Return a predicate: the probe ended so."""
    return lambda view: view.probe.outcome is outcome


def _ending(view: View) -> Iterator[Evidence]:
    """Say how the probe ended, and what the other witness saw at the same address."""
    yield Evidence("outcome", view.probe.outcome.value, witness="probe")
    yield Evidence("duration", round(view.probe.duration_seconds, 3), unit="s", witness="probe")
    if view.probe.detail:
        yield Evidence("detail", view.probe.detail, witness="probe")
    if view.outside is not None:
        yield Evidence("vnc", view.outside.value, witness="connectivity")


def _unreachable(code: str, outcome: ProbeOutcome, means: str, advice: str) -> Rule:
    """Return a row for a probe that got no answer."""
    return Rule(
        code,
        FailureClass.NETWORK,
        Severity.UNREACHABLE,
        _ended(outcome),
        _ending,
        means,
        advice,
        is_final=True,
    )


def _unusable(code: str, outcome: ProbeOutcome, means: str, advice: str) -> Rule:
    """Return a row for an answer that is no report; it proves no layer guilty."""
    return Rule(
        code,
        FailureClass.NONE,
        Severity.UNKNOWN,
        _ended(outcome),
        _ending,
        means,
        advice,
        is_final=True,
    )


def _is_stale(view: View) -> bool:
    """Tell whether the last reports all carry this sequence of this agent."""
    agent = view.agent
    if agent is None:
        return False
    earlier = view.history.observations[1 - view.policy.stale_ticks :]
    if len(earlier) < view.policy.stale_ticks - 1 or earlier[-1].sequence != agent.sequence:
        return False
    same = all(one.sequence == agent.sequence and one.boot_id == agent.boot_id for one in earlier)
    # Below zero our clock was set back meanwhile, and how long it has been isn't known.
    return same and not 0 <= view.at_ms - earlier[0].received_at_ms < view.policy.stale_seconds * 1000


def _staleness(view: View) -> Iterator[Evidence]:
    """Name the sequence that stands still, as the tick before saw it too."""
    last = view.history.observations[-1]
    yield Evidence("agent.sequence", last.sequence)
    yield Evidence("agent.boot_id", last.boot_id)


def _is_unproven(view: View) -> bool:
    """Tell whether the report lacks the uid that would prove its pod."""
    if view.report.is_legacy:
        return True
    return view.instance.uid is not None and (view.agent is None or view.agent.uid is None)


def _is_incomplete(view: View) -> bool:
    """Tell whether a value is missing without which nobody can call the instance healthy."""
    report = view.report
    return (
        report.qemu_healthy is None
        or view.video.vnc_available is None
        or view.audio.pulse_running is None
        or any(True for _ in _missing_beyond(view))
    )


def _missing(view: View) -> Iterator[Evidence]:
    """Name each missing value, with the agent's reason where it gave one."""
    if view.report.qemu_healthy is None:
        yield Evidence("qemu_healthy", None, view.qemu.error)
    if view.video.vnc_available is None:
        yield Evidence("video.vnc_available", None, view.video.error)
    if view.audio.pulse_running is None:
        yield Evidence("audio.pulse_running", None, view.audio.error)
    yield from _missing_beyond(view)


def _missing_beyond(view: View) -> Iterator[Evidence]:
    """Name what is missing of the values that only some instances must have.

    A legacy report has no way to say that a network isn't configured, so there its absence is not known.
    """
    if view.report.is_legacy:
        if view.network.bridge_up is None:
            yield Evidence("network.bridge_up", None)
        if view.network.tap_up is None:
            yield Evidence("network.tap_up", None)
        return
    if view.agent is None:
        yield Evidence("agent", None)
    if view.qemu.run_state is None:
        yield Evidence("qemu.run_state", None, view.qemu.qmp_error or view.qemu.error)
    yield from unmeasured(view.report.network)
    if view.is_booting:
        return
    if view.instance.expect_motion_seconds is not None and view.screen.verdict is None:
        yield Evidence("screen.verdict", None, view.screen.error)
    if view.instance.expect_sound_seconds is not None and _is_sound_unheard(view.audio):
        yield Evidence("audio.silent_seconds", None, view.audio.error)


def _is_sound_unheard(audio: Audio) -> bool:
    """Tell whether nobody listens to a stream that may be there; rules of their own miss a server, sink or stream."""
    may_be_there = audio.pulse_running is True and audio.audio_devices != 0 and audio.qemu_streams != 0
    return may_be_there and audio.silent_seconds is None


ROWS = (
    Rule(
        "NotYetObserved",
        FailureClass.NONE,
        Severity.UNKNOWN,
        lambda _: False,  # said before the first tick, when there is no view
        lambda _: (),
        "The inventory names the instance; no tick has looked at it yet.",
        "Wait one tick (15 s); if it stays, see that the collect run is alive.",
    ),
    _unreachable(
        "AgentRefused",
        ProbeOutcome.REFUSED,
        "Nothing listens at the agent's address.",
        "See that the container and its agent run, and that the health port is the one in the inventory.",
    ),
    _unreachable(
        "AgentTimeout",
        ProbeOutcome.TIMEOUT,
        "The agent's address didn't answer in time.",
        "See whether the node is reachable, a network policy drops the traffic, or the pod is starved of CPU.",
    ),
    _unreachable(
        "AgentUnresolved",
        ProbeOutcome.UNRESOLVED,
        "The agent's host name has no address.",
        "Correct healthUrl, or see that the cluster's DNS answers.",
    ),
    _unreachable(
        "AgentDisconnected",
        ProbeOutcome.DISCONNECTED,
        "The agent closed the connection before its report was whole.",
        "See whether the agent restarts, or something between cuts connections.",
    ),
    _unusable(
        "AgentHttpStatus",
        ProbeOutcome.HTTP_STATUS,
        "The health address answered with another HTTP status than 200.",
        "See that healthUrl leads to the agent and not to another server.",
    ),
    _unusable(
        "AgentRedirected",
        ProbeOutcome.REDIRECTED,
        "The health address answered with a redirect, which is never followed.",
        "Put the agent's own address into the inventory.",
    ),
    _unusable(
        "ReportNotJson",
        ProbeOutcome.NOT_JSON,
        "The health address answered with something that is not JSON.",
        "See that healthUrl leads to the agent and not to a page.",
    ),
    _unusable(
        "ReportTooLarge",
        ProbeOutcome.TOO_LARGE,
        "The answer passed 256 KiB and was cut off.",
        "See what answers there; a report is about 2 KiB.",
    ),
    _unusable(
        "ReportInvalid",
        ProbeOutcome.INVALID,
        "The answer is JSON but no health report that this version reads.",
        "Compare the agent's version with the collector's; the evidence names the field.",
    ),
    _unusable(
        "UidMismatch",
        ProbeOutcome.WRONG_UID,
        "The report comes from another pod than the inventory's.",
        "Wait for the next inventory; the address was probably reused by another pod.",
    ),
    Rule(
        "ReportStale",
        FailureClass.NONE,
        Severity.UNKNOWN,
        _is_stale,
        _staleness,
        "The agent repeats one old report: its round of checks stands still.",
        "Restart the agent; what it says is no longer measured.",
        is_final=True,
    ),
    Rule(
        "BlockUnmeasured",
        FailureClass.NONE,
        Severity.UNKNOWN,
        _is_incomplete,
        _missing,
        "A value without which nobody can call the instance healthy was not measured.",
        "Read the block's error in the evidence, and give the agent what it lacks.",
        follows=HUNG,
    ),
    Rule(
        "LegacyAgent",
        FailureClass.NONE,
        Severity.FINDING,
        lambda view: view.report.is_legacy,
        lambda _: (Evidence("schema_version", None), Evidence("unknown blocks", "qemu screen sessions clients")),
        "The report is the legacy shell agent's: guest, screen, sessions and clients are unknown.",
        "Run the agent of this project in the image to see them.",
    ),
    Rule(
        "IdentityUnproven",
        FailureClass.NONE,
        Severity.FINDING,
        _is_unproven,
        lambda view: (Evidence("agent.uid", None, view.instance.uid),),
        "The report carries no pod uid, so nothing proves which pod made it.",
        "Give the agent LOCO_POD_UID from the downward API.",
    ),
    Rule(
        "ClockSkew",
        FailureClass.NONE,
        Severity.FINDING,
        lambda view: (
            view.probe.skew_seconds is not None
            and not view.report.is_legacy
            and abs(view.probe.skew_seconds) > view.policy.clock_skew_seconds
        ),
        lambda view: (Evidence("skew", view.probe.skew_seconds, view.policy.clock_skew_seconds, "s", "probe"),),
        "The agent's clock and the collector's differ; no verdict depends on either.",
        "See that time synchronisation runs on the node.",
    ),
)
