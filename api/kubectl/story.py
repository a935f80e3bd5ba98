"""What the API tells about one instance, as text for people: reasons, recovery, incidents, changes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from api.instants import parse_rfc3339
from api.kubectl.ages import UNKNOWN, age, ago, span, until
from api.kubectl.fields import fields
from api.kubectl.printing import NONE, plain, table
from api.kubectl.told import codes
from jobs.health.wording import Scalar, measure

_EVIDENCE_HEAD = ("FACT", "VALUE", "LIMIT", "WITNESS", "SINCE")


def reasons(found: Iterable[Mapping[str, Any]], now_ms: int) -> list[str]:
    """Return each reason's sentence, and its evidence as a table under it."""
    lines: list[str] = []
    for one in found:
        lines.append(f"{plain(one['code'])} ({one['severity']}, class {one['failureType']})")
        lines.append(f"  {plain(one['text'])}")
        lines += [f"  {line}" for line in _evidence(one["evidence"], now_ms)]
    return lines


def recovery(told: Mapping[str, Any], now_ms: int) -> list[str]:
    """Return what was tried, what is next, and why it isn't done now."""
    planned = told["next"] or {}
    spent, most = told["attempts"], told["maxAttempts"]
    return fields(
        {
            "Attempts": UNKNOWN if spent is None else f"{spent} of {most} in 60 minutes",
            "Next": planned.get("action"),
            "Answers": ", ".join(planned["codes"]) if planned.get("action") else None,
            "Hold": told["hold"],
            "Why not now": told["reason"],
            "Until": until(planned["until"], now_ms) if planned.get("until") else None,
        }
    )


def incident(one: Mapping[str, Any], now_ms: int) -> list[str]:
    """Return an incident's head, and its attempts as a table."""
    head = fields(
        {
            "Id": one["id"],
            "Opened": ago(one["openedAt"], now_ms),
            "Class": one["failureType"],
            "Worst": one["worstVerdict"],
            "Codes": ", ".join(one["codes"]),
        }
    )
    return head + attempts(one["attempts"], now_ms)


def attempts(found: Sequence[Mapping[str, Any]], now_ms: int) -> list[str]:
    """Return attempts as a table, none as nothing."""
    rows = [
        (each["id"], each["action"], each["outcome"] or each["state"], age(each["bookedAt"], now_ms), each["detail"])
        for each in found
    ]
    return table(("ATTEMPT", "ACTION", "OUTCOME", "AGE", "DETAIL"), rows) if rows else []


def changes(found: Iterable[Mapping[str, Any]], now_ms: int) -> list[str]:
    """Return the last changes of verdict or reasons, the newest first."""
    rows = [(age(one["at"], now_ms), one["verdict"], one["failureType"], codes(one["reasons"])) for one in found]
    return table(("AGE", "VERDICT", "CLASS", "REASONS"), rows) if rows else []


def lasted(one: Mapping[str, Any], now_ms: int) -> str:
    """Return how long an incident was open, or has been."""
    end_ms = parse_rfc3339(one["closedAt"]) if one["closedAt"] else now_ms
    return span((end_ms - parse_rfc3339(one["openedAt"])) / 1000)


def _evidence(found: Iterable[Mapping[str, Any]], now_ms: int) -> list[str]:
    rows = [
        (
            one["fact"],
            _valued(one["value"], one["unit"]),
            _valued(one["limit"], one["unit"]),
            one["witness"],
            age(one["since"], now_ms),
        )
        for one in found
    ]
    return table(_EVIDENCE_HEAD, rows) if rows else []


def _valued(value: Scalar, unit: str) -> str:
    if value is None:
        return NONE
    return value if isinstance(value, str) else measure(value, unit)
