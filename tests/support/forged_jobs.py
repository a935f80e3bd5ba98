"""Jobs that somebody with the right to create Jobs could try, each wrong in one place."""

import copy
from collections.abc import Callable

Change = Callable[[dict], object]


def forged(job: dict, change: Change) -> dict:
    """Return a copy of a Job with one change."""
    other = copy.deepcopy(job)
    change(other)
    return other


def pod(job: dict) -> dict:
    """Return the pod's spec of a Job."""
    return job["spec"]["template"]["spec"]


def container(job: dict) -> dict:
    """Return the first container of a Job."""
    return pod(job)["containers"][0]


def in_pod(**values: object) -> Change:
    """Set fields of the pod's spec."""
    return lambda job: pod(job).update(values)


def in_container(**values: object) -> Change:
    """Set fields of the container."""
    return lambda job: container(job).update(values)


def in_spec(**values: object) -> Change:
    """Set fields of the Job's spec."""
    return lambda job: job["spec"].update(values)


def with_secret_in_env(job: dict) -> None:
    """Read a Secret that the template doesn't."""
    source = {"secretKeyRef": {"name": "loco-master", "key": "key"}}
    container(job)["env"].append({"name": "LOCO_ACTION", "valueFrom": source})


def with_volume(source: dict) -> Change:
    """Mount a volume that the template doesn't have."""

    def change(job: dict) -> None:
        pod(job)["volumes"].append({"name": "more", **source})
        container(job)["volumeMounts"].append({"name": "more", "mountPath": "/more"})

    return change


def with_label(name: str, value: str) -> Change:
    """Label the pods otherwise."""
    return lambda job: job["spec"]["template"]["metadata"].setdefault("labels", {}).update({name: value})


def named(component: str | None) -> Change:
    """Pretend to be of another CronJob, or of none."""

    def change(job: dict) -> None:
        labels = job["metadata"]["labels"]
        labels.pop("app.kubernetes.io/component")
        if component:
            labels["app.kubernetes.io/component"] = component

    return change


OTHER_CONTAINER = {"name": "more", "image": "loco-health/jobs:dev", "command": ["sleep", "60"]}
DEBUGGER = {"name": "debugger", "image": "loco-health/jobs:dev", "targetContainerName": "recover"}

# what is wrong -> (how, what the refusal says)
FORGERIES: dict[str, tuple[Change, str]] = {
    "image": (in_container(image="registry.example/another:1"), "in image"),
    "command": (in_container(command=["sh", "-c", "id"]), "in command"),
    "arguments": (in_container(args=["keys", "--rotate"]), "in args"),
    "account": (in_pod(serviceAccountName="loco-discover"), "in serviceAccountName"),
    "host network": (in_pod(hostNetwork=True), "in hostNetwork"),
    "host processes": (in_pod(hostPID=True), "in hostPID"),
    "privilege": (in_container(securityContext={"privileged": True}), "in container.securityContext"),
    "root": (in_pod(securityContext={"runAsUser": 0}), "in securityContext"),
    "another container": (lambda job: pod(job)["containers"].append(OTHER_CONTAINER), "in containers"),
    "an init container": (in_pod(initContainers=[OTHER_CONTAINER]), "in initContainers"),
    "an ephemeral container": (in_pod(ephemeralContainers=[DEBUGGER]), "ephemeralContainers"),
    "a secret in the environment": (with_secret_in_env, "in env"),
    "a whole secret in the environment": (in_container(envFrom=[{"secretRef": {"name": "loco-master"}}]), "in envFrom"),
    "a folder of the node": (with_volume({"hostPath": {"path": "/"}}), "in volumes, volumeMounts"),
    "a secret as a volume": (with_volume({"secret": {"secretName": "loco-master"}}), "in volumes, volumeMounts"),
    "a token for another audience": (
        with_volume({"projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "vault"}}]}}),
        "in volumes, volumeMounts",
    ),
    "a node of its choice": (in_pod(nodeName="elsewhere"), "in its pods"),
    "a hook": (in_container(lifecycle={"preStop": {"exec": {"command": ["id"]}}}), "in its pods"),
    "a label that a Service selects": (with_label("app.kubernetes.io/component", "api"), "in labels"),
    "a label of its own": (with_label("more", "1"), "in labels"),
    "an annotation of another's": (
        lambda job: job["spec"]["template"]["metadata"].update(annotations={"example.com/inject": "yes"}),
        "an annotation that is neither",
    ),
    "another template's name": (named("collect"), "differs from CronJob collect in"),
    "the name of none": (named("intruder"), "no label app.kubernetes.io/component that names a CronJob"),
    "no name": (named(None), "no label app.kubernetes.io/component that names a CronJob"),
    "a life too short to be found again": (in_spec(ttlSecondsAfterFinished=0), "ttlSecondsAfterFinished"),
    "several pods": (in_spec(parallelism=3), "one pod, once"),
    "several turns": (in_spec(completions=3), "one pod, once"),
    "tries of its own": (in_spec(backoffLimit=3), "one pod, once"),
    "no deadline": (lambda job: job["spec"].pop("activeDeadlineSeconds"), "one pod, once"),
    "pods that overlap": (in_spec(podReplacementPolicy="TerminatingOrFailed"), "one pod, once"),
    "a Job that waits": (in_spec(suspend=True), "one pod, once"),
}
