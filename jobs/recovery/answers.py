"""What an agent's answer to an act means for the attempt; pure."""

from __future__ import annotations

from http import HTTPStatus

from jobs.health.recovery import AttemptOutcome, Hold
from jobs.probe.actions import NO_KEY, Done, Refused, Silent
from jobs.recovery.fence import stood_down
from jobs.store.ledger import Ending

# Codes of agent.actions.door. What can't be done here sends the ladder to a more disruptive rung, so only a plain word
# counts as such; whatever else a no may mean, another act wouldn't fare better.
_NOT_HERE = frozenset({"cannot", "not-allowed"})
_NOT_NOW = {
    NO_KEY: Hold.NO_KEY,
    "acts-off": Hold.NO_KEY,
    "unsigned": Hold.NO_KEY,
    "bad-signature": Hold.NO_KEY,
    "busy": Hold.ATTEMPT_RUNNING,
    "quota-spent": Hold.BUDGET_SPENT,
    "challenge-expired": Hold.COOL_DOWN,
}


def refused(answer: Refused) -> Ending:
    """Return what an agent's no means: not here at all, or only not now."""
    if answer.code == "other-pod":
        return Ending(AttemptOutcome.SUPERSEDED, answer.detail)
    if answer.code in _NOT_HERE or answer.status == HTTPStatus.NOT_FOUND:
        return Ending(AttemptOutcome.REFUSED, answer.detail)
    return stood_down(_NOT_NOW.get(answer.code, Hold.IDENTITY_UNPROVEN), answer.detail)


def said(done: Done | Silent) -> str:
    """Return what the agent said of the act."""
    if isinstance(done, Silent):
        return f"its answer got lost: {done.detail}"
    effect = {True: "took effect", False: "took no effect", None: "may have taken effect"}[done.held]
    return f"the act {effect}: {done.detail}"
