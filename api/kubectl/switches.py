"""`kubectl loco pause` and `resume`: the fleet's switches in ConfigMap `loco-control`, or a pod's annotations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from api.instants import now_ms, parse_rfc3339, rfc3339
from api.kubectl.errors import AskFailed, KubectlFailed, Strange, WrongUse, reading_an_answer
from api.kubectl.fleet import see
from api.kubectl.names import name_argument
from api.kubectl.options import cluster_options, duration
from api.kubectl.printing import plain, show, talk
from api.kubectl.program import Kubectl
from api.kubectl.source import Proxied
from jobs.health.control import PAUSE_REASON, PAUSE_UNTIL, RECOVERY, SWITCHES, stop_of

CONTROL = "loco-control"

# As jobs.cluster.annotations reads them, which this room may not import; a test compares both.
POD_RECOVERY = "loco-health/recovery"
POD_MAINTENANCE = "loco-health/maintenance-until"

_MAX_REASON_CHARACTERS = 200


@click.command(short_help="Stop recovery, of the fleet or of one instance.")
@name_argument(is_required=False)
@click.option(
    "--for", "seconds", callback=duration, metavar="SPAN", help="End by itself then; else when somebody resumes."
)
@click.option("--reason", default="", help="Why, for who wonders; of the fleet only.")
@cluster_options
def pause(*, name: str | None, seconds: int | None, reason: str, kubectl: Kubectl) -> None:
    """Watch on and do nothing: about instance NAME, or about the whole fleet where none is named.

    Example: kubectl loco pause instance-3 --for 2h
    """
    until = None if seconds is None else rfc3339(now_ms() // 1000 * 1000 + seconds * 1000)
    if seconds == 0:
        raise WrongUse("--for 0s would end before it began; nothing was done")
    if name and reason:
        raise WrongUse("--reason is for the fleet: a pod's annotations have no place for one; nothing was done")
    if not reason.isprintable() or len(reason) > _MAX_REASON_CHARACTERS:
        raise WrongUse(f"--reason is one line of at most {_MAX_REASON_CHARACTERS} characters; nothing was done")
    if name:
        values = {POD_RECOVERY: None, POD_MAINTENANCE: until} if until else {POD_RECOVERY: "off"}
        _annotate(kubectl, name, values)
        return
    switched = {PAUSE_UNTIL: until} if until else {RECOVERY: "off"}
    _switch(kubectl, {**switched, PAUSE_REASON: reason or None})


@click.command(short_help="Let recovery act again.")
@name_argument(is_required=False)
@cluster_options
def resume(*, name: str | None, kubectl: Kubectl) -> None:
    """Take away what pauses instance NAME, or the whole fleet where none is named.

    Example: kubectl loco resume
    """
    if name:
        _annotate(kubectl, name, {POD_RECOVERY: None, POD_MAINTENANCE: None})
    else:
        _switch(kubectl, dict.fromkeys(SWITCHES))


def _switch(kubectl: Kubectl, values: Mapping[str, str | None]) -> None:
    """Set the fleet's switches, None to take one away, and show what they say then."""
    try:
        made = kubectl.patch("configmap", CONTROL, namespace=kubectl.namespace, body={"data": values})
        show([f"configmap/{CONTROL} patched"])
    except KubectlFailed as error:
        if not error.is_not_found:
            raise
        made = _create(kubectl, {key: value for key, value in values.items() if value is not None})
    show([_fleet_line(made.get("data") or {})])


def _create(kubectl: Kubectl, data: dict[str, str]) -> dict[str, Any]:
    """Make the ConfigMap; where nothing is to stand in it, there is none to make."""
    if not data:
        return {}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CONTROL}, "data": data}
    made = kubectl.create(f"{kubectl.core}/configmaps", body)
    show([f"configmap/{CONTROL} created"])
    return made


def _fleet_line(data: Mapping[str, str]) -> str:
    stop = stop_of(data, now_ms())
    return f"fleet: {plain(stop.hold)}, {plain(stop.detail)}" if stop else "fleet: recovery is on"


def _annotate(kubectl: Kubectl, name: str, values: Mapping[str, str | None]) -> None:
    """Set a pod's annotations, None to take one away, and show what they say then, and what the fleet's switches do."""
    namespace, pod = _pod(kubectl, name)
    made = kubectl.patch("pod", pod, namespace=namespace, body={"metadata": {"annotations": values}})
    said = made["metadata"].get("annotations") or {}
    show([f"pod/{pod} patched", f"{name}: {_pod_words(said)}"])
    if any(values.values()):
        talk("the annotation is this pod's own: a pod made in its place has none")
    try:
        fleet = kubectl.get(f"{kubectl.core}/configmaps/{CONTROL}").get("data") or {}
    except AskFailed as error:
        fleet = {}
        if not getattr(error, "is_not_found", False):
            talk(f"the fleet's switches can't be read: {error}")
    if stop_of(fleet, now_ms()):
        show([_fleet_line(fleet)])


def _pod(kubectl: Kubectl, name: str) -> tuple[str, str]:
    """Return namespace and name of an instance's pod; where nobody can say it, a person who names both is believed."""
    try:
        with reading_an_answer():
            (one,) = see(Proxied(kubectl), name).instances.values()
    except (AskFailed, Strange):
        namespace, slash, pod = name.partition("/")
        if slash and "/" not in pod:
            return namespace, pod
        raise
    if not one["pod"]:
        raise WrongUse(f"{one['name']} has no pod that could be annotated; nothing was done")
    return one["namespace"], one["pod"]


def _pod_words(annotations: Mapping[str, str]) -> str:
    """Return what a pod's annotations say about recovery, as discover will read it."""
    line = annotations.get(POD_RECOVERY, "on")
    if line != "on":
        return f"Paused, {POD_RECOVERY} is {plain(line)}"
    until = annotations.get(POD_MAINTENANCE)
    if until is None:
        return "recovery is on"
    try:
        is_over = parse_rfc3339(until) <= now_ms()
    except ValueError:
        return f"Paused, {POD_MAINTENANCE} is {plain(until)}, which is no instant"
    return "recovery is on" if is_over else f"Paused until {plain(until)}"
