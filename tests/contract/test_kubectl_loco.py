"""`kubectl loco recover` with the real kubectl, against an API server that decides by tokens."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from pods import a_pod, a_pods_instance
from stores import TICK_MS, a_fleet
from token_server import BAD, BATCH, GOOD, POWERLESS, TokenServer, a_token_server

from jobs.cluster.snapshot import JSON, render
from jobs.health.model import ProbeOutcome
from jobs.store.snapshot import read_snapshot

pytestmark = pytest.mark.skipif(
    not (shutil.which("kubectl") and shutil.which("openssl")), reason="no kubectl and openssl here"
)

CORE = "/api/v1/namespaces/loco-health"
SNAPSHOT = f"{CORE}/configmaps/loco-health"
DEEP_HEALTH = f"{CORE}/services/http:loco-api:3000/proxy/api/quality/deep-health/instance-0"
NEXT = {"action": "reset-guest", "hold": "CoolDown"}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with a_token_server(tmp_path_factory.mktemp("ca")) as (server, ca):
        yield server, ca


@pytest.fixture
def server(running, tmp_path):
    """The API server as new, with a snapshot of now."""
    running[0].__dict__.update(TokenServer(port=running[0].port).__dict__)
    publish(running[0], tmp_path)
    return running[0]


@pytest.fixture
def loco(running, server, tmp_path):
    """What runs the plugin through kubectl, with a token of one's own."""
    plugin = tmp_path / "bin" / "kubectl-loco"
    plugin.parent.mkdir()
    plugin.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m api.kubectl "$@"\n')
    plugin.chmod(0o755)

    def run(*words, token=GOOD):
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(json.dumps(a_kubeconfig(server.port, running[1], token)))
        return subprocess.run(
            ["kubectl", "loco", *words],
            env={**os.environ, "KUBECONFIG": str(kubeconfig), "PATH": f"{plugin.parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def a_kubeconfig(port, ca, token):
    """Return a kubeconfig of one cluster and one user."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "c", "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(ca)}}
        ],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "here",
    }


def publish(server, folder, *, late_ms=0):
    """Put a ConfigMap of two instances there, one of them ill."""
    at_ms = int(time.time() * 1000) - late_ms
    instances = [
        replace(a_pods_instance(a_pod(name=f"loco-emulator-{n}")), public_id=f"instance-{n}") for n in range(2)
    ]
    with a_fleet(folder / "snapshot.db", instances, at_ms=at_ms - 3 * TICK_MS) as fleet:
        fleet.ticks(3, {instances[1].public_id: ProbeOutcome.REFUSED})
        text = render(read_snapshot(fleet.connection, at_ms=at_ms))[JSON]
    (folder / "snapshot.db").unlink()
    server.others[SNAPSHOT] = {"kind": "ConfigMap", "data": {JSON: text}}


def test_a_job_is_made_of_the_template_with_the_callers_own_rights(loco, server):
    done = loco("recover", "instance-1", "--action", "reset-guest", "--force")

    (name,) = server.jobs
    assert (0, f"job.batch/{name} created\n") == (done.returncode, done.stdout)
    assert f"kubectl logs -n loco-health -f job/{name}" in done.stderr
    assert {
        "cronjob.kubernetes.io/instantiate": "manual",
        "loco-health/instance": "instance-1",
        "loco-health/action": "reset-guest",
        "loco-health/force": "true",
        "loco-health/requested-by": "system:serviceaccount:loco-health:loco-requester",
    } == server.jobs[name]["metadata"]["annotations"]
    assert {GOOD} == {token for _, _, token in server.asked}


def test_what_was_last_seen_of_it_is_said_first(loco):
    assert (
        "instance-1 (loco/loco-emulator-1): unreachable, AgentRefused, observed 20"
        in loco("recover", "instance-1").stderr
    )


def test_the_pod_may_be_named_instead_of_the_id(loco, server):
    done = loco("recover", "loco/loco-emulator-1")

    assert (0, ["instance-1"]) == (
        done.returncode,
        [job["metadata"]["annotations"]["loco-health/instance"] for job in server.jobs.values()],
    )


def test_a_dry_run_says_what_is_planned_and_makes_nothing(loco, server):
    server.others[DEEP_HEALTH] = {"recovery": {"next": NEXT, "reason": "CoolDown: 5 s ago, 20 s are to pass"}}

    done = loco("recover", "instance-0", "--dry-run")

    first, second = done.stdout.splitlines()
    assert (0, {}, "planned next: reset-guest; CoolDown: 5 s ago, 20 s are to pass") == (
        done.returncode,
        server.jobs,
        first,
    )
    assert second.endswith("would be created (server dry run)")
    assert ("POST", f"{BATCH}/jobs?dryRun=All", GOOD) in [(m, p.partition("&")[0], t) for m, p, t in server.asked]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, "what is planned isn't known: Error from server (NotFound)"),
        ({"recovery": None}, "what is planned isn't known: the API is of another version"),
        ({"recovery": {"next": None, "reason": None}}, "planned next: nothing; it is due now"),
    ],
)
def test_a_plan_that_isnt_told_is_no_reason_to_invent_one(loco, server, answer, expected):
    if answer:
        server.others[DEEP_HEALTH] = answer

    assert loco("recover", "instance-0", "--dry-run").stdout.startswith(expected)


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_an_api_of_another_shape_is_one_sentence_to_who_wants_a_pod_of_it(loco, server, command):
    server.others[DEEP_HEALTH] = {"recovery": None}
    done = loco(command, "instance-0")

    sentence = "kubectl loco: what the API answered has another shape than this version knows: KeyError('kubernetes')"
    assert (1, "", f"{sentence}\n") == (done.returncode, done.stdout, done.stderr)


def test_an_unknown_instance_is_one_sentence_and_nothing_is_made(loco, server):
    done = loco("recover", "instance-9")

    assert (4, {}) == (done.returncode, server.jobs)
    assert (
        "kubectl loco: no instance is called 'instance-9'; did you mean instance-1 or instance-0?; nothing was done\n"
        == done.stderr
    )


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (lambda server, _: server.others.pop(SNAPSHOT), "ConfigMap loco-health can't be read: Error from server"),
        (lambda server, _: server.others.update({SNAPSHOT: {"data": {}}}), "holds no snapshot of this version"),
        (
            lambda server, _: server.others.update({SNAPSHOT: {"data": {JSON: "{"}}}),
            "holds no snapshot of this version",
        ),
        (lambda server, folder: publish(server, folder, late_ms=301_000), "too old to know"),
    ],
)
def test_where_the_fleet_cant_be_looked_up_the_job_does_it(loco, server, tmp_path, break_it, expected):
    break_it(server, tmp_path)

    done = loco("recover", "instance-9")

    assert (0, 1, True) == (done.returncode, len(server.jobs), expected in done.stderr)
    assert "'instance-9' isn't looked up, the Job will" in done.stderr


@pytest.mark.parametrize(
    ("token", "expected"),
    [(BAD, "kubectl loco: You must be logged in to the server (Unauthorized)"), (POWERLESS, "cannot get resource")],
)
def test_kubectls_own_errors_are_passed_on_with_its_exit_code(loco, server, token, expected):
    done = loco("recover", "instance-0", token=token)

    assert (1, {}, True) == (done.returncode, server.jobs, expected in done.stderr.splitlines()[-1])


def test_what_the_admission_policy_refuses_is_told_in_its_words(loco, server):
    server.refusal = (403, "ValidatingAdmissionPolicy 'loco-health-jobs' denied request")

    done = loco("recover", "instance-0")

    assert (1, True) == (done.returncode, "'loco-health-jobs' denied request" in done.stderr)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("recover",), "Missing argument 'NAME'"),
        (("recover", "instance-0", "--action", "explode"), "'explode' is not one of 'reset-interface'"),
        (("restart",), "No such command 'restart'"),
        (("recover", "instance-0", "-n", "a/b"), "'a/b' is no name of a namespace"),
    ],
)
def test_a_wrong_word_is_one_sentence(loco, words, expected):
    done = loco(*words)

    assert (2, True) == (done.returncode, expected in done.stderr)


def test_usage_says_kubectl_loco(loco):
    assert loco("recover", "--help").stdout.startswith("Usage: kubectl loco recover [OPTIONS] NAME")


def test_another_context_is_handed_on(loco):
    done = loco("recover", "instance-0", "--context", "nowhere")

    assert (1, True) == (done.returncode, 'context "nowhere" does not exist' in done.stderr)


def test_another_namespace_is_where_everything_is_looked_for(loco, server):
    done = loco("recover", "instance-0", "-n", "other")

    paths = [path for _, path, _ in server.asked if "namespaces" in path]
    assert (1, True) == (done.returncode, all("/namespaces/other/" in path for path in paths))


def test_without_kubectl_nothing_is_asked():
    done = subprocess.run(
        [sys.executable, "-m", "api.kubectl", "recover", "instance-0"],
        env={**os.environ, "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (2, "kubectl isn't on PATH; nothing was asked") == (
        done.returncode,
        done.stderr.strip().rpartition("kubectl loco: ")[2],
    )
