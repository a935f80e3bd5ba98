"""Badges for other pages: a verdict or an uptime as a small SVG that needs no style sheet and no font. Shapes are pure.

Nothing running is drawn, so that a badge changes only when what it says does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import fields
from html import escape
from unicodedata import east_asian_width

from api.answer import Answer
from api.call import Call
from api.fleet import Fleet, Source
from api.instants import rfc3339
from api.spans import PERIOD_NAMES
from api.trends import Trend, percent
from jobs.health.model import Verdict
from jobs.health.rollup import Shares
from jobs.health.rules import BADNESS

SVG = "image/svg+xml"

UNKNOWN = "unknown"

# Each gives white letters a contrast of over 5 to 1.
_COLOURS = {
    Verdict.HEALTHY: "#17713f",
    Verdict.DEGRADED: "#8a5a00",
    Verdict.UNHEALTHY: "#c01f1f",
    Verdict.UNREACHABLE: "#86248a",
    Verdict.UNKNOWN: "#55606b",
}

# chosen: where Gatus' uptime badges change from green to yellow and from yellow to red.
_GREEN_FROM, _YELLOW_FROM = 0.95, 0.8

# chosen: one lost hand-over in a day isn't worth a word.
_UNSEEN_FROM = 0.005

# Pixels of a sans-serif's letter at 11 px. They set the room; `textLength` makes whatever font is there fit it.
_NARROW, _USUAL, _BROAD = 4.0, 7.0, 10.5
_NARROW_LETTERS = frozenset(" !'(),.:;I[]fijlrt|")
_BROAD_LETTERS = frozenset("%@MWmw\u2026")
_MOST_LETTERS = 40
_PAD = 6

_SHARES = [field.name for field in fields(Shares)]


def fleet_verdict(call: Call) -> Answer:
    """Answer with how many instances are healthy."""
    message, verdict = fleet_message(call.fleet)
    return _answer("fleet", message, verdict, f"Fleet: {message}")


def verdict(call: Call) -> Answer:
    """Answer with one instance's verdict.

    Raises: Problem (404).
    """
    standing = call.standing
    told = f"{standing.instance.public_id}: {standing.verdict}"
    return _answer(
        standing.instance.public_id, standing.verdict, standing.verdict, told, observed_at_ms=standing.observed_at_ms
    )


def fleet_uptime(period: str) -> Callable[[Call], Answer]:
    """Return the route's function that answers with the mean uptime of all instances."""

    def answer(call: Call) -> Answer:
        trends = call.trends() if is_told(call.fleet) else {}
        keys = [standing.instance.key for standing in call.fleet.standings.values()]
        found = [trends[key] for key in keys if key in trends]
        shares = mean(trend.uptimes[period] for trend in found)
        return _uptime(f"uptime {period}", f"Fleet, {_span(period, found)}", shares)

    return answer


def uptime(period: str) -> Callable[[Call], Answer]:
    """Return the route's function that answers with one instance's uptime."""

    def answer(call: Call) -> Answer:
        standing = call.standing
        trend = call.trends().get(standing.instance.key) if is_told(call.fleet) else None
        whose = f"{standing.instance.public_id}, {_span(period, [trend] if trend else [])}"
        return _uptime(f"uptime {period}", whose, trend.uptimes[period] if trend else None)

    return answer


def _span(period: str, trends: Iterable[Trend]) -> str:
    """Return the span that an uptime is of: since the first was found, where none was there for the whole period."""
    found = [trend.found_at_ms.get(period) for trend in trends]
    began = [at_ms for at_ms in found if at_ms is not None]
    if not found or len(began) < len(found):
        return f"last {PERIOD_NAMES[period]}"
    at = rfc3339(min(began))
    return f"since {at[:10]} {at[11:16]} UTC"


def is_told(fleet: Fleet) -> bool:
    """Tell whether the past can be read now: an old answer would be given for that of today."""
    return fleet.source is Source.STORE and not fleet.problem


def fleet_message(fleet: Fleet) -> tuple[str, Verdict]:
    """Return what the fleet's badge says, and the verdict whose colour it has: that of the worst."""
    counts = Counter(standing.verdict for standing in fleet.standings.values())
    if fleet.snapshot is None or fleet.is_silent or not counts or set(counts) == {Verdict.UNKNOWN}:
        return UNKNOWN, Verdict.UNKNOWN
    return f"{counts[Verdict.HEALTHY]} of {counts.total()} healthy", max(counts, key=BADNESS.__getitem__)


def uptime_message(shares: Shares | None) -> tuple[str, Verdict]:
    """Return what an uptime's badge says and the verdict whose colour it has."""
    if shares is None or shares.not_observed == 1:
        return UNKNOWN, Verdict.UNKNOWN
    unseen = f" ({percent(shares.not_observed)} unseen)" if shares.not_observed >= _UNSEEN_FROM else ""
    # What nobody saw is no fault, so it takes the colour of none.
    good = shares.healthy / (1 - shares.not_observed)
    colour = Verdict.HEALTHY if good >= _GREEN_FROM else Verdict.DEGRADED if good >= _YELLOW_FROM else Verdict.UNHEALTHY
    return f"{percent(shares.healthy)}{unseen}", colour


def mean(parts: Iterable[Shares]) -> Shares | None:
    """Return the mean of each share, None of nothing."""
    found = list(parts)
    if not found:
        return None
    return Shares(**{name: sum(getattr(one, name) for one in found) / len(found) for name in _SHARES})


def badge(label: str, message: str, verdict: Verdict, told: str) -> str:
    """Return the drawing: `label` in grey beside `message` in the verdict's colour. told: its accessible name."""
    label, message = _shown(label), _shown(message)
    left, right = (round(_width(text)) + 2 * _PAD for text in (label, message))
    return _BADGE.format(
        width=left + right,
        told=escape(_printable(told)),
        colour=_COLOURS[verdict],
        left=left,
        flat=right - 3,
        label=_text(label, _PAD, left),
        message=_text(message, left + _PAD, right),
    )


def _uptime(label: str, whose: str, shares: Shares | None) -> Answer:
    """Return the answer of an uptime."""
    message, colour = uptime_message(shares)
    if shares is None:
        return _answer(label, message, colour, f"{whose}: {message}")
    parts = ", ".join(f"{name.replace('_', ' ')} {percent(getattr(shares, name))}" for name in _SHARES)
    return _answer(label, message, colour, f"{whose}: {parts}")


def _answer(label: str, message: str, verdict: Verdict, told: str, *, observed_at_ms: int | None = None) -> Answer:
    return Answer(badge(label, message, verdict, told).encode(), SVG, observed_at_ms=observed_at_ms)


def _text(text: str, x: int, room: int) -> str:
    return f'<text x="{x}" y="14" textLength="{room - 2 * _PAD}">{escape(text)}</text>'


def _shown(text: str) -> str:
    """Return a text that fits a badge."""
    text = _printable(text)
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}\u2026"


def _printable(text: str) -> str:
    """Return a text without what XML doesn't allow (XML 1.0 section 2.2) and nobody sees."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _width(text: str) -> float:
    """Return the pixels that a text needs."""
    return sum(
        _NARROW
        if letter in _NARROW_LETTERS
        else _BROAD
        if letter in _BROAD_LETTERS or east_asian_width(letter) in "WF"
        else _USUAL
        for letter in text
    )


_BADGE = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img"><title>{told}</title>\
<rect width="{width}" height="20" rx="3" fill="#3c4043"/>\
<path fill="{colour}" d="M{left} 0h{flat}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{flat}z"/>\
<g fill="#fff" font-family="Verdana,'DejaVu Sans',sans-serif" font-size="11">{label}{message}</g></svg>
"""
