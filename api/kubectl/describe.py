"""`kubectl loco describe NAME`: everything that is known of one instance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import click

from api.instants import now_ms
from api.kubectl import story
from api.kubectl.ages import UNKNOWN, age, ago
from api.kubectl.errors import AskFailed, KubectlFailed
from api.kubectl.fields import fields, section
from api.kubectl.names import ask_about, name_argument
from api.kubectl.options import source_options
from api.kubectl.printing import plain, show, table
from api.kubectl.program import Kubectl
from api.kubectl.source import Proxied, Source, ask_json

# As `kubectl describe` shows them; the newest last.
_EVENTS = 20

# Blocks of a report in its own order, and of each what people look for.
_CHECKS = {
    "qemu": ("run_state", "process_state", "uptime_seconds", "restarts", "qmp_error"),
    "video": ("vnc_available", "estimated_frame_rate", "width", "height"),
    "screen": ("verdict", "still_seconds", "largest_colour_ratio"),
    "audio": ("pulse_running", "estimated_level", "muted", "silent_seconds", "qemu_streams"),
    "performance": ("cpu_usage", "memory_usage", "qemu_cpu", "throttled_ratio"),
    "network": ("bridge_up", "tap_up", "tap_in_bridge", "errors_per_second", "drops_per_second"),
    "sessions": ("count", "witness"),
    "clients": ("count",),
}


@click.command(short_help="Show everything about one instance.")
@name_argument()
@source_options
def describe(*, name: str, source: Source) -> None:
    """Show the pod, the verdict, the last report, recovery, incident, changes and Kubernetes events of instance NAME.

    Example: kubectl loco describe loco/loco-emulator-3
    """
    deep = ask_about(source, name, "/api/quality/deep-health/{id}")
    why = _why(source, deep["instanceId"])
    events = _events(source.kubectl, deep["kubernetes"]) if isinstance(source, Proxied) else []
    show([*lines(deep, why, now_ms()), *events])


def lines(deep: Mapping[str, Any], why: Mapping[str, Any] | str, at_ms: int) -> list[str]:
    """Return all that the API tells. why: or a sentence about why it can't be told."""
    return [
        *fields(_head(deep, at_ms)),
        *section("Reasons", story.reasons(deep["reasons"], at_ms)),
        *section("What helps", map(plain, deep["recommendations"])),
        *section(f"Report, received {ago(deep['reportedAt'], at_ms)}", _report(deep["deepHealth"])),
        *section("Recovery", story.recovery(deep["recovery"], at_ms)),
        *_past(deep, why, at_ms),
    ]


def _why(source: Source, public_id: str) -> dict[str, Any] | str:
    """Return what led here; an API that has only the ConfigMap can't tell, and that is no reason to show nothing."""
    try:
        found: dict[str, Any] = ask_json(source, f"/api/instances/{quote(public_id, safe='')}/why")
    except AskFailed as error:
        return str(error)
    return found


def _past(deep: Mapping[str, Any], why: Mapping[str, Any] | str, at_ms: int) -> list[str]:
    if isinstance(why, str):
        return [*fields({"Incident": deep["incident"]}), f"Changes:  <can't be told: {plain(why)}>"]
    found = why["incident"]
    return [
        *section("Incident", story.incident(found, at_ms) if found else ()),
        *section("Changes", story.changes(why["changes"], at_ms)),
    ]


def _head(deep: Mapping[str, Any], at_ms: int) -> dict[str, object]:
    pod, outside, probe = deep["kubernetes"], deep["connectivity"] or {}, deep["probe"] or {}
    return {
        "Name": deep["instanceId"],
        "Namespace": pod.get("namespace"),
        "Pod": pod.get("podName"),
        "UID": pod.get("uid"),
        "Node": pod.get("nodeName"),
        "Phase": " ".join(filter(None, (pod.get("phase"), pod.get("reason"), pod.get("detail")))),
        "Restarts": pod.get("restarts"),
        "Notes": "; ".join(pod.get("notes") or ()),
        "Verdict": deep["verdict"],
        "Class": deep["failureType"],
        "Since": ago(deep["since"], at_ms),
        "Observed": ago(deep["observedAt"], at_ms),
        "Stale": deep["stale"],
        "Probe": " ".join(filter(None, (probe.get("outcome"), probe.get("detail")))),
        "VNC outside": " ".join(filter(None, (outside.get("outcome"), outside.get("detail")))),
    }


def _report(report: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a line for each block, with its error where it has one."""
    for name, wanted in _CHECKS.items() if report else ():
        block = (report or {}).get(name)
        if not isinstance(block, Mapping):
            yield f"{name + ':':<14}not measured"
            continue
        values = [f"{field} {_shown(block[field])}" for field in wanted if block.get(field) is not None]
        error = [f"error: {plain(block['error'])}"] if block.get("error") else []
        yield f"{name + ':':<14}{', '.join(values + error) or UNKNOWN}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else plain(value)


def _events(kubectl: Kubectl, pod: Mapping[str, Any]) -> list[str]:
    """Return the pod's events as Kubernetes has them; what can't be read is no reason to show nothing else."""
    if not pod.get("podName"):
        return []
    selector = quote(f"involvedObject.kind=Pod,involvedObject.name={pod['podName']}", safe="")
    namespace = quote(str(pod["namespace"]), safe="")
    try:
        found = kubectl.get(f"/api/v1/namespaces/{namespace}/events?fieldSelector={selector}")["items"]
        events = sorted(found, key=_happened)[-_EVENTS:]
        at_ms = now_ms()
        rows = [(age(_happened(one), at_ms), one["type"], one["reason"], one["message"]) for one in events]
    except (KubectlFailed, KeyError, TypeError, ValueError) as error:
        return [f"Events:  <can't be read: {plain(error)}>"]
    return section("Events", table(("AGE", "TYPE", "REASON", "MESSAGE"), rows) if rows else ())


def _happened(event: Mapping[str, Any]) -> str:
    """Return when an event was seen last: of a series, of the old kind of event, of the new one."""
    series = event.get("series") or {}
    times = series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime")
    return str(next((one for one in times if one), event["metadata"]["creationTimestamp"]))
