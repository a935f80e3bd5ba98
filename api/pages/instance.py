"""One instance: its screen, why it is judged so, what is done about it, its past, its whole report. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from shlex import quote as shell
from urllib.parse import quote

from api import charts
from api.asked import Way
from api.fleet import Fleet, Standing
from api.pages.asking import asking
from api.pages.attempts import attempts_table
from api.pages.blocks import blocks
from api.pages.document import document, moment, sign
from api.pages.names import coded, incident_link
from api.pages.past import Past, charts_of
from api.pages.plan import outlook, policy_of
from api.pages.screen import screen
from api.pages.tables import Row, table, wide_table
from api.pages.times import when
from api.pages.why import why
from api.spans import PERIOD_NAMES
from api.trends import Trend, moment_of, percent, since
from jobs.health.model import FailureClass, Severity, Verdict
from jobs.health.policy import Policy
from jobs.store.reader import Change

UP = "../"

_UNREAD = "<p class=\"why-not\">The store couldn't be read when this page was made, so it isn't told.</p>"


@dataclass(frozen=True, slots=True)
class Told:
    """What the page tells beside the standing, each None where it couldn't be read. changes: the newest first."""

    past: Past | None
    changes: Sequence[Change] | None
    trend: Trend | None
    way: Way | None


def render(fleet: Fleet, standing: Standing, told: Told) -> str:
    """Return the whole document."""
    instance = standing.instance
    return document(
        fleet,
        title=f"{instance.name} {'no live data' if fleet.problem else standing.verdict}",
        top=_top(standing, is_last_known=bool(fleet.problem)),
        body=_body(standing, told, now_ms=moment_of(fleet), policy=policy_of(fleet)),
        up=UP,
        scripts=("recover.js",),
        styles=("detail.css",),
    )


def _top(standing: Standing, *, is_last_known: bool) -> str:
    """Return name, verdict, class, and since when. is_last_known: the store can't be read now."""
    latest = standing.latest
    lasting = "" if latest is None or standing.is_stale else moment(latest.since_ms, "for ")
    layer = "" if standing.failure_class is FailureClass.NONE else f" <i>class {standing.failure_class}</i>"
    shown, lead = (Verdict.UNKNOWN, "last known: ") if is_last_known else (standing.verdict, "")
    return (
        f'<h1 class="headline">{escape(standing.instance.name)}</h1>'
        f'<p class="verdict {shown}">{sign(shown)} <span>{lead}<b>{standing.verdict}</b></span>{layer} {lasting}</p>'
    )


def _body(standing: Standing, told: Told, *, now_ms: int, policy: Policy) -> str:
    public_id = standing.instance.public_id
    attempts = standing.recovery.attempts if standing.recovery else ()
    past = charts_of(told.past, standing.instance.name) if told.past else _UNREAD
    return (
        f'<div class="detail {standing.verdict}{" stale" if standing.is_stale else ""}">'
        f'<div class="beside">{_identity(standing)}<div class="right">{_panel("why", "Why", why(standing))}'
        f'<div class="halves">{_panel("next", "What is done next", outlook(standing, policy) + _incident(standing))}'
        f"{_panel('ask', 'Ask for a recovery', asking(public_id, told.way, up=UP))}</div></div></div>"
        f"{_panel('attempts', 'Attempts of the last hour', attempts_table(attempts, up=UP))}"
        f"{_panel('past', 'Its past', _uptime(told.trend, public_id, now_ms) + past)}"
        f"{_panel('report', 'Its report', _report(standing))}"
        f"{_panel('changes', 'Last changes', _changes(told.changes))}"
        f"{_panel('commands', 'Commands that help', _commands(standing))}</div>"
    )


def _panel(name: str, title: str, body: str) -> str:
    return f'<section class="panel" id="{name}" data-id="{name}"><h2>{title}</h2>{body}</section>'


def _identity(standing: Standing) -> str:
    """Return the live picture and what the instance is."""
    instance = standing.instance
    rows = [
        ("id", escape(instance.public_id)),
        ("key", escape(instance.key)),
        ("known by", "its pod" if instance.pod else "a file"),
        ("found", when(standing.discovered_at_ms)),
        ("report", f"<code>{escape(instance.health_url)}</code>"),
        ("VNC", escape(":".join(map(str, instance.vnc_address))) if instance.vnc_address else "none is offered"),
    ]
    if instance.uid:
        rows.insert(2, ("uid", escape(instance.uid)))
    if standing.latest:
        rows.append(("observed", when(standing.latest.assessment.observed_at_ms)))
    described = f"<p>{escape(instance.description)}</p>" if instance.description else ""
    shown = f'<div class="screen">{screen(standing, up=UP)}</div>'
    return f'<section class="panel identity">{shown}{described}{table(rows)}</section>'


def _incident(standing: Standing) -> str:
    one = standing.incident
    all_of_it = f'<a href="{UP}incidents?instance={quote(standing.instance.public_id, safe="")}">all its incidents</a>'
    if one is None:
        return f"<p>No incident is open; {all_of_it}.</p>"
    link = incident_link(one.id, up=UP, lead="Incident ")
    return f"<p>{link} is open since {when(one.opened_at_ms)}; {all_of_it}.</p>"


def _uptime(trend: Trend | None, public_id: str, now_ms: int) -> str:
    if trend is None:
        return '<p class="why-not">How long it was healthy isn\'t known now.</p>'
    told = "".join(f"<li>{_share(trend, period, now_ms)}</li>" for period in trend.periods)
    return (
        f'<div class="past">{charts.heartbeat(trend.beats, label=f"Last 24 hours of {public_id}")}</div>'
        f'<ul class="shares">{told}</ul>'
    )


def _share(trend: Trend, period: str, now_ms: int) -> str:
    found_at_ms, share = trend.found_at_ms.get(period), trend.uptime(period)
    span = PERIOD_NAMES[period] if found_at_ms is None else since(found_at_ms, now_ms=now_ms)
    return f"{span}: {'not observed' if share is None else f'<b>{percent(share)}</b> healthy'}"


def _report(standing: Standing) -> str:
    """Return every block, and how old they are where they aren't of the latest look."""
    if standing.report is None:
        return '<p class="why-not">No report was ever received, or a ConfigMap answers, which holds none.</p>'
    latest = standing.latest
    at = when(latest.report_at_ms) if latest and latest.report_at_ms is not None else "at an unknown time"
    age = f"<p>Received {at}.</p>"
    if not standing.is_report_current:
        age = f'<p class="why-not">This is the last good one, received {at}; it says nothing of now.</p>'
    return f'{age}<div class="blocks">{blocks(standing.report.fields)}</div>'


def _changes(changes: Sequence[Change] | None) -> str:
    if changes is None:
        return _UNREAD
    if not changes:
        return '<p class="unmeasured">none yet</p>'
    return wide_table("Last changes", ("when", "verdict", "class", "reasons", "incident"), map(_change, changes))


def _change(one: Change) -> Row:
    codes = coded(reason.code for reason in one.reasons)
    faults = any(reason.severity is not Severity.FINDING for reason in one.reasons)
    incident = incident_link(one.incident, up=UP) if one.incident else ""
    failure_class = one.failure_class if faults else ""
    return f"{one.at_ms}-{one.tick}", (when(one.at_ms), word(one.verdict), failure_class, codes, incident)


def word(verdict: Verdict) -> str:
    """Return a verdict as its sign and word."""
    return f'<span class="word {verdict}">{sign(verdict)} {verdict}</span>'


def _commands(standing: Standing) -> str:
    """Return commands for a person at a terminal."""
    instance, pod = standing.instance, standing.instance.pod
    name = shell(instance.public_id)
    lines = [f"kubectl loco why {name}", f"kubectl loco describe {name}"]
    lines += [f"kubectl loco explain {shell(reason.code)}" for reason in standing.reasons[:1]]
    if pod:
        at = f"-n {shell(pod.namespace)}"
        lines += [
            f"kubectl get pod {shell(pod.name)} {at} -o wide",
            f"kubectl describe pod {shell(pod.name)} {at}",
            f"kubectl logs {shell(pod.name)} {at} --all-containers --tail=100",
            f"kubectl get events {at} --field-selector involvedObject.name={shell(pod.name)}",
        ]
    else:
        lines = [f"curl -s {shell(instance.health_url)}"]
    return f'<pre tabindex="0">{escape(chr(10).join(lines))}</pre>'
