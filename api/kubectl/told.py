"""What `get` and `top` tell of an instance: one stable shape, made of what the API says in deep health. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from api.kubectl.ages import UNKNOWN, age
from api.kubectl.printing import NONE

HEAD = ("NAME", "VERDICT", "CLASS", "REASONS", "SINCE")
WIDE_HEAD = (*HEAD, "OBSERVED", "POD", "NODE", "FPS", "SOUND", "SESSIONS", "INCIDENT", "NEXT", "HOLD")


def told(deep: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stable shape of one instance, null for what isn't known.

    Measured values are null where the last report isn't that of the latest tick.
    """
    pod, measured = deep["kubernetes"], _measured(deep)
    recovery = deep["recovery"]
    return {
        "name": deep["instanceId"],
        "namespace": pod.get("namespace"),
        "pod": pod.get("podName"),
        "uid": pod.get("uid"),
        "node": pod.get("nodeName"),
        "verdict": deep["verdict"],
        "failureType": deep["failureType"],
        "reasons": [
            {name: one[name] for name in ("code", "failureType", "severity", "text")} for one in deep["reasons"]
        ],
        "recommendations": list(deep["recommendations"]),
        "since": deep["since"],
        "observedAt": deep["observedAt"],
        "reportedAt": deep["reportedAt"],
        "stale": deep["stale"],
        "sessions": _of(measured, "sessions", "count"),
        "frameRate": _of(measured, "video", "estimated_frame_rate"),
        "audioLevel": _of(measured, "audio", "estimated_level"),
        "cpuPercent": _of(measured, "performance", "cpu_usage"),
        "cpuScope": _of(measured, "performance", "scope"),
        "qemuCpuPercent": _of(measured, "performance", "qemu_cpu"),
        "memoryPercent": _of(measured, "performance", "memory_usage"),
        "connectionLatencySeconds": _of(deep, "connectivity", "latencySeconds") if not deep["stale"] else None,
        "incident": deep["incident"],
        "recovery": {
            "attempts": recovery["attempts"],
            "maxAttempts": recovery["maxAttempts"],
            "next": (recovery["next"] or {}).get("action"),
            "hold": recovery["hold"],
            "reason": recovery["reason"],
        },
        "source": deep["source"],
    }


def row(one: Mapping[str, Any], now_ms: int, *, is_wide: bool, has_namespace: bool) -> tuple[object, ...]:
    """Return an instance's cells."""
    first = ((one["namespace"] or NONE),) if has_namespace else ()
    short = (one["name"], one["verdict"], one["failureType"], codes(one["reasons"]), age(one["since"], now_ms))
    if not is_wide:
        return (*first, *short)
    return (
        *first,
        *short,
        age(one["observedAt"], now_ms),
        one["pod"] or NONE,
        one["node"] or NONE,
        number(one["frameRate"], 1),
        number(one["audioLevel"], 2),
        number(one["sessions"], 0),
        one["incident"] or NONE,
        one["recovery"]["next"] or NONE,
        one["recovery"]["hold"] or NONE,
    )


def head(*, is_wide: bool, has_namespace: bool) -> tuple[str, ...]:
    """Return the columns' names."""
    return (("NAMESPACE",) if has_namespace else ()) + (WIDE_HEAD if is_wide else HEAD)


def codes(reasons: Iterable[Mapping[str, Any]]) -> str:
    """Return reasons' codes in one cell."""
    return ",".join(one["code"] for one in reasons) or NONE


def number(value: float | None, digits: int) -> str:
    """Return a measured value in a cell."""
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def _measured(deep: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the last report where it is that of the latest tick, and no repetition of an old one."""
    probe = deep["probe"]
    is_repeated = any(one["code"] == "ReportStale" for one in deep["reasons"])
    is_current = not deep["stale"] and not is_repeated and probe is not None and probe["outcome"] == "ok"
    return deep["deepHealth"] if is_current else None


def _of(blocks: Mapping[str, Any] | None, block: str, field: str) -> Any:  # noqa: ANN401 - JSON
    found = (blocks or {}).get(block)
    return found.get(field) if isinstance(found, Mapping) else None
