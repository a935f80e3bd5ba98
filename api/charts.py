"""Values over time as inline SVG: small lines, bars of verdicts, charts with axes. Pure.

No style attribute, so that a strict Content-Security-Policy holds; a value that is missing is a gap; `<title>` is the
accessible name. Colours and widths are rules of page.css: `.spark`, `.beats`, `.chart`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from time import gmtime, strftime

from api import axes
from api.axes import Place, Plane, Points
from api.trends import Beat, percent
from jobs.health.model import Verdict
from jobs.health.rules import BADNESS
from jobs.health.wording import meaning

# chosen: two units a value leave a page of 1,000 lines small, as every coordinate is a whole number.
_STEP = 2
_HEIGHT = 32
# chosen: room for the round end of a line that runs along an edge.
_EDGE = 3

# A bar and its gap, of which page.css makes the dashes.
_BAR = 4
_BARS_HEIGHT = 20

# Room for the times, and for the words under them.
_CHART_HEIGHT = axes.FOOT + 40 + 30


def spark(values: Sequence[float | None], *, label: str, highest: float | None = None) -> str:
    """Return a line of equally spaced values, oldest first, from 0 at the bottom, with the last one marked.

    label: a sentence, the drawing's accessible name. highest: the value at the top, the greatest of all without it.
    """
    top = highest or max((value for value in values if value is not None), default=0.0) or 1.0
    places: list[Place | None] = [
        None if value is None else (n * _STEP, _height(value / top)) for n, value in enumerate(values)
    ]
    width = max(0, len(values) - 1) * _STEP
    return (
        f'<svg class="spark" role="img" viewBox="{-_EDGE} 0 {width + 2 * _EDGE} {_HEIGHT}"'
        f' preserveAspectRatio="none"><title>{escape(label)}</title><path d="{axes.line(places)}"/>'
        f"{axes.last_dot(places)}</svg>"
    )


def heartbeat(beats: Sequence[Beat], *, label: str) -> str:
    """Return one bar a beat; neighbours that say the same are one element, which keeps a calm day small.

    label: whose beats, as in `Last 24 hours of instance-0`; what they say is added to it.
    """
    bars, at = [], 0
    for run in _runs(beats):
        name = run[0].verdict or "unseen"
        bars.append(
            f'<path class="{name}" d="M{at} {_BARS_HEIGHT // 2}h{len(run) * _BAR - 1}">'
            f"<title>{escape(_told(run))}</title></path>"
        )
        at += len(run) * _BAR
    return (
        f'<svg class="beats" role="img" viewBox="0 0 {max(at - 1, 1)} {_BARS_HEIGHT}" preserveAspectRatio="none">'
        f"<title>{escape(f'{label}: {_summary(beats)}')}</title>{''.join(bars)}</svg>"
    )


def chart(points: Points, *, unit: str, label: str, step_seconds: int, span_ms: tuple[int, int]) -> str:
    """Return a line over time, from 0 up, with the least, greatest and last value in words.

    points: (Unix milliseconds, value or None), oldest first.
    unit: as in `/s`, `ms`, `%`, empty for none. label: whose values, as in `Frame rate of instance-0`; they are added.
    step_seconds: how far apart neighbours are; what lies further apart has a gap between.
    span_ms: first and last moment shown.
    """
    first_ms, last_ms = span_ms
    shown = [one for one in points if first_ms <= one[0] <= last_ms]
    told = escape(_extremes(shown, unit))
    plane = Plane(first_ms, last_ms, max((value for _, value in shown if value is not None), default=0.0))
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {axes.WIDTH} {_CHART_HEIGHT}">'
        f"<title>{escape(label)}: {told}</title>"
        f"{axes.levels(plane, unit)}{axes.times(plane)}{axes.curve(plane, shown, step_ms=step_seconds * 1000)}"
        f'<text x="{axes.LEFT}" y="{_CHART_HEIGHT - 10}">{told}</text></svg>'
    )


def _height(share: float) -> int:
    """Return the y of a share of the greatest value."""
    return round(_HEIGHT - _EDGE - min(1.0, max(0.0, share)) * (_HEIGHT - 2 * _EDGE))


def _runs(beats: Sequence[Beat]) -> Iterator[list[Beat]]:
    """Yield beats that follow each other and say the same."""
    run: list[Beat] = []
    for beat in beats:
        if run and (_said(run[-1]) != _said(beat) or _end_ms(run[-1]) != beat.start_at_ms):
            yield run
            run = []
        run.append(beat)
    if run:
        yield run


def _said(beat: Beat) -> tuple[Verdict | None, str, tuple[str, ...]]:
    share = "" if beat.healthy_share is None else percent(beat.healthy_share)
    return beat.verdict, share, beat.codes


def _end_ms(beat: Beat) -> int:
    return beat.start_at_ms + beat.seconds * 1000


def _told(run: Sequence[Beat]) -> str:
    """Return `Thu 13:00-13:30 UTC: unhealthy at worst, healthy 43 % of the time. No QEMU process runs.`."""
    first = run[0]
    span = f"{_clock('%a %H:%M', first.start_at_ms)}-{_clock('%H:%M', _end_ms(run[-1]))} UTC"
    if first.verdict is None or first.healthy_share is None:
        return f"{span}: not observed"
    worst = "" if first.verdict is Verdict.HEALTHY else f"{first.verdict} at worst, "
    reasons = "".join(f" {meaning(code)}" for code in first.codes)
    return f"{span}: {worst}healthy {percent(first.healthy_share)} of the time.{reasons}"


def _summary(beats: Sequence[Beat]) -> str:
    """Return the worst that was met, and how much nobody observed."""
    met = [beat.verdict for beat in beats if beat.verdict]
    if not met:
        return "not observed"
    worst = max(met, key=BADNESS.__getitem__)
    unseen = len(beats) - len(met)
    told = "healthy throughout" if worst is Verdict.HEALTHY else f"{worst} at worst"
    return f"{told}, {unseen} of {len(beats)} spans not observed" if unseen else told


def _clock(form: str, at_ms: int) -> str:
    """Return a time of day; English, whatever the locale, because the program sets none."""
    return strftime(form, gmtime(at_ms / 1000))


def _extremes(points: Points, unit: str) -> str:
    """Return `min 24.9, max 30.1, last 29.8 /s`."""
    values = [value for _, value in points if value is not None]
    if not values:
        return "not measured"
    least, greatest = axes.with_unit(min(values), ""), axes.with_unit(max(values), "")
    return f"min {least}, max {greatest}, last {axes.with_unit(values[-1], unit)}"
