"""Every reason that can be met, in words. Pure."""

from __future__ import annotations

from jobs.health.model import FailureClass, Severity
from jobs.health.rules import RULES
from jobs.health.staleness import OBSERVATION_STALE, STALE_ADVICE, STALE_MEANS


def reasons() -> list[dict[str, str]]:
    """Return every reason that can be met, in the order of the rules, with what to do."""
    known = [
        {
            "code": rule.code,
            "failureType": rule.failure_class,
            "severity": rule.severity,
            "means": rule.means,
            "advice": rule.advice,
            "runbook": runbook(rule.code),
        }
        for rule in RULES
    ]
    return [*known, _STALE]


def runbook(code: str) -> str:
    """Return where the runbook of a reason lies in this project."""
    return f"docs/runbooks/{code}.md"


_STALE = {
    "code": OBSERVATION_STALE,
    "failureType": FailureClass.NONE,
    "severity": Severity.UNKNOWN,
    "means": STALE_MEANS,
    "advice": STALE_ADVICE,
    "runbook": runbook(OBSERVATION_STALE),
}
