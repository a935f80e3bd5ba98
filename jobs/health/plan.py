"""From one instance's situation to its plan: first what is to be done, then whether it may be done now; pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jobs.health.ladder import Rung, next_rung
from jobs.health.people import connected
from jobs.health.recovery import Action, AttemptOutcome, Held, Hold, Plan
from jobs.health.remedies import CUTTING, STREAM_ACTS
from jobs.health.situation import Situation

# chosen: two readings of the clocks a tick apart differ by less; a label that moved less says nothing new.
_SAME_MS = 2000


def plan_recovery(situation: Situation) -> Plan:
    """Return what is to be done next about one instance, or why nothing is; total, and costs about 20 us."""
    rung = next_rung(situation)
    if isinstance(rung, Held):
        return _steady(_plan(situation, None, rung, _wanted_ms(situation, None)), situation.before)
    held = next((held for gate in GATES if (held := gate(situation, rung))), None)
    wanted_ms = _wanted_ms(situation, rung.action)
    if held is None:
        wanted_ms = situation.witnessed_ms if wanted_ms is None else wanted_ms
        held = _users(situation, rung, wanted_ms) or _dry_run(situation, rung)
    return _steady(_plan(situation, rung, held, wanted_ms), situation.before)


def _plan(situation: Situation, rung: Rung | None, held: Held | None, wanted_ms: int | None) -> Plan:
    instance, wait_seconds = situation.instance, held.wait_seconds if held else None
    is_cutting = rung is not None and rung.action in CUTTING
    return Plan(
        incident=situation.incident,
        key=instance.key,
        decided_at_ms=situation.now_ms,
        action=rung.action if rung else None,
        hold=held.hold if held else None,
        detail=_detail(rung, held),
        until_ms=None if wait_seconds is None else situation.now_ms + round(wait_seconds * 1000),
        uid=instance.uid,
        restarts=instance.pod.restarts if instance.pod else None,
        codes=rung.codes if rung else _codes(situation),
        is_cutting=is_cutting,
        wanted_ms=wanted_ms if is_cutting or rung is None else None,
    )


def _codes(situation: Situation) -> tuple[str, ...]:
    return tuple(reason.code for reason in situation.assessment.reasons) if situation.assessment else ()


def _detail(rung: Rung | None, held: Held | None) -> str:
    if rung is None:
        return held.detail if held else ""
    if held is None:
        return f"{rung.action} is due for {', '.join(rung.codes)}" if rung.codes else f"{rung.action} is due, as asked"
    return f"{rung.action} waits: {held.detail}"


def _steady(plan: Plan, before: Plan | None) -> Plan:
    """Return the plan before where it said the same: `decided_at_ms` is since when."""
    if before is None or plan.is_due:
        return plan
    moved_ms = abs((plan.until_ms or 0) - (before.until_ms or 0))
    is_same = replace(plan, decided_at_ms=before.decided_at_ms, until_ms=before.until_ms) == before
    return before if is_same and moved_ms < _SAME_MS else plan


def _wanted_ms(situation: Situation, action: Action | None) -> int | None:
    """Return since when this act is wanted and nothing but people stood in its way; None where that is new.

    A tick without an act (action None: a lost report, a good moment of a fault that flaps) lets the wait run on, or
    people would be waited for without end. An act ends it: when its fault comes back, people are waited for anew.
    """
    before = situation.before
    if before is None or before.wanted_ms is None:
        return None
    is_another = action is not None and before.action not in (None, action)
    has_acted = any(
        action in (None, one.action) and one.acted_ms is not None and one.acted_ms >= before.wanted_ms
        for one in situation.attempts
    )
    return None if is_another or has_acted else before.wanted_ms


def _switches(situation: Situation, _: Rung) -> Held | None:
    stop = situation.stop
    if stop is None:
        return None
    return Held(stop.hold, stop.detail, _seconds_until(stop.until_ms, situation))


def _pod_wishes(situation: Situation, _: Rung) -> Held | None:
    """Hold what the pod's annotations forbid."""
    pod = situation.instance.pod
    if pod is None:
        return None
    if pod.is_recovery_off:
        return Held(Hold.PAUSED, "annotation loco-health/recovery of the pod is off, or one of ours can't be taken")
    until_ms = pod.maintenance_until_ms
    if until_ms is not None and situation.now_ms < until_ms:
        detail = "the pod is in maintenance by annotation loco-health/maintenance-until"
        return Held(Hold.PAUSED, detail, _seconds_until(until_ms, situation))
    return None


def _seconds_until(at_ms: int | None, situation: Situation) -> float | None:
    return None if at_ms is None else (at_ms - situation.now_ms) / 1000


def _ledger(*holds: Hold) -> Callable[[Situation, Rung], Held | None]:
    """Return a gate that lets only these of the ledger's answers hold."""

    def gate(situation: Situation, rung: Rung) -> Held | None:
        refusal = _any_refusal(situation, rung)
        return refusal if refusal and refusal.hold in holds else None

    return gate


def _any_refusal(situation: Situation, rung: Rung) -> Held | None:
    """Return the ledger's no; an act on the stream that no person asks for leaves the last attempt to others."""
    held = situation.stream_refusal
    if situation.refusal or held is None or not _is_by_word(situation, rung):
        return situation.refusal
    return replace(held, detail=f"{held.detail} on a stream")


def _brake(situation: Situation, rung: Rung) -> Held | None:
    return situation.brake or (situation.stream_brake if _is_by_word(situation, rung) else None)


def _is_by_word(situation: Situation, rung: Rung) -> bool:
    """Tell whether nothing but what browsers post asks for this."""
    return rung.action in STREAM_ACTS and situation.wish is None


def _identity(situation: Situation, rung: Rung) -> Held | None:
    """Hold where it isn't proven which pod the act would meet."""
    pod, report = situation.instance.pod, situation.report
    why = ""
    if pod is not None and pod.is_stale:
        why = "the pod's namespace can't be listed now, so the pod may be another one"
    elif pod is not None and situation.instance.uid is None:
        why = "the pod's uid isn't known"
    elif rung.action is Action.DELETE_POD:
        return None  # Kubernetes checks the uid itself
    elif report is None:
        why = "the agent sent no report at this tick"
    elif report.is_legacy or (situation.instance.uid and (report.agent is None or report.agent.uid is None)):
        why = "the report carries no pod uid"
    return Held(Hold.IDENTITY_UNPROVEN, why) if why else None


def _key(situation: Situation, rung: Rung) -> Held | None:
    """Hold where the agent does no acts."""
    if rung.action is Action.DELETE_POD or situation.report is None:
        return None
    actions = situation.report.actions
    if actions is None:
        return Held(Hold.NO_KEY, "the agent's report says nothing of acts")
    return Held(Hold.NO_KEY, f"the agent does no acts: {actions.error}") if actions.error else None


def _settling(situation: Situation, _: Rung) -> Held | None:
    """Hold while it may still show what an attempt did whose end nobody saw."""
    last = situation.attempts[-1] if situation.attempts else None
    if last is None or last.outcome is not AttemptOutcome.UNKNOWN or last.has_never_acted or situation.is_forced:
        return None
    settle_seconds = situation.leave.policy.recovery.settle_seconds
    wait_seconds = settle_seconds - (situation.witnessed_ms - last.spent_ms) / 1000
    detail = f"nobody saw the end of attempt {last.id}, {settle_seconds:g} s are to show what it did"
    return Held(Hold.COOL_DOWN, detail, wait_seconds) if wait_seconds > 0 else None


def _users(situation: Situation, rung: Rung, wanted_ms: int) -> Held | None:
    """Hold an act that would cut people off, as long as they are waited for."""
    if rung.action not in CUTTING or situation.is_forced:
        return None
    people = connected(situation.report)
    most_seconds = situation.leave.policy.recovery.user_wait_seconds
    wait_seconds = most_seconds - (situation.witnessed_ms - wanted_ms) / 1000
    if people == 0 or wait_seconds <= 0:
        return None
    there = "nobody can tell who is connected" if people is None else f"{people} connected"
    return Held(Hold.USER_CONNECTED, f"{there}; after {most_seconds:g} s it is done all the same", wait_seconds)


def _dry_run(situation: Situation, rung: Rung) -> Held | None:
    if not situation.leave.is_dry_run:
        return None
    return Held(Hold.DRY_RUN, f"it would be done now for {', '.join(rung.codes) or 'a person'}, but this is a dry run")


# In this order; `_users` and `_dry_run` come last. docs/recovery.md has the order from jobs.health.holds.
GATES: tuple[Callable[[Situation, Rung], Held | None], ...] = (
    _switches,
    _pod_wishes,
    _ledger(Hold.LEDGER_UNREAD, Hold.ATTEMPT_RUNNING),
    _brake,
    _identity,
    _key,
    _ledger(Hold.BUDGET_SPENT),
    _settling,
    _any_refusal,
)
