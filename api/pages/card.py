"""One instance on the wall: its screen, verdict, reasons, what is done about it, and its last hour and day. Pure."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from agent.report import HealthReport
from api import charts, prose
from api.fleet import Standing
from api.pages.document import moment, sign
from api.pages.filters import node_of
from api.pages.screen import screen
from api.trends import Trend, percent, since
from jobs.health import measured
from jobs.health.model import FailureClass, Reason, Severity
from jobs.health.people import connected
from jobs.health.wording import fact, meaning

# chosen: what is read at a glance; the rest is folded away.
OPEN_REASONS = 2


def card(standing: Standing, trend: Trend | None, *, now_ms: int) -> str:
    """Return one instance. trend: its past, None where nothing of it is known yet. now_ms: as of when that is told."""
    public_id = standing.instance.public_id
    latest = standing.latest
    return _CARD.format(
        id=escape(public_id),
        href=href(public_id),
        name=escape(standing.instance.name),
        description=escape(standing.instance.description),
        place=_place(standing),
        verdict=standing.verdict,
        stale=" stale" if standing.is_stale else "",
        sign=sign(standing.verdict),
        failure_class="" if standing.failure_class is FailureClass.NONE else f" <i>{standing.failure_class}</i>",
        since="" if latest is None or standing.is_stale else moment(latest.since_ms, "for "),
        picture=screen(standing, is_lazy=True),
        seen="never observed" if latest is None else moment(latest.assessment.observed_at_ms, "observed "),
        reasons=_reasons(standing),
        recovery=_recovery(standing),
        facts=_facts(standing, trend),
        past=_past(trend, now_ms),
    )


def href(public_id: str) -> str:
    """Return the relative address of an instance's own page."""
    return escape(f"instances/{quote(public_id, safe='')}")


def _place(standing: Standing) -> str:
    """Return what it is called by programs, and where it is."""
    return escape(" · ".join(filter(None, (standing.instance.public_id, node_of(standing)))))


def _reasons(standing: Standing) -> str:
    """Return the reasons in words, worst first; more than a few are folded away."""
    told = [_reason(reason) for reason in standing.reasons] + _before(standing)
    shown, folded = told[:OPEN_REASONS], told[OPEN_REASONS:]
    if len(folded) == 1:  # a fold takes as much room as the one that it hides
        shown, folded = told, []
    lists = f'<ul class="reasons">{"".join(shown)}</ul>' if shown else ""
    if not folded:
        return lists
    more = f"<summary>{len(folded)} more reasons</summary>"
    return f'{lists}<details class="more-reasons">{more}<ul class="reasons">{"".join(folded)}</ul></details>'


def _reason(reason: Reason) -> str:
    """Return one reason in words, with what was measured and the limit; a finding's numbers are for its own page."""
    kind = "finding" if reason.severity is Severity.FINDING else "fault"
    facts = "" if kind == "finding" else "".join(f"<li>{escape(fact(one))}</li>" for one in reason.evidence)
    return (
        f'<li class="{kind}">{escape(meaning(reason.code))} <code>{escape(reason.code)}</code>'
        f"{f'<ul>{facts}</ul>' if facts else ''}</li>"
    )


def _before(standing: Standing) -> list[str]:
    """Return what the latest assessment said, when it is too old to be the verdict."""
    if standing.latest is None or not standing.is_stale:
        return []
    made = standing.latest.assessment
    told = " ".join(meaning(reason.code) for reason in made.reasons)
    return [f'<li class="finding">Then it was {made.verdict}. {escape(told)}</li>']


def _recovery(standing: Standing) -> str:
    """Return what is done about it next, and what was done last."""
    lines = [escape(prose.outlook(standing))]
    newest = prose.newest(standing)
    if newest:
        began = moment(newest.booked_at_ms, "begun ")
        at = began if newest.ended_at_ms is None else moment(newest.ended_at_ms, "ended ")
        lines.append(f"{escape(prose.outcome(newest))} {at}")
    return "".join(f'<p class="recovery">{line}</p>' for line in lines if line)


def _facts(standing: Standing, trend: Trend | None) -> str:
    """Return what the latest report measured: frames and sound with their last hour, and who is connected."""
    report = standing.current_report
    frames = _hour(trend.frame_rates if trend else None, "Frames a second in the last hour")
    sound = _hour(trend.levels if trend else None, "Sound level in the last hour", highest=1.0)
    rows = (("sessions", _sessions(report), ""), ("frames", _frames(report), frames), ("sound", _sound(report), sound))
    return "".join(f"<div><dt>{term}</dt><dd>{told}</dd>{line}</div>" for term, told, line in rows)


def _hour(values: tuple[float | None, ...] | None, label: str, *, highest: float | None = None) -> str:
    """Return a small line of the last hour, or why there is none. values: None where they weren't read."""
    if values is None:
        return f'<dd class="line unmeasured">{_UNREAD}</dd>'
    if not any(value is not None for value in values):
        return '<dd class="line unmeasured">none in the last hour</dd>'
    return f'<dd class="line">{charts.spark(values, label=label, highest=highest)}</dd>'


def _frames(report: HealthReport | None) -> str:
    """Return the counted frame rate."""
    rate = measured.frame_rate(report)
    return _UNMEASURED if rate is None else f"{rate:.1f}<small>/s</small>"


def _sound(report: HealthReport | None) -> str:
    """Return the sound level."""
    level = measured.audio_level(report)
    return _UNMEASURED if level is None else f"{level:.2f}<small> of 1</small>"


def _sessions(report: HealthReport | None) -> str:
    """Return how many people are connected, over VNC or a stream, as recovery counts them."""
    count = connected(report)
    return _UNMEASURED if count is None else str(count)


def _past(trend: Trend | None, now_ms: int) -> str:
    """Return the last day as a bar of verdicts, and the uptimes."""
    if trend is None:
        return f'<p class="past unmeasured">{_UNREAD}</p>'
    told = "".join(f"<li>{_share(trend, period, now_ms)}</li>" for period in trend.periods)
    bar = charts.heartbeat(trend.beats, label="Verdicts of the last 24 hours")
    return f'<div class="past">{bar}<ul class="uptimes" aria-label="Healthy ticks, share">{told}</ul></div>'


def _share(trend: Trend, period: str, now_ms: int) -> str:
    found_at_ms, share = trend.found_at_ms.get(period), trend.uptime(period)
    span = _SPANS[period] if found_at_ms is None else since(found_at_ms, now_ms=now_ms)
    return f"{span} <b>{'not observed' if share is None else percent(share)}</b>"


_SPANS = {"24h": "24 h", "7d": "7 d", "30d": "30 d"}

_UNREAD = "history not read yet"

_UNMEASURED = '<span class="unmeasured">not measured</span>'

_CARD = """
<article class="card {verdict}{stale}" data-id="{id}">
  <header>
    <h2 title="{description}"><a href="{href}">{name}</a></h2>
    <p class="id">{place}</p>
    <p class="seen">{seen}</p>
  </header>
  <p class="verdict">{sign}<b>{verdict}</b>{failure_class} {since}</p>
  <div class="screen">{picture}</div>
  {reasons}{recovery}
  <dl class="facts">{facts}</dl>
  {past}
</article>"""
