"""What a tick adds to its minute, and a minute to its hour; what nobody observed stays out of every good share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobs.health.model import Assessment, Connectivity, ProbeResult

MINUTE_MS = 60_000
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Rollup:
    """One row of `minutes` or `hours` without its key: the fields are the columns.

    healthy..unknown: ticks with that verdict. codes: sorted. level: the sink's peak, 0-1. latency: of RFB handshakes
    from outside, in seconds. qemu_cpu: percent of one core.
    """

    start_at_ms: int
    healthy: int = 0
    degraded: int = 0
    unhealthy: int = 0
    unreachable: int = 0
    unknown: int = 0
    codes: tuple[str, ...] = ()
    frame_rate_sum: float = 0.0
    frame_rate_count: int = 0
    level_max: float | None = None
    qemu_cpu_sum: float = 0.0
    qemu_cpu_count: int = 0
    latency_sum: float = 0.0
    latency_count: int = 0


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the ticks that a span of time should have had, 0-1; they add up to 1."""

    healthy: float
    degraded: float
    unhealthy: float
    unreachable: float
    unknown: float
    not_observed: float


def start_of(at_ms: int, span_ms: int) -> int:
    """Return the start of the span (MINUTE_MS, HOUR_MS) that holds `at_ms`."""
    return at_ms - at_ms % span_ms


def of_tick(probe: ProbeResult, assessment: Assessment, connectivity: Connectivity | None) -> Rollup:
    """Return what one tick adds to its minute."""
    raise NotImplementedError


def merge(first: Rollup, second: Rollup) -> Rollup:
    """Return both as one, with the start of `first`; the order of merging doesn't matter to the rest."""
    raise NotImplementedError


def shares(rollups: Iterable[Rollup], *, expected_ticks: int) -> Shares:
    """Return the share of each verdict among `expected_ticks`, what is missing as `not_observed`."""
    raise NotImplementedError
