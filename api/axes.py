"""What a chart is drawn on and with: places, levels with units, the time in UTC, lines with gaps. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import groupby, pairwise
from math import ceil, floor, log10
from time import gmtime, strftime

Points = Sequence[tuple[int, float | None]]
Place = tuple[int, int]

# chosen: a phone of 360 px shows it at half, and its letters are 11 px high there.
WIDTH = 720
TOP = 40
LEFT = 84
FOOT = TOP + 200
_RIGHT = WIDTH - 34

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS
_TIME_STEPS_MS = (
    *(n * _MINUTE_MS for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR_MS for n in (1, 2, 4, 6, 12)),
    *(n * _DAY_MS for n in (1, 2, 5, 10, 30, 90, 180, 360)),
)
_MOST_TIMES = 7
_MOST_LEVELS = 5


@dataclass(frozen=True)
class Plane:
    """Where moments and values lie. greatest: the highest value that must fit."""

    from_ms: int
    until_ms: int
    greatest: float

    def place(self, at_ms: int, value: float) -> Place:
        """Return the place of a value at a moment."""
        across = (at_ms - self.from_ms) / max(1, self.until_ms - self.from_ms)
        return LEFT + round(across * (_RIGHT - LEFT)), self.height(value)

    def height(self, value: float) -> int:
        """Return the y of a value; what is below 0 lies on the axis."""
        return FOOT - round(max(0.0, value) / self.levels[-1] * (FOOT - TOP))

    @cached_property
    def levels(self) -> list[float]:
        """Return round values from 0 to the first that isn't below the greatest."""
        if self.greatest < _LEAST:
            return [0.0, 1.0]
        size = 10.0 ** floor(log10(self.greatest / _MOST_LEVELS))
        step = next(n * size for n in (1, 2, 5, 10) if self.greatest <= n * size * _MOST_LEVELS * _ROUNDING)
        return [n * step for n in range(ceil(self.greatest / step / _ROUNDING) + 1)]


# chosen: less than anything here measures, and far from where floats lose their digits.
_LEAST = 1e-9

# Lets 0.3 fit under three times 0.1.
_ROUNDING = 1 + 1e-9


def levels(plane: Plane, unit: str) -> str:
    """Return a line for each level with its value, and the unit above them all."""
    drawn = [f'<text class="unit" x="0" y="{TOP - 18}">{escape(unit)}</text>'] if unit else []
    for level in plane.levels:
        y = plane.height(level)
        drawn.append(
            f'<path class="grid" d="M{LEFT} {y}H{_RIGHT}"/>'
            f'<text class="level" x="{LEFT - 8}" y="{y + 7}">{with_unit(level, "")}</text>'
        )
    return "".join(drawn)


def times(plane: Plane) -> str:
    """Return the time axis: whole minutes, hours or days."""
    long_ms = plane.until_ms - plane.from_ms
    step_ms = next((step for step in _TIME_STEPS_MS if long_ms / step < _MOST_TIMES), _TIME_STEPS_MS[-1])
    drawn = [f'<text class="level" x="{LEFT - 8}" y="{FOOT + 60}">UTC</text>']
    first_ms = -(-plane.from_ms // step_ms) * step_ms
    for at_ms in range(first_ms, plane.until_ms + 1, step_ms):
        x, _ = plane.place(at_ms, 0)
        drawn.append(
            f'<path class="grid" d="M{x} {FOOT}v6"/><text class="time" x="{x}" y="{FOOT + 29}">'
            f"{_moment(at_ms, is_day=step_ms >= _DAY_MS)}</text>"
        )
    return "".join(drawn)


def curve(plane: Plane, points: Points, *, step_ms: int) -> str:
    """Return values as a line with the last one marked; what lies further apart than a step has a gap between."""
    places: list[Place | None] = []
    before_ms = points[0][0] if points else 0
    for at_ms, value in points:
        # chosen: one and a half steps, so that no rounding of a start makes a gap.
        if at_ms - before_ms > 1.5 * step_ms:
            places.append(None)
        places.append(None if value is None else plane.place(at_ms, value))
        before_ms = at_ms
    return f'<path class="line" d="{line(places)}"/>{last_dot(places)}'


def last_dot(places: Sequence[Place | None]) -> str:
    """Return a mark at the last place, empty where there is none."""
    last = next((place for place in reversed(places) if place), None)
    return f'<path class="last" d="M{last[0]} {last[1]}h0"/>' if last else ""


def line(places: Iterable[Place | None]) -> str:
    """Return path data through the places; None interrupts it, and a place alone is a dash."""
    return "".join(_piece([place for place in group if place]) for is_there, group in groupby(places, bool) if is_there)


def with_unit(value: float, unit: str) -> str:
    """Return a value as people read it, three digits that count and its unit."""
    told = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{told} {unit}" if unit else told


def _piece(places: Sequence[Place]) -> str:
    """Return path data through places; what lies on one level with both its neighbours adds nothing."""
    if len(places) == 1:
        return f"M{places[0][0] - 1} {places[0][1]}h2"
    inner = [
        place
        for (before, place), (_, after) in zip(pairwise(places), pairwise(places[1:]), strict=False)
        if not before[1] == place[1] == after[1]
    ]
    return "M" + " ".join(f"{x} {y}" for x, y in (places[0], *inner, places[-1]))


def _moment(at_ms: int, *, is_day: bool) -> str:
    """Return `13:40` or `26 Nov`; English, because the program sets no locale."""
    at = gmtime(at_ms / 1000)
    return f"{at.tm_mday} {strftime('%b', at)}" if is_day else strftime("%H:%M", at)
