"""Reasons in words: what each means, and the numbers that show it. Pure."""

from __future__ import annotations

from jobs.health.brake import COMMON_CAUSE, FLEET_BRAKE
from jobs.health.model import Evidence, Reason
from jobs.health.rules import RULES
from jobs.health.staleness import OBSERVATION_STALE, STALE_MEANS

Scalar = float | str | bool | None

_MEANINGS = {rule.code: rule.means for rule in RULES} | {
    OBSERVATION_STALE: STALE_MEANS,
    COMMON_CAUSE: "Several instances that share a node or a new image fell ill together.",
    FLEET_BRAKE: "Too many instances are ill at once without a common cause.",
}


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
    told = f"{evidence.fact} {measure(evidence.value, evidence.unit)}"
    return told if evidence.limit is None else f"{told} (limit {measure(evidence.limit, evidence.unit)})"


def measure(value: Scalar, unit: str) -> str:
    """Return a value with its unit, such as `0.4/s` or `58 s`."""
    return f"{_value(value)}{_unit(unit)}"


def _value(value: Scalar) -> str:
    """Return a value as people write it."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _unit(unit: str) -> str:
    """Return a unit with the space that it needs."""
    unit = unit.removeprefix("1")  # a rate is written 12/s, and "1/s" in full where a unit stands alone
    return f" {unit}" if unit[:1].isalpha() else unit
