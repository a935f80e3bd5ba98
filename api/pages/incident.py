"""One incident as a story in time order, and one attempt by itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from api.fleet import Fleet
from api.pages.attempts import attempts_table, outcome, wanted_by
from api.pages.document import document, moment, sign
from api.pages.evidence import evidence
from api.pages.instance import word
from api.pages.names import coded, incident_link, named
from api.pages.plan import closing, policy_of
from api.pages.tables import table
from api.pages.times import lasted, when
from api.pages.why import reasons_table
from api.story import Event, Step
from api.views.evidence import Bundle
from jobs.health.causes import is_common
from jobs.health.holds import HOLDS
from jobs.health.incident import Incident
from jobs.health.model import InstanceKey, Severity, Verdict
from jobs.health.recovery import Attempt, AttemptOutcome, Plan

UP = "../"

_FIRST = "The first of the bad ticks that opened it."
_COMMON = "What was seen when it was opened."
_LATER = "What was seen at the tick that opened it; that of the first bad one isn't among what is told here."


@dataclass(frozen=True, slots=True)
class Told:
    """An incident with all that happened in it.

    names: public id of each instance that is in the inventory. plan: of now, None where none is.
    kept: by attempt, its bundle or why there is none; of attempts that aren't here, only their own page tells.
    has_more_changes: there were earlier changes than those among the events.
    """

    incident: Incident
    events: Sequence[Event]
    attempts: Sequence[Attempt]
    plan: Plan | None
    names: Mapping[InstanceKey, str]
    kept: Mapping[int, Bundle | str]
    has_more_changes: bool = False


def render(fleet: Fleet, told: Told) -> str:
    """Return the whole document of an incident."""
    one = told.incident
    is_open = one.closed_at_ms is None
    state = "open" if is_open else "closed"
    verdict = one.verdict if is_open else Verdict.HEALTHY
    since = (
        moment(one.opened_at_ms, "for ") if is_open else f"after {lasted((one.closed_at_ms or 0) - one.opened_at_ms)}"
    )
    return document(
        fleet,
        title=f"incident {one.id} {state}",
        top=f'<h1 class="headline">Incident {escape(one.id)}</h1>'
        f'<p class="verdict {verdict}">{sign(verdict)} <b>{state}</b> {since}</p>',
        body=f'<div class="detail">{_facts(told)}{_members(told)}{_story(told, fleet)}</div>',
        up=UP,
        styles=("detail.css",),
    )


def render_attempt(fleet: Fleet, one: Attempt, kept: Bundle | str, names: Mapping[InstanceKey, str]) -> str:
    """Return the whole document of one attempt."""
    rows = [
        ("instance", named(one.key, names, up=UP)),
        ("incident", incident_link(one.incident, up=UP) if one.incident else "none was open"),
        ("wanted by", wanted_by(one)),
        ("for", ", ".join(f"<code>{escape(code)}</code>" for code in one.codes) or "nothing named"),
        ("Job or process", escape(one.job) if one.job else "not known to exist"),
        ("outcome", outcome(one)),
    ]
    if one.session_seconds_lost is not None:
        rows.append(("people's time that it cost", f"{one.session_seconds_lost:g} s"))
    moments = (("booked", one.booked_at_ms), ("act begun", one.acted_at_ms), ("ended", one.ended_at_ms))
    rows += [
        (name, "not yet" if at_ms is None and one.outcome is None else "never" if at_ms is None else when(at_ms))
        for name, at_ms in moments
    ]
    return document(
        fleet,
        title=f"attempt {one.id} {one.outcome or one.state}",
        top=f'<h1 class="headline">Attempt {one.id}: {one.action}</h1>',
        body=f'<div class="detail"><section class="panel"><h2>What it was</h2>{table(rows)}</section>'
        f'<section class="panel"><h2>Evidence</h2>{evidence(one, kept, up=UP)}</section></div>',
        up=UP,
        styles=("detail.css",),
    )


def _facts(told: Told) -> str:
    one = told.incident
    rows = [
        ("cause" if is_common(one.key) else "instance", named(one.key, told.names, up=UP)),
        ("opened", when(one.opened_at_ms)),
        ("closed", "still open" if one.closed_at_ms is None else when(one.closed_at_ms)),
        ("lasted", "" if one.closed_at_ms is None else lasted(one.closed_at_ms - one.opened_at_ms)),
        ("worst verdict", word(one.verdict)),
        ("class", one.failure_class),
        ("reasons met", coded(one.codes)),
    ]
    attempts = f"<h3>Attempts</h3>{attempts_table(told.attempts, up=UP)}" if told.attempts else ""
    return f'<section class="panel"><h2>In short</h2>{table([row for row in rows if row[1]])}{attempts}</section>'


def _members(told: Told) -> str:
    """Return the instances that this incident explains."""
    if not told.incident.members:
        return ""
    members = "".join(f"<li>{_member(key, told)}</li>" for key in told.incident.members)
    return (
        f'<section class="panel"><h2>Members</h2><p>They fell ill together; each has an incident of its own, '
        f'and nothing is done about any of them alone.</p><ul class="members">{members}</ul></section>'
    )


def _member(key: InstanceKey, told: Told) -> str:
    name, link = told.names.get(key), named(key, told.names, up=UP)
    if name is None:
        return link
    return f'{link}, <a href="{UP}incidents?instance={quote(name, safe="")}">its incidents</a>'


def _story(told: Told, fleet: Fleet) -> str:
    events, before_ms = [], told.incident.opened_at_ms
    for one in told.events:
        events.append(_event(one, told, since_ms=one.at_ms - before_ms))
        before_ms = one.at_ms
    left_out = (
        '<p class="why-not">Earlier changes are left out; the newest are told.</p>' if told.has_more_changes else ""
    )
    steps = f'<ol class="story">{"".join(events)}{_now(told, fleet)}</ol>'
    return f'<section class="panel"><h2>The story</h2>{left_out}{steps}</section>'


def _event(one: Event, told: Told, *, since_ms: int) -> str:
    title, body = _TELL[one.step](one, told)
    after = f'<span class="after">{lasted(since_ms)} after that</span>' if since_ms > 0 else ""
    name = f"{one.step.name.lower()}-{one.attempt.id if one.attempt else one.at_ms}"
    return (
        f'<li class="step {_colour(one)}" data-id="{name}"><p class="at">{when(one.at_ms)} {after}</p>'
        f"<h3>{title}</h3>{body}</li>"
    )


def _colour(one: Event) -> str:
    """Return the verdict whose colour a step bears, empty for none."""
    if one.step is Step.ENDED and one.attempt:
        return Verdict.HEALTHY if one.attempt.outcome is AttemptOutcome.HEALED else Verdict.DEGRADED
    return one.verdict or ""


def _opened(one: Event, told: Told) -> tuple[str, str]:
    lead = _FIRST if one.is_exact else _COMMON if is_common(told.incident.key) else _LATER
    return "Opened", f"<p>{lead}</p>{reasons_table(one.reasons)}"


def _changed(one: Event, _: Told) -> tuple[str, str]:
    """Return the faults that are new with all that was measured, and in a line each those that go on or went."""
    faults = [reason for reason in one.reasons if reason.severity is not Severity.FINDING]
    new = [reason for reason in faults if reason.code not in one.told]
    codes = {reason.code for reason in faults}
    findings = [reason.code for reason in one.reasons if reason.severity is Severity.FINDING]
    lines = (
        ("still", sorted(codes & one.told)),
        ("no more", sorted(one.told - codes)),
        ("findings, which are no faults", findings),
    )
    told = "".join(_line(lead, named) for lead, named in lines if named)
    body = reasons_table(new) + told
    return f"Judged {word(one.verdict or Verdict.UNKNOWN)}", body or "<p>No reason holds.</p>"


def _line(lead: str, codes: Iterable[str]) -> str:
    return f"<p>{lead.capitalize()}: {coded(codes)}</p>"


def _planned(one: Event, _: Told) -> tuple[str, str]:
    plan = one.plan
    return "Planned", f"<p>{escape(plan.detail)}.</p>" if plan else ""


def _held(one: Event, _: Told) -> tuple[str, str]:
    return "Held back", _hold(one.plan) if one.plan else ""


def _hold(plan: Plan) -> str:
    means = f" {escape(HOLDS[plan.hold].means)} It ends {escape(HOLDS[plan.hold].ends)}." if plan.hold else ""
    return f"<p><code>{plan.hold or ''}</code> {escape(plan.detail)}.{means}</p>"


def _booked(one: Event, _: Told) -> tuple[str, str]:
    attempt = one.attempt
    if attempt is None:
        return "", ""
    job = f"Job <code>{escape(attempt.job)}</code>" if attempt.job else "No Job is known of it"
    codes = f" for {escape(', '.join(attempt.codes))}" if attempt.codes else ""
    return (
        f'<a href="{UP}attempts/{attempt.id}">Attempt {attempt.id}</a>: {attempt.action}',
        f"<p>Booked in the ledger{codes}, wanted by {wanted_by(attempt)}. {job}.</p>",
    )


def _acted(one: Event, told: Told) -> tuple[str, str]:
    attempt = one.attempt
    if attempt is None:
        return "", ""
    return f"The act: {attempt.action}", "" if attempt.outcome else _proof(attempt, told)


def _ended(one: Event, told: Told) -> tuple[str, str]:
    attempt = one.attempt
    if attempt is None:
        return "", ""
    lost = attempt.session_seconds_lost
    cost = f"<p>It cost people {lost:g} s of their sessions.</p>" if lost else ""
    detail = f"<p>{escape(attempt.detail)}.</p>" if attempt.detail else ""
    return f"The proof: {attempt.outcome}", f"{detail}{cost}{_proof(attempt, told)}"


def _proof(attempt: Attempt, told: Told) -> str:
    kept = told.kept.get(attempt.id)
    if kept is None:
        return f'<p><a href="{UP}attempts/{attempt.id}">Its evidence</a></p>' if attempt.has_evidence else ""
    return evidence(attempt, kept, up=UP)


def _closed(one: Event, _: Told) -> tuple[str, str]:
    return "Closed", f"<p>Judged {word(one.verdict or Verdict.HEALTHY)}, for long enough to count as over.</p>"


_TELL = {
    Step.OPENED: _opened,
    Step.CHANGED: _changed,
    Step.PLANNED: _planned,
    Step.HELD: _held,
    Step.BOOKED: _booked,
    Step.ACTED: _acted,
    Step.ENDED: _ended,
    Step.CLOSED: _closed,
}


def _now(told: Told, fleet: Fleet) -> str:
    """Return what is next, while the incident is open."""
    plan = told.plan
    if told.incident.closed_at_ms is not None or plan is None:
        return ""
    running = next((one for one in told.attempts if one.outcome is None), None)
    if running is not None:
        link = f'<a href="{UP}attempts/{running.id}">Attempt {running.id}</a>'
        body = f"<p>{link}, {running.action}, is {running.state}. What comes after it is planned once it has ended.</p>"
        return f'<li class="step next" data-id="next"><h3>Now: {running.action}</h3>{body}</li>'
    standing = next((one for one in fleet.standings.values() if one.instance.key == plan.key), None)
    if standing and standing.is_well_again:
        body = f"<p>Nothing is wrong now. {closing(standing, policy_of(fleet))}</p>"
        return f'<li class="step next" data-id="next"><h3>Next: it closes</h3>{body}</li>'
    title = f"Next: {plan.action}" if plan.action else "Next: nothing"
    body = _hold(plan) if plan.hold else f"<p>{escape(plan.detail)}.</p>"
    until = ""
    if plan.until_ms is not None and plan.hold:
        until = f"<p>No earlier than {when(plan.until_ms, is_ahead=True)}.</p>"
    return f'<li class="step next" data-id="next"><h3>{title}</h3>{body}{until}</li>'
