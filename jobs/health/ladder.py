"""What is to be done next about the faults that hold now: the lowest rung that can help and hasn't failed yet; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jobs.health.model import Assessment, Reason, Severity
from jobs.health.recovery import Action, Attempt, AttemptOutcome, Held, Hold
from jobs.health.remedies import ORDER, SELF_HEALING, STREAM_ACTS
from jobs.health.rules import BY_WORD
from jobs.health.situation import Situation

# What somebody wanted so, or what is only beginning or ending: shown, never acted on, whatever else is wrong.
FROZEN: Mapping[str, Hold] = {
    "PausedByOperator": Hold.PAUSED,
    "MonitoringOff": Hold.PAUSED,
    "Booting": Hold.BOOT_GRACE,
    "PodStarting": Hold.BOOT_GRACE,
    "Migrating": Hold.NOT_ACTIONABLE,
    "GuestSuspended": Hold.NOT_ACTIONABLE,
    "PodTerminating": Hold.NOT_ACTIONABLE,
    "PodStuckTerminating": Hold.NOT_ACTIONABLE,
}

# The rung was climbed and the fault was still there.
_FAILED = frozenset({AttemptOutcome.NO_EFFECT, AttemptOutcome.WORSE, AttemptOutcome.REFUSED, AttemptOutcome.UNKNOWN})
_COUNTED = _FAILED | {AttemptOutcome.HEALED}


@dataclass(frozen=True, slots=True)
class Rung:
    """The next act, and the faults that it answers, worst first."""

    action: Action
    codes: tuple[str, ...]


def next_rung(situation: Situation) -> Rung | Held:
    """Return what is to be done next, or why there is nothing to do."""
    assessment = situation.assessment
    if assessment is None:
        return Held(Hold.NOT_ACTIONABLE, "nobody has looked at the instance at this tick")
    for reason in assessment.reasons:
        if reason.code in FROZEN:
            return Held(FROZEN[reason.code], f"{reason.code} holds, and nothing is done while it does")
    if situation.wish and situation.wish.action:
        return _as_asked(situation, assessment, situation.wish.action)
    faults = _faults(situation, assessment)
    return faults if isinstance(faults, Held) else _climb(situation, faults)


def _as_asked(situation: Situation, assessment: Assessment, action: Action) -> Rung | Held:
    """Return the act that a person named, with the faults that it answers, if any."""
    why = _impossible(situation, action)
    if why:
        return Held(Hold.NOT_ACTIONABLE, f"{action} can't be done here: {why}")
    remedies = situation.leave.policy.remedies
    return Rung(action, tuple(one.code for one in assessment.reasons if action in remedies.get(one.code, ())))


def _faults(situation: Situation, assessment: Assessment) -> tuple[str, ...] | Held:
    """Return the faults that hold now and that something answers, worst first."""
    remedies = situation.leave.policy.remedies
    known = [reason for reason in assessment.reasons if remedies.get(reason.code)]
    # Clients suffer from every other layer, so beside one they don't count.
    others = [reason for reason in known if reason.code not in BY_WORD]
    known = others or known
    if not known:
        codes = ", ".join(one.code for one in assessment.reasons if one.severity is not Severity.FINDING)
        return Held(Hold.NOT_ACTIONABLE, f"no act answers {codes}" if codes else "nothing is wrong at this tick")
    if situation.wish:
        return tuple(reason.code for reason in known)
    return _lasting(situation, assessment, known)


def _lasting(situation: Situation, assessment: Assessment, known: Iterable[Reason]) -> tuple[str, ...] | Held:
    """Return the faults that were seen more than once, and that won't pass by themselves any more."""
    codes: list[str] = []
    held: Held | None = None
    for reason in known:
        patience_seconds = situation.leave.policy.recovery.self_heal_seconds if reason.code in SELF_HEALING else 0.0
        lasted_seconds = (assessment.observed_at_ms - _since_ms(reason, assessment)) / 1000
        if lasted_seconds < patience_seconds:
            detail = f"{reason.code} may pass by itself within {patience_seconds:g} s"
            held = held or Held(Hold.SELF_HEALING, detail, patience_seconds - lasted_seconds)
        elif lasted_seconds <= 0:
            held = held or Held(Hold.NOT_ACTIONABLE, f"{reason.code} was seen at one tick only, two are needed")
        else:
            codes.append(reason.code)
    return tuple(codes) or held or ()


def _since_ms(reason: Reason, assessment: Assessment) -> int:
    """Return since when a reason holds; one that doesn't say so is as good as new."""
    return min((one.since_ms for one in reason.evidence if one.since_ms is not None), default=assessment.observed_at_ms)


def _climb(situation: Situation, codes: tuple[str, ...]) -> Rung | Held:
    """Return the lowest rung that is left."""
    is_word = BY_WORD.issuperset(codes)
    # What was done about the stream says nothing of a fault that was measured.
    counted = [one for one in situation.attempts if _was_climbed(one) and (is_word or one.action not in STREAM_ACTS)]
    over = _is_over(situation, counted)
    if over:
        return Held(Hold.NEEDS_HUMAN, over)
    remedies = situation.leave.policy.remedies
    latest = {one.action: one.outcome for one in counted}
    failed = [one for one in counted if one.outcome in _FAILED]
    skipped: list[str] = []
    rungs = sorted({action for code in codes for action in remedies[code]}, key=ORDER.__getitem__)
    for action in rungs:
        answered = tuple(code for code in codes if action in remedies[code])
        if latest.get(action) in _FAILED or _is_passed(action, answered, failed):
            continue
        why = _impossible(situation, action)
        if not why:
            return Rung(action, answered)
        skipped.append(f"{action} can't be done here: {why}")
    tried = [f"{action} ({outcome})" for action, outcome in latest.items() if outcome in _FAILED]
    told = "; ".join([*([f"tried: {', '.join(tried)}"] if tried else []), *skipped])
    # A client's own trouble is its player's, and calls nobody unless something was tried.
    is_ours = bool(tried) or not STREAM_ACTS.issuperset(rungs)
    return Held(Hold.NEEDS_HUMAN if is_ours else Hold.NOT_ACTIONABLE, f"no rung is left for {', '.join(codes)}; {told}")


def _was_climbed(attempt: Attempt) -> bool:
    """Tell whether an attempt shows what its rung can do; one whose pod never got to act only costs budget."""
    is_lost = attempt.outcome is AttemptOutcome.UNKNOWN and attempt.has_never_acted
    return attempt.outcome in _COUNTED and not is_lost


def _is_over(situation: Situation, counted: list[Attempt]) -> str:
    """Say why the incident's ladder has ended, empty where it hasn't."""
    for one in counted:
        if one.outcome is AttemptOutcome.WORSE:
            return f"{one.action} made it worse (attempt {one.id}), so nothing more is tried"
    healed = sum(one.outcome is AttemptOutcome.HEALED for one in counted)
    most = situation.leave.policy.recovery.attempts
    return f"it was healed {healed} times and came back each time" if 0 < most <= healed else ""


def _is_passed(action: Action, answered: tuple[str, ...], failed: Iterable[Attempt]) -> bool:
    """Tell whether a more disruptive rung has failed for one of the same faults: nobody climbs down."""
    return any(ORDER[one.action] > ORDER[action] and not set(answered).isdisjoint(one.codes) for one in failed)


def _impossible(situation: Situation, action: Action) -> str:
    """Say why an act can't be done here, empty where it can, or where the agent says nothing of acts at all."""
    if action is Action.DELETE_POD:
        if situation.instance.pod is None:
            return "there is no pod"
        return "" if situation.leave.may_delete_pod else "component delete-pod isn't applied"
    actions = situation.report.actions if situation.report else None
    if actions is None or actions.error or action in actions.can:
        return ""
    return actions.cannot.get(action, "the agent doesn't know it")
