"""Which thresholds of a policy a rule goes by, read from the rule's own code, so that no list of them can rot. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType

from jobs.health.policy import Policy
from jobs.health.rule import Rule
from jobs.health.thresholds import ranges_of

_ROWS = "jobs.health.rows."


# What a pod's annotation sets, or an instance's row in a file.
_WISHES = {name: f"loco-health/{name.replace('_', '-')}" for name in ("expect_motion_seconds", "expect_sound_seconds")}


@dataclass(frozen=True, slots=True)
class Limit:
    """One threshold. key: as a policy file has it, or a pod's annotation; default: None where there is none."""

    key: str
    default: float | None
    allowed: str


def limits_of(rule: Rule) -> list[Limit]:
    """Return the thresholds that a rule's functions name, and those of the functions of the rows that they call."""
    named = {
        name for function in (rule.holds, rule.evidence, rule.needs) if function for name in _names(function, set())
    }
    policy = Policy()
    ranges = ranges_of(Policy).items()
    wishes = [Limit(key, None, "set for each instance") for name, key in _WISHES.items() if name in named]
    return wishes + [Limit(key, getattr(policy, key), str(allowed)) for key, allowed in ranges if key in named]


def _names(function: object, seen: set[object]) -> Iterator[str]:
    """Yield every attribute that a function reads, and that those it calls read."""
    if not isinstance(function, FunctionType) or function in seen:
        return
    seen.add(function)
    names = set(_code_names(function.__code__))
    yield from names
    inner = [cell.cell_contents for cell in function.__closure__ or ()]
    for other in (*inner, *(function.__globals__.get(name) for name in names)):
        if getattr(other, "__module__", "").startswith(_ROWS):
            yield from _names(other, seen)


def _code_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_names(constant)
