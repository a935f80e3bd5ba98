"""The wall: a card an instance, the sick first. Pure."""

from __future__ import annotations

from collections import Counter
from html import escape
from urllib.parse import quote

from agent.report import HealthReport
from api import measured, prose
from api.fleet import Fleet, Standing
from api.pages.document import document, moment, sign
from jobs.health.model import Reason, Severity, Verdict
from jobs.health.wording import fact, meaning

# The sick first: that is what somebody opens the page for.
ORDER = (Verdict.UNHEALTHY, Verdict.UNREACHABLE, Verdict.UNKNOWN, Verdict.DEGRADED, Verdict.HEALTHY)


def render(fleet: Fleet) -> str:
    """Return the whole document."""
    standings = sorted(fleet.standings.values(), key=lambda standing: ORDER.index(standing.verdict))
    return document(
        fleet,
        title=_title(fleet),
        top=f'<ul class="counts">{_counts(standings)}</ul>',
        body="".join(_card(standing) for standing in standings),
    )


def _title(fleet: Fleet) -> str:
    """Return what a browser tab can say in a few letters."""
    sick = sum(standing.verdict is not Verdict.HEALTHY for standing in fleet.standings.values())
    if fleet.snapshot is None or fleet.problem or fleet.is_silent:
        return "no live data"
    return f"{sick} of {len(fleet.standings)} not healthy" if sick else f"all {len(fleet.standings)} healthy"


def _counts(standings: list[Standing]) -> str:
    """Return how many instances have each verdict that occurs."""
    counts = Counter(standing.verdict for standing in standings)
    return "".join(f'<li class="{v}">{sign(v)}<b>{counts[v]}</b> {v}</li>' for v in ORDER if counts[v])


def _card(standing: Standing) -> str:
    """Return one instance."""
    public_id = standing.instance.public_id
    latest = standing.latest
    since = "" if latest is None or standing.is_stale else moment(latest.since_ms, "for ")
    seen = "never observed" if latest is None else moment(latest.assessment.observed_at_ms, "observed ")
    return _CARD.format(
        id=escape(public_id),
        href=f"api/instances/{quote(public_id, safe='')}/why",
        name=escape(standing.instance.name),
        description=escape(standing.instance.description),
        verdict=standing.verdict,
        stale=" stale" if standing.is_stale else "",
        sign=sign(standing.verdict),
        since=since,
        picture=_picture(standing),
        reasons="".join(_reason(reason) for reason in standing.reasons) + _before(standing),
        recovery=_recovery(standing),
        facts=_facts(standing),
        seen=seen,
    )


def _picture(standing: Standing) -> str:
    """Return the screen, or why there is none."""
    picture, report = standing.picture, standing.report
    if picture is None:
        why = report.fields.screen.error if report and report.fields.screen and report.fields.screen.error else ""
        return f'<p class="no-picture">no picture<small>{escape(why)}</small></p>'
    source = (
        f"api/instances/{quote(standing.instance.public_id, safe='')}/screen.png?hash={quote(picture.hash, safe='')}"
    )
    return (
        f'<img src="{escape(source)}" alt="Screen of {escape(standing.instance.name)}" loading="lazy">'
        f"<small>{moment(picture.taken_at_ms, 'picture ')}</small>"
    )


def _reason(reason: Reason) -> str:
    """Return one reason in words, with what was measured and the limit."""
    facts = "".join(f"<li>{escape(fact(one))}</li>" for one in reason.evidence)
    kind = "finding" if reason.severity is Severity.FINDING else "fault"
    return (
        f'<li class="{kind}">{escape(meaning(reason.code))} <code>{escape(reason.code)}</code>'
        f"{f'<ul>{facts}</ul>' if facts else ''}</li>"
    )


def _recovery(standing: Standing) -> str:
    """Return what is done about it next, and what was done last."""
    lines = [escape(prose.outlook(standing))]
    newest = prose.newest(standing)
    if newest:
        began = moment(newest.booked_at_ms, "begun ")
        at = began if newest.ended_at_ms is None else moment(newest.ended_at_ms, "ended ")
        lines.append(f"{escape(prose.outcome(newest))} {at}")
    return "".join(f'<p class="recovery">{line}</p>' for line in lines if line)


def _before(standing: Standing) -> str:
    """Return what the latest assessment said, when it is too old to be the verdict."""
    if standing.latest is None or not standing.is_stale:
        return ""
    made = standing.latest.assessment
    told = " ".join(meaning(reason.code) for reason in made.reasons)
    return f'<li class="finding">Then it was {made.verdict}. {escape(told)}</li>'


def _facts(standing: Standing) -> str:
    """Return what the latest report measured: frames, sound, viewers."""
    report = standing.report.fields if standing.report and standing.is_report_current else None
    rows = (("frames", _frames(report)), ("sound", _sound(report)), ("viewers", _viewers(report)))
    return "".join(f"<div><dt>{term}</dt><dd>{told}</dd></div>" for term, told in rows)


def _frames(report: HealthReport | None) -> str:
    """Return the counted frame rate."""
    rate = measured.frame_rate(report)
    return _UNMEASURED if rate is None else f"{rate:.1f}<small>/s</small>"


def _sound(report: HealthReport | None) -> str:
    """Return the sound level as a bar and a number."""
    level = measured.audio_level(report)
    if level is None:
        return _UNMEASURED
    return f'<meter min="0" max="1" value="{level:.3f}">{level:.2f}</meter> {level:.2f}'


def _viewers(report: HealthReport | None) -> str:
    """Return how many people are connected."""
    count = report.sessions.count if report and report.sessions else None
    return _UNMEASURED if count is None else str(count)


_UNMEASURED = '<span class="unmeasured">not measured</span>'

_CARD = """
<article class="card {verdict}{stale}" data-id="{id}">
  <div class="screen">{picture}</div>
  <header>
    <h2 title="{description}"><a href="{href}">{name}</a></h2>
    <p class="id">{id}</p>
    <p class="verdict">{sign}<b>{verdict}</b> {since}</p>
    <small>{seen}</small>
  </header>
  <ul class="reasons">{reasons}</ul>
  {recovery}
  <dl>{facts}</dl>
</article>"""
