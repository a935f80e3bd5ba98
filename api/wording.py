"""Reasons in words: what each means, and the numbers that show it. Pure."""

from __future__ import annotations

from api.fleet import OBSERVATION_STALE, STALE_ADVICE, STALE_AFTER_MS
from jobs.health.model import Evidence, FailureClass, Reason, Severity
from jobs.health.rules import RULES

Scalar = float | str | bool | None


def meaning(code: str) -> str:
    """Return what a reason means; a code of a later version stands for itself."""
    return _MEANINGS.get(code, code)


def sentence(reason: Reason) -> str:
    """Return `No QEMU process runs: qemu_healthy no`, the meaning alone where nothing was measured."""
    facts = ", ".join(fact(one) for one in reason.evidence)
    means = meaning(reason.code).removesuffix(".")
    return f"{means}: {facts}" if facts else means


def fact(evidence: Evidence) -> str:
    """Return `frame rate 0.4/s (limit 1/s)`."""
    told = f"{evidence.fact} {_value(evidence.value)}{_unit(evidence.unit)}"
    if evidence.limit is None:
        return told
    return f"{told} (limit {_value(evidence.limit)}{_unit(evidence.unit)})"


def reasons() -> list[dict[str, str]]:
    """Return every reason that can be met, in the order of the rules, with what to do."""
    known = [
        {
            "code": rule.code,
            "failureType": rule.failure_class,
            "severity": rule.severity,
            "means": rule.means,
            "advice": rule.advice,
        }
        for rule in RULES
    ]
    return [*known, _STALE]


def _value(value: Scalar) -> str:
    """Return a value as people write it."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _unit(unit: str) -> str:
    """Return a unit with the space that it needs."""
    return f" {unit}" if unit[:1].isalpha() else unit


_STALE = {
    "code": OBSERVATION_STALE,
    "failureType": FailureClass.NONE,
    "severity": Severity.UNKNOWN,
    "means": f"The latest observation is over {STALE_AFTER_MS // 1000} s old, so nothing is known of now.",
    "advice": STALE_ADVICE,
}

_MEANINGS = {rule.code: rule.means for rule in RULES} | {OBSERVATION_STALE: _STALE["means"]}
