"""The page for people: the fleet as one HTML document that works without script. Pure.

Every text that comes from the store is escaped; every address is relative, so that a proxy may put it under any path.
"""

from __future__ import annotations

from collections import Counter
from html import escape
from urllib.parse import quote

from agent import __version__
from agent.report import HealthReport
from api import measured, prose
from api.fleet import COLLECTOR, Fleet, Source, Standing
from api.instants import rfc3339
from jobs.health.model import Reason, Severity, Verdict
from jobs.health.staleness import STALE_AFTER_MS
from jobs.health.wording import fact, meaning

# The sick first: that is what somebody opens the page for.
ORDER = (Verdict.UNHEALTHY, Verdict.UNREACHABLE, Verdict.UNKNOWN, Verdict.DEGRADED, Verdict.HEALTHY)

# One sign a verdict, drawn in a 16 x 16 box, so that neither colour nor a font is needed to tell them apart.
_SIGNS = {
    Verdict.HEALTHY: "M3 8.5l3.2 3.2L13 5",
    Verdict.DEGRADED: "M8 3v6M8 12.2v.3",
    Verdict.UNHEALTHY: "M4 4l8 8M12 4l-8 8",
    Verdict.UNREACHABLE: "M2.5 8h3M10.5 8h3M7 11l2-6",
    Verdict.UNKNOWN: "M5.5 6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.6M8 12.4v.3",
}


def render(fleet: Fleet) -> str:
    """Return the whole document."""
    standings = sorted(fleet.standings.values(), key=lambda standing: ORDER.index(standing.verdict))
    return _DOCUMENT.format(
        title=_title(fleet),
        counts=_counts(standings),
        observed=_time(fleet.observed_at_ms, "observed ")
        if fleet.observed_at_ms is not None
        else "nothing observed yet",
        banners="".join(f'<p class="banner" role="status">{text}</p>' for text in _warnings(fleet)),
        cards="".join(_card(standing) for standing in standings),
        version=__version__,
        mode=f", {told}" if (told := prose.mode(fleet)) else "",
    )


def silence(fleet: Fleet) -> str:
    """Return one sentence about a collector that doesn't tick."""
    ticked_at_ms = fleet.snapshot.last_successes.get(COLLECTOR) if fleet.snapshot else None
    if ticked_at_ms is None:
        return "the collector has never committed a tick into this store"
    return f"the collector's last tick was at {rfc3339(ticked_at_ms)}, over {STALE_AFTER_MS // 1000} s ago"


def _title(fleet: Fleet) -> str:
    """Return what a browser tab can say in a few letters."""
    sick = sum(standing.verdict is not Verdict.HEALTHY for standing in fleet.standings.values())
    if fleet.snapshot is None or fleet.problem or fleet.is_silent:
        return "no live data"
    return f"{sick} of {len(fleet.standings)} not healthy" if sick else f"all {len(fleet.standings)} healthy"


def _counts(standings: list[Standing]) -> str:
    """Return how many instances have each verdict that occurs."""
    counts = Counter(standing.verdict for standing in standings)
    return "".join(f'<li class="{v}">{_sign(v)}<b>{counts[v]}</b> {v}</li>' for v in ORDER if counts[v])


def _warnings(fleet: Fleet) -> list[str]:
    """Return, as HTML, everything that keeps this page from telling the truth of now."""
    if fleet.snapshot is None:
        return [f"<b>No data:</b> {escape(fleet.problem)}."]
    warnings = []
    if fleet.problem:
        said = "what it last said" if fleet.source is Source.STORE else "what was published of it last"
        warnings.append(f"<b>The store can't be read now; this is {said}.</b> {escape(fleet.problem)}.")
    stale = sum(standing.is_stale for standing in fleet.standings.values())
    if fleet.is_silent:
        warnings.append(f"<b>Nobody is watching:</b> {escape(silence(fleet))}. Older verdicts read unknown.")
    elif stale:
        warnings.append(f"<b>{stale} of {len(fleet.standings)} not observed lately.</b> Their verdicts read unknown.")
    if fleet.discovery_problem:
        warnings.append(f"<b>The list of instances may be old.</b> {escape(fleet.discovery_problem)}")
    if not fleet.standings:
        warnings.append("<b>No instances.</b> The inventory names none yet.")
    return warnings + [f"<b>{escape(headline)}</b> {escape(detail)}" for headline, detail in prose.banners(fleet)]


def _card(standing: Standing) -> str:
    """Return one instance."""
    public_id = standing.instance.public_id
    latest = standing.latest
    since = "" if latest is None or standing.is_stale else _time(latest.since_ms, "for ")
    seen = "never observed" if latest is None else _time(latest.assessment.observed_at_ms, "observed ")
    return _CARD.format(
        id=escape(public_id),
        href=f"api/instances/{quote(public_id, safe='')}/why",
        name=escape(standing.instance.name),
        description=escape(standing.instance.description),
        verdict=standing.verdict,
        stale=" stale" if standing.is_stale else "",
        sign=_sign(standing.verdict),
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
        f"<small>{_time(picture.taken_at_ms, 'picture ')}</small>"
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
        began = _time(newest.booked_at_ms, "begun ")
        at = began if newest.ended_at_ms is None else _time(newest.ended_at_ms, "ended ")
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


def _sign(verdict: Verdict) -> str:
    """Return the sign of a verdict as a drawing; the word stands beside it, so it is hidden from readers."""
    return f'<svg class="sign" viewBox="0 0 16 16" aria-hidden="true"><path d="{_SIGNS[verdict]}"/></svg>'


def _time(at_ms: int, lead: str) -> str:
    """Return a moment; the script turns its text into an age, `lead` says of what."""
    at = rfc3339(at_ms)
    return f'<time datetime="{at}" data-lead="{lead}">{at[11:19]} UTC</time>'


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

_DOCUMENT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · loco-health</title>
<link rel="stylesheet" href="static/page.css">
<link rel="icon" href="static/icon.svg">
<noscript><meta http-equiv="refresh" content="5"></noscript>
<script src="static/page.js" defer></script>
</head>
<body>
<header class="top">
  <h1>loco-health</h1>
  <ul class="counts">{counts}</ul>
  <p class="observed">{observed}</p>
</header>
<p class="banner lost" role="alert" hidden><b>This page has lost its source.</b> It was true at <span></span>.</p>
<div class="banners">{banners}</div>
<main>{cards}
</main>
<footer class="bottom">
  <a href="api/quality/deep-health">deep health</a>
  <a href="api/incidents">incidents</a>
  <a href="api/runs">runs</a>
  <a href="api/reasons">reasons</a>
  <a href="metrics">metrics</a>
  <a href="openapi.json">OpenAPI</a>
  <span class="mode">loco-health {version}{mode}</span>
</footer>
</body>
</html>
"""
