"""Situations that a plan is made of: by default a fault, a pod whose agent does all acts, and nothing in the way."""

from dataclasses import replace

from builders import a_report, an_assessment, changed
from pods import a_pod, a_pods_instance

from agent.report import Actions, HealthReport
from jobs.health.model import Assessment, Evidence, InstanceKey
from jobs.health.policy import Policy
from jobs.health.recovery import Action, Attempt, AttemptOutcome, AttemptState, Origin
from jobs.health.situation import Leave, Situation

NOW_MS = 1_800_000_000_000
WITNESSED_MS = 10_000_000
INSTANCE = replace(a_pods_instance(a_pod(restarts=2)), uid="uid-1")
ACTS = Actions(can=[action.value for action in Action if action is not Action.DELETE_POD])


def acting_report(**blocks) -> HealthReport:
    """Return the report of an agent that does all acts."""
    return changed(a_report(agent={"uid": "uid-1"}), **{"actions": ACTS, **blocks})


def lasting(*codes: str, seconds: float = 60.0) -> Assessment:
    """Return the assessment in which these codes have held for so long."""
    made = an_assessment(*codes, at_ms=NOW_MS)
    evidence = (Evidence("seen", value=True, since_ms=NOW_MS - round(seconds * 1000)),)
    return replace(made, reasons=tuple(replace(reason, evidence=evidence) for reason in made.reasons))


def a_situation(*codes: str, policy: Policy | None = None, **fields) -> Situation:
    """Return the situation in which these codes hold."""
    defaults = {
        "instance": INSTANCE,
        "assessment": lasting(*codes),
        "report": acting_report(),
        "incident": "incident-1",
        "leave": Leave(policy or Policy()),
        "now_ms": NOW_MS,
        "witnessed_ms": WITNESSED_MS,
    }
    return Situation(**{**defaults, **fields})


def an_attempt(
    action: Action | str,
    outcome: AttemptOutcome | str | None,
    *,
    codes: tuple[str, ...] = ("QemuStuck",),
    ended_seconds_ago: float = 600.0,
    attempt_id: int = 1,
) -> Attempt:
    """Return an attempt of the incident; outcome: None while it runs."""
    spent_ms = WITNESSED_MS - round(ended_seconds_ago * 1000)
    return Attempt(
        id=attempt_id,
        key=InstanceKey(INSTANCE.key),
        incident="incident-1",
        number=attempt_id,
        action=Action(action),
        uid="uid-1",
        restarts=2,
        codes=codes,
        origin=Origin.POLICY,
        requested_by="",
        is_forced=False,
        state=AttemptState.ENDED if outcome else AttemptState.RUNNING,
        job=None,
        runner=None,
        booked_ms=spent_ms,
        acted_ms=spent_ms,
        spent_ms=spent_ms,
        booked_at_ms=NOW_MS,
        acted_at_ms=NOW_MS,
        ended_at_ms=NOW_MS if outcome else None,
        outcome=AttemptOutcome(outcome) if outcome else None,
        detail="",
        session_seconds_lost=None,
        has_evidence=False,
    )
