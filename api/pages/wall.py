"""The wall: the fleet's verdict in one line, then a card an instance, the sick first. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from api.fleet import Fleet, Standing
from api.pages import filters
from api.pages.card import card
from api.pages.document import document, sign, trouble
from api.pages.filters import EVERYTHING, Filter
from api.pages.overview import overview
from api.trends import Trend, moment_of
from jobs.health.model import InstanceKey, Verdict

# The sick first: that is what somebody opens the page for.
ORDER = (Verdict.UNHEALTHY, Verdict.UNREACHABLE, Verdict.UNKNOWN, Verdict.DEGRADED, Verdict.HEALTHY)

# chosen: two screens of cards. A fleet that takes more has an overview, and its cards come in portions of this.
PORTION = 24


def render(fleet: Fleet, wanted: Filter = EVERYTHING, trends: Mapping[InstanceKey, Trend] | None = None) -> str:
    """Return the whole document. trends: the past of each instance that has one."""
    everyone = fleet.standings.values()
    found = [standing for standing in everyone if wanted.takes(standing)]
    by_urgency = sorted(found, key=lambda standing: ORDER.index(standing.verdict))
    shown = by_urgency[wanted.start : wanted.start + PORTION]
    is_first = wanted.start == 0
    parts = [filters.form(wanted, everyone)] if everyone else []
    if wanted.is_narrow:
        parts.append(f'\n<p class="found" role="status">{len(found)} of {len(everyone)} instances match.</p>')
    if is_first and len(found) > PORTION:
        parts.append(overview(found))
    parts.append(_cards(wanted, shown, trends or {}, now_ms=moment_of(fleet)))
    parts.append(_further(wanted, shown=len(shown), found=len(found)))
    return document(
        fleet,
        title=_title(fleet),
        top=_top(fleet, wanted),
        body="".join(parts),
        scripts=("wall.js",),
        styles=("wall.css",),
    )


def _title(fleet: Fleet) -> str:
    """Return what a browser tab can say in a few letters."""
    return "no live data" if trouble(fleet) else _told(fleet)


def _told(fleet: Fleet) -> str:
    """Return the fleet's verdict in a few words."""
    if fleet.snapshot is None:
        return "no data"
    counts = _counts(fleet)
    total, healthy = sum(counts.values()), counts[Verdict.HEALTHY]
    if healthy == total:
        return f"all {total} healthy" if total else "no instances"
    word = "unknown" if counts[Verdict.UNKNOWN] == total - healthy else "not healthy"
    return f"{total - healthy} of {total} {word}"


def _counts(fleet: Fleet) -> Counter[Verdict]:
    return Counter(standing.verdict for standing in fleet.standings.values())


def _top(fleet: Fleet, wanted: Filter) -> str:
    """Return the fleet's verdict, which is that of its worst instance, and how many have each."""
    counts = _counts(fleet)
    worst = next((verdict for verdict in ORDER if counts[verdict]), Verdict.UNKNOWN)
    told = f"<span>{_told(fleet)}</span>"
    if fleet.problem and counts:
        worst, told = Verdict.UNKNOWN, f"last known: {told}"
    items = "".join(_count(verdict, counts[verdict], wanted) for verdict in ORDER if counts[verdict])
    return f'<h1 class="headline {worst}">{sign(worst)}{told}</h1>\n  <ul class="counts">{items}</ul>'


def _count(verdict: Verdict, count: int, wanted: Filter) -> str:
    """Return how many instances have a verdict, as a link to these, and back to all."""
    is_current = wanted.verdict == verdict
    current = ' aria-current="true"' if is_current else ""
    address = escape(wanted.link(verdict=filters.ALL if is_current else verdict, start=0))
    told = f'<a href="{address}"{current}>{sign(verdict)}<b>{count}</b> {verdict}</a>'
    return f'<li class="{verdict}" data-id="{verdict}">{told}</li>'


def _cards(wanted: Filter, shown: Sequence[Standing], trends: Mapping[InstanceKey, Trend], *, now_ms: int) -> str:
    """Return one portion of cards."""
    cards = "".join(card(standing, trends.get(standing.instance.key), now_ms=now_ms) for standing in shown)
    few = " few" if wanted.start == 0 and len(shown) <= 3 else ""
    label = f"Instances from {wanted.start + 1}" if wanted.start else "Instances"
    return f'\n<section class="cards{few}" aria-label="{label}" data-start="{wanted.start}">{cards}</section>'


def _further(wanted: Filter, *, shown: int, found: int) -> str:
    """Return the links to the portions before and after this one."""
    end = wanted.start + shown
    links = []
    if wanted.start:
        address = escape(wanted.link(start=max(0, wanted.start - PORTION)))
        links.append(f'<a class="previous" href="{address}">Previous</a>')
    if end < found:
        address = escape(wanted.link(start=end))
        links.append(f'<a class="next" href="{address}">Next: {end + 1} to {min(end + PORTION, found)} of {found}</a>')
    return f'\n<p class="portions">{" ".join(links)}</p>' if links else ""
