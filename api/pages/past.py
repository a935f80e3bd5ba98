"""An instance's past as charts: the last hour and day by minutes, the last month by hours. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from api import charts
from api.axes import Points
from jobs.health.model import Verdict
from jobs.health.rollup import HOUR_MS, MINUTE_MS, Rollup


class Span(StrEnum):
    """How far back the charts go."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"

    @property
    def ms(self) -> int:
        """Return its length."""
        return {Span.HOUR: HOUR_MS, Span.DAY: 24 * HOUR_MS, Span.MONTH: 30 * 24 * HOUR_MS}[self]

    @property
    def step_ms(self) -> int:
        """Return how long one of its roll-ups is."""
        return HOUR_MS if self is Span.MONTH else MINUTE_MS


@dataclass(frozen=True, slots=True)
class Past:
    """Roll-ups of one span, oldest first. until_ms: as of when, where the charts end."""

    span: Span
    until_ms: int
    rollups: Sequence[Rollup]

    @property
    def since_ms(self) -> int:
        """Return where the charts begin."""
        return self.until_ms - self.span.ms


def charts_of(past: Past, name: str) -> str:
    """Return a chart for each value that is kept, with the ways to the other spans. name: of the instance."""
    links = "".join(_link(span, past.span) for span in Span)
    drawn = "".join(_figure(past, title, name, unit, value) for title, unit, value in _VALUES)
    return f'<nav class="spans" aria-label="Time span">{links}</nav><div class="charts">{drawn}</div>'


def _link(span: Span, shown: Span) -> str:
    current = ' aria-current="true"' if span is shown else ""
    words = {Span.HOUR: "last hour", Span.DAY: "last 24 hours", Span.MONTH: "last 30 days"}
    return f'<a href="?span={span}"{current}>{words[span]}</a>'


def _figure(past: Past, title: str, name: str, unit: str, value: Callable[[Rollup], float | None]) -> str:
    points: Points = [(one.start_at_ms, value(one)) for one in past.rollups]
    drawing = charts.chart(
        points,
        unit=unit,
        label=f"{title} of {name}",
        step_seconds=past.span.step_ms // 1000,
        span_ms=(past.since_ms, past.until_ms),
    )
    return f"<figure><figcaption>{title}</figcaption>{drawing}</figure>"


def _mean(total: float, count: int, factor: float = 1.0) -> float | None:
    return factor * total / count if count else None


def _healthy(one: Rollup) -> float | None:
    ticks = sum(getattr(one, verdict) for verdict in Verdict)
    return 100 * one.healthy / ticks if ticks else None


_VALUES: tuple[tuple[str, str, Callable[[Rollup], float | None]], ...] = (
    ("Healthy ticks", "%", _healthy),
    ("Frame rate", "/s", lambda one: _mean(one.frame_rate_sum, one.frame_rate_count)),
    ("Sound level", "", lambda one: one.level_max),
    ("CPU of QEMU", "%", lambda one: _mean(one.qemu_cpu_sum, one.qemu_cpu_count)),
    ("Handshake from outside", "ms", lambda one: _mean(one.latency_sum, one.latency_count, 1000.0)),
)
