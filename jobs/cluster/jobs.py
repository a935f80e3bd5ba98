"""Recovery Jobs in the cluster: made of the template, told apart from others of their name, and asked how they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jobs.cluster.fields import at, number, objects, text
from jobs.errors import ClusterError, Conflict, Forbidden, NotFound
from jobs.health.model import InstanceKey
from jobs.health.recovery import Action, Attempt, AttemptOutcome, Order, Origin
from jobs.recovery.jobs import JobState, Look, Seen
from jobs.store.ledger import Ending
from jobs.template import ACTION, ATTEMPT, CRONJOB, INCIDENT, INSTANCE, KEY, attempt_job_name, render_job

if TYPE_CHECKING:
    from jobs.cluster.client import ClusterClient

_SELECTOR = "app.kubernetes.io/name=loco-health,app.kubernetes.io/component=recover"

# As `jobs.template.attempt_job_name` makes it.
_NAME = re.compile(rf"{CRONJOB}-([0-9a-f]{{6}})-.*-(\d{{1,18}})")

# Kubernetes docs, "Jobs": the conditions of a Job of which no pod runs any more.
_ENDINGS = ("Complete", "Failed")


class ClusterJobs:
    """The Jobs of one namespace. connect: called when something is asked for, as loading a client costs 130 ms."""

    def __init__(self, namespace: str, connect: Callable[[], ClusterClient]) -> None:
        self._namespace = namespace
        self._connect = connect
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"

    def refusal(self) -> str | None:
        """Return what keeps Jobs from being made, None when the template is there. Raises: ClusterError."""
        try:
            self._template()
        except NotFound:
            return (
                f"CronJob {CRONJOB}, the template of recovery Jobs, isn't in namespace {self._namespace}: apply an "
                "overlay of kustomize/ again; nothing is booked meanwhile"
            )
        return None

    def create(self, attempt: Attempt, *, store: str, public_id: str) -> str | Ending:
        """Create the Job of an attempt; see `jobs.recovery.jobs`. Raises: ClusterError."""
        name = attempt_job_name(store, public_id, attempt.id)
        wanted = self._render(attempt, name, public_id)
        try:
            made = self._connect().create(self._jobs, wanted)
        except Conflict:
            made = self._connect().get(f"{self._jobs}/{name}")
            if not _is_same(wanted, made):
                told = at(made, "metadata", "annotations") or {}
                whose = f"attempt {told.get(ATTEMPT)} of {told.get(KEY)}" if ATTEMPT in told else "no attempt"
                return Ending(AttemptOutcome.NAME_COLLISION, f"Job {name} was there already, and is of {whose}")
        except Forbidden as error:
            raise Forbidden(_why_not(error, "create jobs", self._namespace)) from error
        if _pinned(made) != _pinned(wanted):
            return Ending(
                AttemptOutcome.NOT_CREATED,
                f"something between dispatch and the API server's store has changed Job {name}: it runs "
                f"{_told(made)}, the template {_told(wanted)}; its pod finds the attempt ended and does nothing",
            )
        return name

    def look(self, attempt: Attempt) -> Look:
        """Return what has become of an attempt's Job. Raises: ClusterError."""
        if attempt.job is None:
            return Look(JobState.ACTIVE)
        try:
            job = self._connect().get(f"{self._jobs}/{attempt.job}")
        except NotFound:
            return Look(JobState.GONE)
        except Forbidden as error:
            raise Forbidden(_why_not(error, "get jobs", self._namespace)) from error
        if attempt.origin is Origin.POLICY and at(job, "metadata", "annotations", ATTEMPT) != str(attempt.id):
            return Look(JobState.GONE, "another Job has its name")
        ending = next((one for one in objects(job, "status", "conditions") if _is_ending(one)), None)
        if ending is None:
            return Look(JobState.ACTIVE)
        reason = text(ending, "reason") if ending.get("type") == "Failed" else "it ended by itself"
        return Look(JobState.FINISHED, self._cause(attempt.job) or reason)

    def seen(self) -> list[Seen]:
        """Return every Job of recovery that Kubernetes still keeps, which is a day long. Raises: ClusterError."""
        try:
            pages = list(self._connect().pages(self._jobs, {"labelSelector": _SELECTOR}))
        except Forbidden as error:
            raise Forbidden(_why_not(error, "list jobs", self._namespace)) from error
        return [_seen(job) for page in pages for job in page]

    def _template(self) -> dict[str, Any]:
        path = f"/apis/batch/v1/namespaces/{self._namespace}/cronjobs/{CRONJOB}"
        try:
            return self._connect().get(path)
        except Forbidden as error:
            raise Forbidden(_why_not(error, f"get cronjobs {CRONJOB}", self._namespace)) from error

    def _render(self, attempt: Attempt, name: str, public_id: str) -> dict[str, Any]:
        annotations = {ATTEMPT: str(attempt.id), INSTANCE: public_id, KEY: attempt.key, ACTION: attempt.action.value}
        labels = {ATTEMPT: str(attempt.id), ACTION: attempt.action.value}
        if attempt.incident is not None:
            annotations[INCIDENT] = labels[INCIDENT] = attempt.incident
        try:
            return render_job(self._template(), name=name, annotations=annotations, labels=labels)
        except (KeyError, TypeError, AttributeError) as error:
            raise ClusterError(
                f"CronJob {CRONJOB} in namespace {self._namespace} has no Job to make others of: {error!r} is missing"
            ) from error

    def _cause(self, job: str) -> str:
        """Return what a pod of the Job ended of, empty where none tells it; it changes no decision."""
        path = f"/api/v1/namespaces/{self._namespace}/pods"
        try:
            pages = self._connect().pages(path, {"labelSelector": f"batch.kubernetes.io/job-name={job}"})
            causes = [_pod_cause(pod) for page in pages for pod in page]
        except ClusterError:
            return ""
        return next((cause for cause in causes if cause), "")


def _is_same(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    """Tell whether a Job is the one that was to be made: its annotations say all that the wanted ones say."""
    told = at(there, "metadata", "annotations") or {}
    return all(told.get(name) == value for name, value in wanted["metadata"]["annotations"].items())


def _pinned(job: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """Return what decides whose code runs with which rights."""
    pod = at(job, "spec", "template", "spec")
    containers = [*objects(pod, "initContainers"), *objects(pod, "containers")]
    programs = [(one.get("image"), one.get("command"), one.get("args")) for one in containers]
    return [(text(pod, "serviceAccountName"),), *programs]


def _told(job: Mapping[str, Any]) -> str:
    (account,), *programs = _pinned(job)
    return f"{', '.join(str(image) for image, *_ in programs)} as {account}"


def _is_ending(condition: Mapping[str, Any]) -> bool:
    return condition.get("type") in _ENDINGS and condition.get("status") == "True"


def _pod_cause(pod: Mapping[str, Any]) -> str:
    """Return why a pod ended: the node's word first, then its container's."""
    if reason := text(pod, "status", "reason"):
        return reason
    for status in objects(pod, "status", "containerStatuses"):
        reason, exit_code = (
            text(status, "state", "terminated", "reason"),
            number(status, "state", "terminated", "exitCode"),
        )
        if reason and exit_code:
            return reason if reason != "Error" else f"exit code {exit_code}"
    return ""


def _seen(job: Mapping[str, Any]) -> Seen:
    """Return a Job as a ledger takes it over."""
    name = text(job, "metadata", "name")
    told = at(job, "metadata", "annotations") or {}
    own = _NAME.fullmatch(name) if ATTEMPT in told else None
    action = told.get(ACTION)
    order = Order(
        key=InstanceKey(told.get(KEY, "")),
        # One that doesn't say it is taken to have done the most that an agent does.
        action=Action(action) if action in set(Action) else Action.RESTART_QEMU,
        incident=told.get(INCIDENT),
        origin=Origin.POLICY if own else Origin.REQUEST,
    )
    public_id = "" if order.key else told.get(INSTANCE) or name.removeprefix(f"{CRONJOB}-")
    return Seen(name, order, public_id, own[1] if own else "", int(own[2]) if own else 0)


def _why_not(error: Forbidden, right: str, namespace: str) -> str:
    """Return what a 403 comes of, with what a person can do about it."""
    said = str(error)
    if "being terminated" in said:  # kubernetes, the admission plugin NamespaceLifecycle
        return f"namespace {namespace} is being deleted, so nothing acts ({said})"
    if "exceeded quota" in said:
        return f"the quota of namespace {namespace} has no room for a recovery Job ({said})"
    if "denied request" in said or "denied the request" in said:
        return f"admission in namespace {namespace} refuses the recovery Job ({said})"
    return f"dispatch may not {right} in namespace {namespace}: apply manifests/rbac.yaml there ({said})"
