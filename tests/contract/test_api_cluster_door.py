"""Asking the API in a cluster: the caller's token decides, and stands nowhere but in the request that it is for."""

import json
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import pytest
from api_process import an_api
from openapi import broken_promises
from servers import closed_port
from stores import TICK_MS, a_fleet, an_instance
from token_server import BAD, BATCH, GOOD, POWERLESS, TokenServer, a_token_server, make_certificate

RECOVER = "/api/quality/recover/instance-0"
REFRESH = "/api/instances/refresh"
JSON = "application/json"

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl here to make a certificate with")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The path of a store with one healthy instance, and its fleet."""
    path = tmp_path_factory.mktemp("store") / "loco.db"
    with a_fleet(path, [an_instance()], at_ms=int(time.time() * 1000) - TICK_MS) as fleet:
        yield path, fleet


@pytest.fixture(autouse=True)
def store(kept):
    """The path of that store, with a tick of now."""
    path, fleet = kept
    fleet.tick_now()
    return path


@contextmanager
def in_a_cluster(store, port, ca):
    """Yield an API that runs in the cluster of a server at `port`."""
    settings = {"LOCO_CLUSTER_CA": str(ca), "KUBERNETES_SERVICE_HOST": "127.0.0.1"}
    with an_api(
        store, is_patient=True, **settings, KUBERNETES_SERVICE_PORT=str(port), HTTPS_PROXY="http://127.0.0.1:1"
    ) as api:
        yield api


@pytest.fixture(scope="module")
def running(kept, tmp_path_factory):
    """An API server and the API beside it."""
    with a_token_server(tmp_path_factory.mktemp("ca")) as (server, ca), in_a_cluster(kept[0], server.port, ca) as api:
        yield server, api


@pytest.fixture
def server(running):
    """The API server as new."""
    fresh = TokenServer(port=running[0].port)
    running[0].__dict__.update(fresh.__dict__)
    return running[0]


@pytest.fixture
def api(running, server):
    return running[1]


@pytest.mark.parametrize("path", [RECOVER, REFRESH])
@pytest.mark.parametrize(
    ("token", "status", "reason"),
    [(None, 401, "CredentialsMissing"), (BAD, 401, "CredentialsRefused"), (POWERLESS, 403, "NotAllowed")],
)
def test_without_the_right_token_nothing_is_made(api, server, path, token, status, reason):
    reply = api.post(path, token=token)

    assert (status, "application/problem+json", reason) == (
        reply.status,
        reply.headers["content-type"],
        reply.json["reason"],
    )
    assert ("Bearer" if status == 401 else None) == reply.headers.get("www-authenticate")
    assert {} == server.jobs


def test_with_it_a_recovery_becomes_a_job_of_the_template_that_names_who_asked(api, server):
    reply = api.post(RECOVER, token=GOOD)

    (name,) = server.jobs
    assert (202, name, "instance-0", False, "none") == (
        reply.status,
        *(reply.json[field] for field in ("job", "instanceId", "forceRecovery", "failureType")),
    )
    assert name.startswith("recover-instance-0-")
    assert {
        "cronjob.kubernetes.io/instantiate": "manual",
        "loco-health/instance": "instance-0",
        "loco-health/requested-by": "system:serviceaccount:loco-health:loco-requester",
    } == server.jobs[name]["metadata"]["annotations"]
    assert "controller" not in server.jobs[name]["metadata"]["ownerReferences"][0]
    assert [] == broken_promises("RecoveryAsked", reply.json)


def test_force_is_told_to_the_job(api, server):
    reply = api.post(RECOVER, token=GOOD, body={"forceRecovery": True})

    assert (202, True) == (reply.status, reply.json["forceRecovery"])
    assert "true" == server.jobs[reply.json["job"]]["metadata"]["annotations"]["loco-health/force"]


def test_a_dry_run_has_the_api_server_check_the_job_and_makes_none(api, server):
    reply = api.post(RECOVER, token=GOOD, body={"dryRun": True})

    assert (200, "instance-0", "BootGrace", False) == (
        reply.status,
        reply.json["instanceId"],
        reply.json["plan"]["hold"],
        reply.json["plan"]["due"],
    )
    assert {} == server.jobs
    assert ("POST", f"{BATCH}/jobs?dryRun=All", GOOD) == server.asked[-1]
    assert [] == broken_promises("RecoveryForeseen", reply.json)


@pytest.mark.parametrize(
    ("token", "refusal", "status"), [(BAD, None, 401), (POWERLESS, None, 403), (GOOD, (422, "denied: image"), 502)]
)
def test_a_dry_run_that_wouldnt_be_let_is_refused_as_the_real_one_is(api, server, token, refusal, status):
    server.refusal = refusal

    assert status == api.post(RECOVER, token=token, body={"dryRun": True}).status


def test_a_refresh_becomes_a_job_of_discover_that_is_no_run_of_its_schedule(api, server):
    reply = api.post(REFRESH, token=GOOD)

    assert (202, [reply.json["job"]]) == (reply.status, list(server.jobs))
    assert reply.json["job"].startswith("discover-refresh-")
    assert [] == broken_promises("RefreshAsked", reply.json)


def test_two_requests_make_two_jobs_since_the_budget_is_the_ledgers(api, server):
    api.post(RECOVER, token=GOOD)
    api.post(RECOVER, token=GOOD)

    assert 2 == len(server.jobs)


def test_every_request_to_the_api_server_is_made_with_the_callers_token(api, server):
    api.post(RECOVER, token=GOOD)

    assert [
        ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", GOOD),
        ("GET", f"{BATCH}/cronjobs/recover", GOOD),
        ("POST", f"{BATCH}/jobs", GOOD),
    ] == server.asked


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"{", JSON, (400, "BadBody", "the body can't be taken")),
        (b"[]", JSON, (400, "BadBody", "a JSON object is, its fields: forceRecovery")),
        (b'{"force": true}', JSON, (400, "BadBody", "unknown field `force`")),
        (b'{"forceRecovery": "yes"}', JSON, (400, "BadBody", "Expected `bool`, got `str`")),
        (b'{"\xff": 1}', JSON, (400, "BadBody", "the body can't be taken")),
        (b"{}", "text/plain", (415, "UnsupportedMediaType", "Content-Type is 'text/plain'")),
        (b"{}", "", (415, "UnsupportedMediaType", "application/json is needed")),
        (b'{"forceRecovery": true}' + b" " * 5000, JSON, (413, "BadRequest", "nothing was done")),
    ],
)
def test_a_body_that_cant_be_taken_is_a_problem_and_nothing_is_asked(api, server, body, content_type, expected):
    reply = api.post(RECOVER, token=GOOD, body=body, headers={"Content-Type": content_type})

    assert expected[:2] == (reply.status, reply.json["reason"])
    assert expected[2] in reply.json["detail"]
    assert [] == server.asked


def test_a_refresh_takes_no_field(api):
    reply = api.post(REFRESH, token=GOOD, body={"forceRecovery": True})

    assert (400, True) == (reply.status, "its fields: none" in reply.json["detail"])


@pytest.mark.parametrize(
    "path", ["/api/quality/recover/instance-9", "/api/quality/recover/%3Cscript%3E", "/api/quality/recover/%00"]
)
def test_an_unknown_instance_is_404_and_nothing_is_asked(api, server, path):
    reply = api.post(path, token=GOOD)

    assert (404, "UnknownInstance", []) == (reply.status, reply.json["reason"], server.asked)


@pytest.mark.parametrize("path", [RECOVER, REFRESH])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_any_other_method_is_405_and_no_other_origin_is_let_in(api, path, method):
    reply = api.ask(path, method=method, headers={"Origin": "https://evil.example"})

    assert (405, "POST") == (reply.status, reply.headers["allow"])
    assert [] == [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "line", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer a b", f"Bearer {GOOD}, Bearer {BAD}", "bearer:x", GOOD]
)
def test_what_is_no_single_bearer_token_is_never_sent_on(api, server, line):
    reply = api.post(RECOVER, headers={"Authorization": line})

    assert (401, "CredentialsRefused", []) == (reply.status, reply.json["reason"], server.asked)


def test_no_token_says_how_to_get_one_and_why_the_service_proxy_has_none(api):
    detail = api.post(RECOVER).json["detail"]

    assert "kubectl create token loco-requester -n loco-health --duration=10m" in detail
    assert "service proxy takes that header away" in detail


@pytest.mark.parametrize(
    ("refusal", "status", "reason", "retry"),
    [
        ((403, "denied the request: image"), 403, "NotAllowed", None),
        ((422, "ValidatingAdmissionPolicy 'loco-jobs' denied"), 502, "ClusterRefused", None),
        ((409, "already exists"), 502, "ClusterRefused", None),
        ((429, "too many requests"), 503, "ClusterUnavailable", "7"),
        ((500, "etcd is away"), 503, "ClusterUnavailable", "7"),
        ((301, "elsewhere"), 502, "ClusterRefused", None),
    ],
)
def test_what_the_api_server_refuses_is_told_in_its_words(api, server, refusal, status, reason, retry):
    server.refusal, server.retry_after = refusal, "7"

    reply = api.post(RECOVER, token=GOOD)

    assert (status, reason, retry) == (reply.status, reply.json["reason"], reply.headers.get("retry-after"))
    assert f"the API server says: {refusal[1]}" in reply.json["detail"]
    assert [] == [path for _, path, _ in server.asked if path == "/elsewhere"]
    assert (refusal[0] >= 500) == ("it isn't known whether Job" in reply.json["detail"])


def test_an_answer_that_is_lost_leaves_it_open_whether_the_job_was_made(api, server):
    server.is_mute = True

    reply = api.post(RECOVER, token=GOOD)

    (name,) = server.jobs
    assert (503, "5") == (reply.status, reply.headers["retry-after"])
    assert f"`kubectl get job {name} -n loco-health` tells" in reply.json["detail"]


def test_a_template_that_isnt_there_is_told_by_name(api, server):
    server.has_templates = False

    reply = api.post(RECOVER, token=GOOD)

    assert (503, "there is no CronJob recover in loco-health; nothing was made") == (
        reply.status,
        reply.json["detail"],
    )


def test_a_server_that_cant_say_who_asks_still_makes_the_job(api, server):
    server.has_reviews = False

    reply = api.post(RECOVER, token=GOOD)

    assert 202 == reply.status
    assert "loco-health/requested-by" not in server.jobs[reply.json["job"]]["metadata"]["annotations"]


def test_an_api_server_that_is_away_is_503_with_a_time_to_come_back(store, tmp_path):
    make_certificate(tmp_path / "ca.crt", tmp_path / "ca.key")
    with in_a_cluster(store, closed_port(), tmp_path / "ca.crt") as api:
        reply = api.post(RECOVER, token=GOOD)

    assert (503, "ClusterUnavailable", "5") == (reply.status, reply.json["reason"], reply.headers["retry-after"])
    assert "the API server can't be reached, or broke off; nothing was made" == reply.json["detail"]


def test_a_server_of_another_ca_gets_no_token(store, tmp_path, server):
    make_certificate(tmp_path / "other.crt", tmp_path / "other.key")
    with in_a_cluster(store, server.port, tmp_path / "other.crt") as api:
        reply = api.post(RECOVER, token=GOOD)

    assert (503, "the API server's certificate isn't of the CA in LOCO_CLUSTER_CA; nothing was made") == (
        reply.status,
        reply.json["detail"],
    )
    assert [] == server.asked


def test_a_ca_that_isnt_there_leaves_reading_as_it_is(store, tmp_path, server):
    with in_a_cluster(store, server.port, tmp_path / "none.crt") as api:
        assert (200, 503) == (api.ask("/readyz").status, api.post(RECOVER, token=GOOD).status)


def test_an_api_server_that_hangs_holds_up_no_reader_and_lets_no_crowd_in(store, tmp_path):
    make_certificate(tmp_path / "ca.crt", tmp_path / "ca.key")
    ask = f"POST {RECOVER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {GOOD}\r\n\r\n".encode()
    with (
        ExitStack() as stack,
        socket.create_server(("127.0.0.1", 0)) as silent,
        in_a_cluster(store, silent.getsockname()[1], tmp_path / "ca.crt") as api,
    ):
        for _ in range(2):
            stack.enter_context(socket.create_connection(("127.0.0.1", api.port))).sendall(ask)
            stack.enter_context(silent.accept()[0])

        third = api.post(RECOVER, token=GOOD)

        assert (503, "Busy", 200) == (third.status, third.json["reason"], api.ask("/api/instances").status)


def test_no_token_is_ever_in_an_answer_or_in_the_log(store, tmp_path):
    with a_token_server(tmp_path) as (server, ca), in_a_cluster(store, server.port, ca) as api:
        replies = [api.post(path, token=token) for path in (RECOVER, REFRESH) for token in (GOOD, POWERLESS, BAD)]
        replies += [api.post(RECOVER, headers={"Authorization": f"Bearer {GOOD} x"})]
        server.refusal = (422, f"no: {GOOD}")
        replies += [api.post(RECOVER, token=GOOD)]
        api.process.terminate()
        log = api.process.stderr.read()

    said = log + "".join(f"{reply.headers}{reply.body}" for reply in replies)
    assert [] == [canary for canary in (GOOD, POWERLESS, BAD) if canary in said]
    assert "[token]" in replies[1].json["detail"] + replies[-1].json["detail"]
    lines = [json.loads(line) for line in log.splitlines()]
    assert ["recovery asked for", "refused", "refused"] == [line["msg"] for line in lines[:3]]
    assert ("instance-0", False, "system:serviceaccount:loco-health:loco-requester", replies[0].json["job"]) == tuple(
        lines[0][field] for field in ("instance", "forced", "by", "job")
    )
    assert ("'/api/quality/recover/instance-0'", 403, "NotAllowed") == tuple(
        lines[1][field] for field in ("path", "status", "reason")
    )


def test_a_ca_outside_of_a_cluster_is_refused_at_the_start(store, tmp_path):
    command = [sys.executable, "-m", "api", "--store", store, "--cluster-ca", tmp_path / "ca.crt"]
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=False, timeout=20)

    assert (2, True) == (done.returncode, "KUBERNETES_SERVICE_HOST isn't" in done.stderr)
