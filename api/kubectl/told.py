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
    pod, measured, recovery = deep["kubernetes"], deep["measured"] or {}, deep["recovery"]
    load = _block(deep["deepHealth"], "performance") if deep["measured"] else {}
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
        "sessions": measured.get("connected"),
        "frameRate": measured.get("frameRate"),
        "audioLevel": measured.get("audioLevel"),
        "cpuPercent": load.get("cpu_usage"),
        "cpuScope": load.get("scope"),
        "qemuCpuPercent": load.get("qemu_cpu"),
        "memoryPercent": load.get("memory_usage"),
        "connectionLatencySeconds": None if deep["stale"] else _block(deep, "connectivity").get("latencySeconds"),
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


def _block(blocks: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return one block, empty where there is none."""
    found = blocks.get(name)
    return found if isinstance(found, Mapping) else {}
