"""Asking for a recovery in a real cluster: by HTTP with a token, by `kubectl loco`, by `kubectl create job`.

The fleet is switched to watching only, so that each Job ends by saying so: who may ask is what is tried here.
"""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from deployment import OURS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

RECOVER, REFRESH = "/api/quality/recover/instance-1", "/api/instances/refresh"


@pytest.fixture(scope="module")
def origin(deployment):
    """Yield where the API answers, past the service proxy, which takes tokens away."""
    forward = deployment.kube.start("port-forward", "-n", OURS, "service/loco-api", ":3000")
    try:
        port = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        forward.terminate()
        forward.communicate()


def token(deployment, account: str) -> str:
    return deployment.kube("create", "token", account, "-n", OURS, "--duration=10m").strip()


def post(url: str, bearer: str | None, body: dict | None = None) -> tuple[int, dict]:
    """Return status and JSON of a POST."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
    request = urllib.request.Request(url, json.dumps(body or {}).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def end_of(deployment, job: str) -> str:
    """Return what a Job's pod said at its end."""

    def said() -> str | None:
        pods = deployment.kube.get("pods", f"--selector=batch.kubernetes.io/job-name={job}", namespace=OURS)["items"]
        ended = [
            one["status"]["containerStatuses"][0]["state"].get("terminated")
            for one in pods
            if one["status"].get("containerStatuses")
        ]
        return next((one["message"] for one in ended if one), None)

    return deployment.kube.wait_until(said, 90, f"Job {job} to end")


@pytest.mark.parametrize("path", [RECOVER, REFRESH])
def test_four_answers_to_four_callers(path, deployment, origin):
    callers = {"nobody": None, "a stranger": "e30.e30.c2ln", "no right": token(deployment, "loco-api")}
    answers = {name: post(f"{origin}{path}", bearer)[0] for name, bearer in callers.items()}
    status, said = post(f"{origin}{path}", token(deployment, "loco-requester"))

    assert {"nobody": 401, "a stranger": 401, "no right": 403} == answers
    assert 202 == status
    assert deployment.kube.get("job", said["job"], namespace=OURS)


def test_what_is_asked_for_is_held_to_the_fleets_switches_and_costs_no_attempt(deployment, origin):
    counted = "SELECT count(*) FROM attempts"
    before = deployment.query(counted)
    status, said = post(f"{origin}{RECOVER}", token(deployment, "loco-requester"), {"forceRecovery": True})
    end = end_of(deployment, said["job"])

    assert (202, True) == (status, said["forceRecovery"])
    assert {"message", "failureType", "forceRecovery"} <= set(said)
    assert '"attempt":null' in end
    assert "stood-down" in end
    assert before == deployment.query(counted)


def test_an_unknown_instance_is_404_and_makes_no_job(deployment, origin):
    before = deployment.kube.get("jobs", namespace=OURS)["items"]
    status, _ = post(f"{origin}/api/quality/recover/instance-99", token(deployment, "loco-requester"))
    after = deployment.kube.get("jobs", namespace=OURS)["items"]
    asked = {job["metadata"]["name"] for job in after} - {job["metadata"]["name"] for job in before}

    assert (404, []) == (status, [name for name in asked if name.startswith("recover")])


def test_kubectl_loco_recover_asks_as_a_user_types_it(deployment):
    path = f"{Path(sys.executable).parent}{os.pathsep}{deployment.kube.path}"
    environment = os.environ | {"KUBECONFIG": str(deployment.kube.kubeconfig), "PATH": path}
    done = subprocess.run(
        ["kubectl", "loco", "recover", "instance-1"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    job = re.search(r"recover-instance-1-[0-9a-z]+", done.stdout + done.stderr)

    assert (0, True) == (done.returncode, job is not None), done.stderr
    assert "stood-down" in end_of(deployment, job[0])


def test_a_job_by_hand_reads_the_instance_from_its_name(deployment):
    kube = deployment.kube
    kube.try_("delete", "job", "-n", OURS, "recover-instance-2", "--ignore-not-found", "--cascade=foreground")
    kube("create", "job", "-n", OURS, "recover-instance-2", "--from=cronjob/recover")

    assert '"instance":"instance-2"' in end_of(deployment, "recover-instance-2")
