"""`kubectl loco explain [CODE]`: what a reason, a hold, a problem or an error means; it asks nobody."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from api.kubectl.errors import NoSuchThing
from api.kubectl.fields import fields, section
from api.kubectl.limits import limits_of
from api.kubectl.printing import NONE, show, table
from api.kubectl.problems import PROBLEMS
from jobs import errors
from jobs.health.bounds import RecoveryBounds
from jobs.health.holds import HOLDS
from jobs.health.ladder import FROZEN
from jobs.health.model import FailureClass, Severity, Verdict
from jobs.health.recovery import Hold
from jobs.health.remedies import CUTTING, REMEDIES, SELF_HEALING
from jobs.health.rule import Rule
from jobs.health.rules import BY_CODE, RULES, VERDICT_OF
from jobs.health.staleness import OBSERVATION_STALE, STALE_ADVICE, STALE_AFTER_MS, STALE_MEANS

# Each that has a name of its own: JobError alone is their root.
ERRORS = [
    one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, errors.JobError) and one is not errors.JobError
]

_UNITS = {"_seconds": " s", "_ticks": " ticks of 15 s"}

# What "below the limit" is about.
_BRAKE_LIMIT = "`brake_instances` ill, or `brake_ratio` of the fleet if that is more"


def _complete(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    return [CompletionItem(code, help=means) for code, _, means in _all() if code.startswith(begun)]


@click.command(short_help="Explain a reason, a hold, a problem or an error.")
@click.argument("code", required=False, metavar="[CODE]", shell_complete=_complete)
def explain(*, code: str | None) -> None:
    """Say what CODE means, its limits, and what is done about it; without one, list all. No cluster is needed.

    A code is a reason, a hold, a problem that the API answers, or an error that ends a job: PROBLEM in `runs`.

    Example: kubectl loco explain QmpTimeout
    """
    show(table(("CODE", "KIND", "MEANS"), _all()) if code is None else _explained(code))


def _explained(code: str) -> list[str]:
    """Return everything that the code is; one word may be a reason and a hold. Raises: NoSuchThing."""
    parts = []
    if code in BY_CODE:
        parts.append(_reason(BY_CODE[code]))
    if code == OBSERVATION_STALE:
        parts.append(_stale())
    if code in list(Hold):
        parts.append(_hold(Hold(code)))
    parts += [_problem(one, when) for one, when in PROBLEMS.items() if one == code]
    parts += [_error(one) for one in ERRORS if one.__name__ == code]
    if not parts:
        known = sorted({each for each, _, _ in _all()})
        near = difflib.get_close_matches(code, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`kubectl loco explain` lists all"
        raise NoSuchThing(f"no reason, hold, problem or error is called {code!r}; {hint}")
    return [line for place, part in enumerate(parts) for line in ([""] if place else []) + part]


def _all() -> Iterable[tuple[str, str, str]]:
    """Return every code with its kind and meaning."""
    yield from ((rule.code, "reason", rule.means) for rule in RULES)
    yield OBSERVATION_STALE, "reason", STALE_MEANS
    yield from ((hold.value, "hold", meaning.means) for hold, meaning in HOLDS.items())
    yield from ((problem, "problem", when) for problem, when in PROBLEMS.items())
    yield from ((error.__name__, "error", _means(error)) for error in ERRORS)


def _reason(rule: Rule) -> list[str]:
    shown = _shown(rule.code, rule.failure_class, rule.severity, rule.means, rule.advice)
    follows = {"Silent beside": ", ".join(sorted(rule.follows))} if rule.follows else {}
    limits = [(one.key, NONE if one.default is None else f"{one.default:g}", one.allowed) for one in limits_of(rule)]
    return [
        *fields(
            {
                **shown,
                **follows,
                "Opens an incident": _opens(rule),
                "Hold": _held(rule.code),
                "Runbook": _runbook(rule.code),
            }
        ),
        *section("Limits", table(("KEY", "DEFAULT", "ALLOWED"), limits) if limits else ()),
        *section("Acts, one after the other", _remedy(rule.code)),
    ]


def _stale() -> list[str]:
    shown = _shown(OBSERVATION_STALE, FailureClass.NONE, Severity.UNKNOWN, STALE_MEANS, STALE_ADVICE)
    return fields(
        {
            **shown,
            "Limit": f"{STALE_AFTER_MS // 1000} s without a tick",
            "Opens an incident": "no",
            "Runbook": _runbook(OBSERVATION_STALE),
        }
    )


def _shown(code: str, failure_class: FailureClass, severity: Severity, means: str, advice: str) -> dict[str, object]:
    verdict = VERDICT_OF[severity]
    reads = f"{verdict}, as a finding beside it" if severity is Severity.FINDING else verdict
    return {"Reason": code, "Means": means, "Verdict": reads, "Class": failure_class, "What helps": advice}


def _opens(rule: Rule) -> str:
    if rule.is_planned:
        return "no, somebody wanted it so"
    if VERDICT_OF[rule.severity] is Verdict.HEALTHY:
        return "no"
    return "yes, once it has lasted"


def _remedy(code: str) -> list[str]:
    return [f"{one}{' (cuts people off)' if one in CUTTING else ''}" for one in REMEDIES.get(code, ())]


def _held(code: str) -> str:
    """Return the hold that a reason brings by itself."""
    if code in FROZEN:
        return f"{FROZEN[code]}: nothing is done while it holds"
    if code in SELF_HEALING:
        return f"{Hold.SELF_HEALING}: first it is left to pass by itself"
    return (
        "" if code in REMEDIES else f"{Hold.NOT_ACTIONABLE}: nothing is known that helps, or nobody is there to do it"
    )


def _hold(hold: Hold) -> list[str]:
    meaning = HOLDS[hold]
    runbook = {"Runbook": _runbook(hold)} if hold in (Hold.COMMON_CAUSE, Hold.FLEET_BRAKE) else {}
    limit = {"Limit": _with_numbers(_BRAKE_LIMIT)} if hold is Hold.FLEET_BRAKE else {}
    return fields(
        {
            "Hold": hold,
            "Means": meaning.means,
            "Ends": _with_numbers(meaning.ends),
            **limit,
            **runbook,
            "More": "docs/recovery.md",
        }
    )


def _with_numbers(text: str) -> str:
    """Return a text with each setting's default behind its name, as `cool_down_seconds` (20 s)."""
    return re.sub(r"`([a-z_]+)`", lambda found: f"{found[0]}{_default(found[1])}", text)


def _default(name: str) -> str:
    """Return ` (20 s)` for a setting of the recovery, nothing for another word."""
    value = getattr(RecoveryBounds(), name, None)
    unit = next((text for end, text in _UNITS.items() if name.endswith(end)), "")
    return "" if value is None else f" ({value:g}{unit})"


def _runbook(code: str) -> str:
    return f"docs/runbooks/{code}.md"


def _problem(problem: str, when: str) -> list[str]:
    return fields({"Problem": problem, "Answered when": when, "More": "docs/api.md"})


def _error(error: type[errors.JobError]) -> list[str]:
    code, next_run = error.exit_code, "; the next run tries again" if error.exit_code == os.EX_TEMPFAIL else ""
    return fields(
        {
            "Error": error.__name__,
            "Means": _means(error),
            "Exit code": f"{code}{next_run}",
            "Shown": "as PROBLEM of `kubectl loco runs`",
            "More": "docs/troubleshooting.md",
        }
    )


def _means(error: type[errors.JobError]) -> str:
    """Return the first sentence of what the error says of itself."""
    return (error.__doc__ or "").partition("\n")[0].partition("; the next run")[0].rstrip(".")
