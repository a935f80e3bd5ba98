"""What the rules remember of one instance: its last few observations, and since when each reason holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.report import HealthReport, Network
from jobs.health.model import Assessment, ProbeOutcome, ProbeResult, Verdict

# chosen: three minutes; the longest memory that any rule or incident needs (policy fields end at 12 ticks).
HISTORY_TICKS = 12

# chosen: eight missed ticks; older observations say nothing about now, and unwatched time must not count as good.
MAX_GAP_MS = 120_000


@dataclass(frozen=True, slots=True)
class Observation:
    """What one tick leaves behind for the next ones.

    suspected: codes that held, but not yet at as many ticks as they need. errors_total: what the tap has counted since
    it was made, both directions. qemu_pid: as text, because the legacy agent reports it so.
    """

    tick: int
    received_at_ms: int
    outcome: ProbeOutcome
    verdict: Verdict
    codes: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()
    boot_id: str | None = None
    sequence: int | None = None
    qemu_pid: str | None = None
    qemu_uptime_seconds: float | None = None
    errors_total: int | None = None


@dataclass(frozen=True, slots=True)
class StoredTick:
    """One tick as the store kept it; report is None where none was good."""

    tick: int
    received_at_ms: int
    outcome: ProbeOutcome
    verdict: Verdict
    codes: tuple[str, ...]
    report: HealthReport | None = None


@dataclass(frozen=True, slots=True)
class History:
    """Observations, oldest first, at most HISTORY_TICKS; `since_ms` by code of each reason that holds."""

    observations: tuple[Observation, ...] = ()
    since_ms: Mapping[str, int] = field(default_factory=dict)


EMPTY = History()
NEVER: Mapping[str, int] = {}
NO_NETWORK = Network()


def remember(history: History, probe: ProbeResult, assessment: Assessment, *, tick: int) -> History:
    """Return the history with this tick's observation appended; a gap of more than MAX_GAP_MS forgets what was."""
    codes = tuple(reason.code for reason in assessment.reasons)
    stored = StoredTick(tick, probe.received_at_ms, probe.outcome, assessment.verdict, codes, probe.report)
    since_ms = {code: began_ms(history, code, at_ms=probe.received_at_ms) for code in codes} if codes else NEVER
    return History(append(history.observations, observe(stored, suspected=assessment.suspected)), since_ms)


def began_ms(history: History, code: str, *, at_ms: int) -> int:
    """Return since when a reason that holds at `at_ms` does so, as far as somebody watched.

    Beyond a gap it begins anew: nobody knows what was in between. So it does after a clock that jumped, either way.
    """
    last = history.observations[-1] if history.observations else None
    if last is None or at_ms - last.received_at_ms > MAX_GAP_MS:
        return at_ms
    return min(history.since_ms.get(code, at_ms), at_ms)


def append(observations: tuple[Observation, ...], new: Observation) -> tuple[Observation, ...]:
    """Return the last HISTORY_TICKS observations, the new one last, without those before a gap."""
    if observations and new.received_at_ms - observations[-1].received_at_ms > MAX_GAP_MS:
        return (new,)
    return (*observations[1 - HISTORY_TICKS :], new)


def observe(stored: StoredTick, *, suspected: tuple[str, ...]) -> Observation:
    """Return what later ticks need of one tick."""
    report = stored.report
    bare = (stored.tick, stored.received_at_ms, stored.outcome, stored.verdict, stored.codes, suspected)
    if report is None:
        return Observation(*bare)
    agent, qemu, network = report.agent, report.qemu, report.network or NO_NETWORK
    return Observation(
        *bare,
        boot_id=agent.boot_id if agent else None,
        sequence=agent.sequence if agent else None,
        qemu_pid=pid_of(report),
        qemu_uptime_seconds=qemu.uptime_seconds if qemu else None,
        errors_total=total(network.rx_errors, network.tx_errors),
    )


def total(received: int | None, sent: int | None) -> int | None:
    """Return both directions together, None where one wasn't measured."""
    return None if received is None or sent is None else received + sent


def pid_of(report: HealthReport) -> str | None:
    """Return QEMU's pid as text, None where there is none."""
    pid = report.performance.qemu_pid if report.performance else None
    return None if pid is None else str(pid)
