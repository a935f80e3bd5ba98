"""A recovery Job's name and content, and which instance a name is for."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.template import attempt_job_name, instance_of_job, render_job

# RFC 1123 label
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
IDS = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=80)

CRONJOB = {
    "metadata": {"name": "recover", "namespace": "loco-health", "uid": "uid-1"},
    "spec": {
        "suspend": True,
        "jobTemplate": {
            "metadata": {"labels": {"a": "1"}},
            "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": {"b": "2"}}, "spec": {"containers": []}}},
        },
    },
}


@given(IDS, st.integers(1, 10**12))
def test_any_id_and_attempt_make_a_name_that_kubernetes_takes(public_id, attempt_id):
    assert LABEL.fullmatch(attempt_job_name("0a1b2c", public_id, attempt_id))


@given(IDS, IDS, st.sets(st.integers(1, 10**6), min_size=2, max_size=2))
def test_two_attempts_of_a_store_never_share_a_name(one, other, attempt_ids):
    first, second = attempt_ids

    assert attempt_job_name("0a1b2c", one, first) != attempt_job_name("0a1b2c", other, second)


def test_a_job_is_the_template_with_what_it_is_for():
    job = render_job(
        CRONJOB,
        name="recover-0a1b2c-instance-0-1",
        annotations={"loco-health/attempt": "1"},
        labels={"loco-health/attempt": "1"},
    )

    assert {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "recover-0a1b2c-instance-0-1",
            "namespace": "loco-health",
            "labels": {"a": "1", "loco-health/attempt": "1"},
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual", "loco-health/attempt": "1"},
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": "recover", "uid": "uid-1"}],
        },
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": {"b": "2"}, "annotations": {"loco-health/attempt": "1"}},
                "spec": {"containers": []},
            },
        },
    } == job


@pytest.mark.parametrize(
    ("name", "instance"),
    [
        ("recover-instance-1", "instance-1"),
        ("recover-instance-1-again", "instance-1"),
        ("recover-instance-10", "instance-10"),
        ("recover-instance-10-bcdfgh", "instance-10"),
        ("recover-instance-11", None),
        ("recover", None),
        ("collect-instance-1", None),
    ],
)
def test_the_name_of_a_persons_job_says_which_instance_it_is_for(name, instance):
    assert instance == instance_of_job(name, ["instance-1", "instance-10"])
