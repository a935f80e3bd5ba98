"""A recovery Job, made of the suspended CronJob `recover` as `kubectl create job --from` does it; pure.

The dispatcher, the API and `kubectl loco recover` make their Jobs here, so that all of them look the same to the
admission policy.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

CRONJOB = "recover"

# What a Job and its pod say about the attempt; jobs.commands.recover reads them through the downward API.
ATTEMPT = "loco-health/attempt"
INCIDENT = "loco-health/incident"
INSTANCE = "loco-health/instance"
ACTION = "loco-health/action"
FORCE = "loco-health/force"
REQUESTED_BY = "loco-health/requested-by"

# Kubernetes docs, "Jobs": the controller copies a Job's name into a label of its pods.
MAX_NAME_CHARACTERS = 63


def render_job(cronjob: Mapping[str, Any], *, name: str, annotations: Mapping[str, str]) -> dict[str, Any]:
    """Return the Job of a CronJob's template. annotations: also put on its pods, where the downward API finds them.

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
            "labels": dict(metadata.get("labels") or {}),
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
    return f"{head}{public_id[:room].strip('-.').lower()}{tail}"
