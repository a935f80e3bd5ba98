"""The Jobs that people ask for: names that Kubernetes takes, and annotations that say who asked for what."""

import re

import pytest
from token_server import a_cronjob

from api.auth import is_loopback
from api.order import new_suffix, recovery_job, refresh_job
from jobs.health.recovery import Action
from jobs.schedule import window_seconds

# Kubernetes docs, "Object Names and IDs": RFC 1123 label, which is a subdomain and the value of a label too.
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def name_of(public_id):
    """Return the name of a Job for an instance."""
    return recovery_job(a_cronjob("recover"), public_id, suffix="bcdfgh")["metadata"]["name"]


@pytest.mark.parametrize(
    ("public_id", "expected"),
    [
        ("instance-3", "recover-instance-3-bcdfgh"),
        ("loco.loco-emulator-3", "recover-loco-loco-emulator-3-bcdfgh"),
        ("Game Server", "recover-game-server-bcdfgh"),
        ("-.-", "recover-bcdfgh"),
        ("\u00fc/../../x", "recover-x-bcdfgh"),
        ("x" * 200, f"recover-{'x' * 48}-bcdfgh"),
        ("x" * 47 + "-y", f"recover-{'x' * 47}-bcdfgh"),
    ],
)
def test_a_name_is_the_instances_as_far_as_kubernetes_takes_it(public_id, expected):
    assert expected == name_of(public_id)
    assert NAME.fullmatch(expected)


def test_the_annotation_has_the_id_whole_on_the_job_and_on_its_pod():
    job = recovery_job(a_cronjob("recover"), "x" * 200, suffix="bcdfgh")

    assert ["x" * 200] * 2 == [
        metadata["annotations"]["loco-health/instance"]
        for metadata in (job["metadata"], job["spec"]["template"]["metadata"])
    ]


def test_only_what_was_asked_for_is_said():
    plain = recovery_job(a_cronjob("recover"), "instance-0", suffix="b")
    asked = recovery_job(
        a_cronjob("recover"), "instance-0", suffix="b", action=Action.RESET_GUEST, is_forced=True, requested_by="a\nb"
    )

    said = [job["spec"]["template"]["metadata"]["annotations"] for job in (plain, asked)]
    assert [{}, {"action": "reset-guest", "force": "true", "requested-by": "ab"}] == [
        {key.removeprefix("loco-health/"): value for key, value in one.items() if not key.endswith("instance")}
        for one in said
    ]


def test_the_template_itself_stays_as_it_was():
    cronjob = a_cronjob("recover")

    recovery_job(cronjob, "instance-0", suffix="b")

    assert a_cronjob("recover") == cronjob


def test_a_refresh_is_known_by_its_name_as_no_run_of_the_schedule():
    names = [refresh_job(a_cronjob("discover"), suffix=new_suffix())["metadata"]["name"] for _ in range(50)]

    assert {0} == {window_seconds(None, "*/5 * * * *", name) for name in names}
    assert 50 == len(set(names))


@pytest.mark.parametrize("found", [{}, {"spec": {}}, {"spec": {"jobTemplate": None}}, {"spec": []}])
def test_what_is_no_cronjob_is_refused(found):
    with pytest.raises((KeyError, TypeError, AttributeError)):
        recovery_job(found, "instance-0", suffix="b")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST:3000", True),
        ("127.0.0.1:3000", True),
        ("127.8.9.1", True),
        ("[::1]:3000", True),
        ("localhost.evil.example", False),
        ("127.0.0.1.nip.io", False),
        ("evil.example:127", False),
        ("0.0.0.0:3000", False),
        ("[::]", False),
        ("10.0.0.1", False),
        ("", False),
        ("localhost:3000:3000", False),
        ("localhost@evil.example", False),
    ],
)
def test_a_host_is_this_machine_alone_or_it_isnt(host, expected):
    assert expected == is_loopback(host)
