"""A recovery Job, made of the suspended CronJob `recover` as `kubectl create job --from` does it; pure.

The dispatcher, the API and `kubectl loco recover` make their Jobs here, so that all of them look the same to the
admission policy.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

CRONJOB = "recover"

# What a Job and its pod say about the attempt; jobs.commands.recover reads them through the downward API.
ATTEMPT = "loco-health/attempt"
INCIDENT = "loco-health/incident"
INSTANCE = "loco-health/instance"
ACTION = "loco-health/action"
FORCE = "loco-health/force"
REQUESTED_BY = "loco-health/requested-by"

# Of an attempt's Job alone: the instance's key, by which a new store knows it before it has an inventory.
KEY = "loco-health/key"

# Kubernetes docs, "Jobs": the controller copies a Job's name into a label of its pods.
MAX_NAME_CHARACTERS = 63


# An instance's id in a file may hold what a Job's name may not (RFC 1123 label).
_NOT_IN_NAME = re.compile(r"[^a-z0-9]")


def render_job(
    cronjob: Mapping[str, Any], *, name: str, annotations: Mapping[str, str], labels: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the Job of a CronJob's template.

    annotations: also put on its pods, where the downward API finds them. labels: of the Job alone, for `kubectl -l`.

    The CronJob owns it without being its controller: deleting the CronJob deletes its Jobs, and its history limits
    don't count them. Raises: KeyError, TypeError for an object that is no CronJob.
    """
    template = copy.deepcopy(dict(cronjob["spec"]["jobTemplate"]))
    metadata = template.get("metadata") or {}
    pod_metadata = template["spec"]["template"].setdefault("metadata", {})
    pod_metadata["annotations"] = {**(pod_metadata.get("annotations") or {}), **annotations}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": cronjob["metadata"]["namespace"],
            "labels": {**(metadata.get("labels") or {}), **(labels or {})},
            "annotations": {
                **(metadata.get("annotations") or {}),
                "cronjob.kubernetes.io/instantiate": "manual",
                **annotations,
            },
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "CronJob",
                    "name": cronjob["metadata"]["name"],
                    "uid": cronjob["metadata"]["uid"],
                }
            ],
        },
        "spec": template["spec"],
    }


def attempt_job_name(store: str, public_id: str, attempt_id: int) -> str:
    """Return the name of an attempt's Job, the same whoever computes it.

    An id that is too long for a name is cut: store and attempt alone make it unique.
    """
    head, tail = f"{CRONJOB}-{store}-", f"-{attempt_id}"
    room = MAX_NAME_CHARACTERS - len(head) - len(tail)
    middle = _NOT_IN_NAME.sub("-", public_id[:room].lower()).strip("-")
    return f"{head}{middle}{tail}"


def instance_of_job(name: str, public_ids: Iterable[str]) -> str | None:
    """Return which instance a Job that a person named `recover-<instance>`, or with more behind it, is for."""
    wanted = name.removeprefix(f"{CRONJOB}-")
    fitting = [one for one in public_ids if wanted == one or wanted.startswith(f"{one}-")]
    return max(fitting, key=len, default=None)
