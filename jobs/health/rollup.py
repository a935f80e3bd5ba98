"""What a tick adds to its minute, and a minute to its hour; what nobody observed stays out of every good share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from jobs.health import measured
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
    report = probe.report
    frame_rate, level = measured.frame_rate(report), measured.audio_level(report)
    qemu_cpu = report.performance.qemu_cpu if report and report.performance else None
    latency = connectivity.latency_seconds if connectivity else None
    return Rollup(
        start_of(probe.received_at_ms, MINUTE_MS),
        **{assessment.verdict.value: 1},
        codes=tuple(sorted(reason.code for reason in assessment.reasons)),
        level_max=level,
        frame_rate_sum=frame_rate or 0.0,
        frame_rate_count=frame_rate is not None,
        qemu_cpu_sum=qemu_cpu or 0.0,
        qemu_cpu_count=qemu_cpu is not None,
        latency_sum=latency or 0.0,
        latency_count=latency is not None,
    )


def merge(first: Rollup, second: Rollup) -> Rollup:
    """Return both as one, with the start of `first`; the order of merging doesn't matter to the rest."""
    levels = [level for level in (first.level_max, second.level_max) if level is not None]
    return Rollup(
        first.start_at_ms,
        codes=tuple(sorted({*first.codes, *second.codes})),
        level_max=max(levels, default=None),
        **{name: getattr(first, name) + getattr(second, name) for name in _SUMS},
    )


def shares(rollups: Iterable[Rollup], *, expected_ticks: int) -> Shares:
    """Return the share of each verdict among `expected_ticks`, what is missing as `not_observed`.

    Ticks asked for by hand come on top of the expected ones; then the shares are of those that were.
    """
    counts = [0] * len(_VERDICTS)
    for rollup in rollups:
        counts = [count + getattr(rollup, name) for count, name in zip(counts, _VERDICTS, strict=True)]
    whole = max(expected_ticks, sum(counts))
    if whole == 0:
        return Shares(0.0, 0.0, 0.0, 0.0, 0.0, not_observed=1.0)
    return Shares(*(count / whole for count in (*counts, whole - sum(counts))))


_VERDICTS = ("healthy", "degraded", "unhealthy", "unreachable", "unknown")
_SUMS = tuple(one.name for one in fields(Rollup) if one.name not in ("start_at_ms", "codes", "level_max"))
