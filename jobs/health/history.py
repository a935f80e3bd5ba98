"""What the rules remember of one instance: its last few observations, and since when each reason holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.report import HealthReport
from jobs.health.model import Assessment, ProbeOutcome, ProbeResult, Verdict

# chosen: three minutes; the longest memory that any rule or incident needs (policy fields end at 12 ticks).
HISTORY_TICKS = 12

# chosen: eight missed ticks; older observations say nothing about now, and unwatched time must not count as good.
MAX_GAP_MS = 120_000


@dataclass(frozen=True, slots=True)
class Observation:
    """What one tick leaves behind for the next ones.

    suspected: codes that held, but not yet at as many ticks as they need. *_total: the tap's counters since it was
    made, both directions. qemu_pid: as text, because the legacy agent reports it so.
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
    packets_total: int | None = None
    errors_total: int | None = None
    drops_total: int | None = None


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


def remember(history: History, probe: ProbeResult, assessment: Assessment, *, tick: int) -> History:
    """Return the history with this tick's observation appended; a gap of more than MAX_GAP_MS forgets what was."""
    raise NotImplementedError
