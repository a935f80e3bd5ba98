"""`kubectl loco` by the real kubectl: by the service proxy, from the ConfigMap, with patches, and behind Tab."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest
from api_process import an_api
from proxying_server import CONTROL, CORE, PROXY, a_cluster, a_kubeconfig
from typing_loco import a_png, an_ill_fleet, freshen, typed

from api.kubectl.switches import POD_MAINTENANCE, POD_RECOVERY
from jobs.cluster import annotations
from jobs.cluster.snapshot import JSON, render
from jobs.store.snapshot import read_snapshot

pytestmark = pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl here")

SNAPSHOT = f"{CORE}/configmaps/loco-health"
POD = "/api/v1/namespaces/loco/pods/loco-emulator-1"
PLUGINS = {"kubectl-loco": "api.kubectl.__main__:main", "kubectl_complete-loco": "api.kubectl.completion:complete"}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "loco.db"
    with an_ill_fleet(path) as fleet, an_api(path) as api, a_cluster() as cluster:
        yield fleet, api, cluster


@pytest.fixture
def cluster(served):
    """The cluster as new, with a fresh tick, its snapshot and a pod."""
    fleet, api, cluster = served
    freshen(fleet)
    cluster.api, cluster.events, cluster.asked, cluster.forbidden = api.port, [], [], set()
    text = render(read_snapshot(fleet.connection, at_ms=int(time.time() * 1000)))[JSON]
    cluster.objects = {SNAPSHOT: {"kind": "ConfigMap", "apiVersion": "v1", "data": {JSON: text}}}
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "loco-emulator-1", "namespace": "loco"}}
    cluster.objects[POD] = pod
    return cluster


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """A folder with both programs, as an installer makes them."""
    folder = tmp_path_factory.mktemp("bin")
    for name, place in PLUGINS.items():
        module, function = place.split(":")
        script = folder / name
        script.write_text(f"#!{sys.executable}\nfrom {module} import {function}\n{function}()\n")
        script.chmod(0o755)
    return folder


@pytest.fixture
def kubectl(cluster, plugins, tmp_path):
    """What types `kubectl ...` in that cluster."""
    (tmp_path / "kubeconfig").write_text(a_kubeconfig(cluster.port))
    environment = {
        **os.environ,
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "HOME": str(tmp_path),
        "PATH": f"{plugins}:{os.environ['PATH']}",
        "PYTHONPATH": os.getcwd(),  # noqa: PTH109
    }

    def run(*words, text=True):
        return subprocess.run(
            ["kubectl", *words], env=environment, capture_output=True, text=text, timeout=120, check=False
        )

    return run


def data(cluster):
    return cluster.objects[CONTROL]["data"]


def pod_annotations(cluster):
    return cluster.objects[POD]["metadata"].get("annotations", {})


def test_reading_goes_through_the_service_proxy_and_asks_once(kubectl, cluster):
    done = kubectl("loco", "get", "instance-1", "--no-headers")

    assert (0, ["instance-1", "unreachable"], "") == (done.returncode, done.stdout.split()[:2], done.stderr)
    asked = [one for one in cluster.asked if one[1].startswith(CORE)]
    assert [("GET", f"{PROXY}/api/quality/deep-health/instance-1")] == asked


def test_an_unknown_name_is_looked_up_in_the_list(kubectl):
    done = kubectl("loco", "why", "instance-11")

    assert 4 == done.returncode
    assert done.stderr.startswith("kubectl loco: no instance is called 'instance-11'; did you mean instance-1")


def test_while_the_api_is_down_the_configmap_answers_and_says_so(kubectl, cluster):
    before = json.loads(kubectl("loco", "get", "-o", "json").stdout)["items"]
    cluster.api = None
    done = kubectl("loco", "get", "-o", "json")

    after = json.loads(done.stdout)["items"]
    facts = ("name", "namespace", "pod", "verdict", "failureType", "reasons", "since", "incident")
    assert [{name: one[name] for name in facts} for one in before] == [
        {name: one[name] for name in facts} for one in after
    ]
    assert (0, {"configmap"}, {None}) == (
        done.returncode,
        {one["source"] for one in after},
        {one["frameRate"] for one in after},
    )
    assert re.fullmatch(
        r"kubectl loco: Error from server \(ServiceUnavailable\): no endpoints available .*; "
        r"this is what ConfigMap loco-health said at 20\S+Z\n",
        done.stderr,
    )


def test_by_the_configmap_an_instance_answers_to_its_names_too(kubectl, cluster):
    cluster.api = None
    done = kubectl("loco", "get", "loco/loco-emulator-1", "--no-headers")
    unknown = kubectl("loco", "get", "instance-9")

    assert (0, "instance-1") == (done.returncode, done.stdout.split()[0])
    assert (4, True) == (unknown.returncode, "no instance is called 'instance-9'" in unknown.stderr)


@pytest.mark.parametrize("text", [None, "{", '{"version": 99}'])
def test_without_both_the_apis_own_failure_is_told(kubectl, cluster, text):
    cluster.api = None
    cluster.objects[SNAPSHOT]["data"] = {} if text is None else {JSON: text}
    done = kubectl("loco", "get")

    assert (1, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
    assert "no endpoints available for service" in done.stderr


def test_a_missing_right_is_kubectls_own_sentence(kubectl, cluster):
    cluster.forbidden = {f"{PROXY}/api/runs"}
    done = kubectl("loco", "runs")

    assert 1 == done.returncode
    assert done.stderr.startswith("kubectl loco: Error from server (Forbidden): ")


def test_another_namespace_than_the_monitors_is_pointed_out(kubectl):
    done = kubectl("loco", "get", "-n", "loco")

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.endswith("not found; the monitor isn't in namespace loco; -n says where it is\n")


def test_describe_shows_the_pods_events_the_newest_last(kubectl, cluster):
    cluster.events = [an_event("2026-11-24T20:09:00Z", "Later"), an_event("2026-11-24T20:08:00Z", "Earlier\x1b[31m")]
    done = kubectl("loco", "describe", "instance-1")

    events = done.stdout.rpartition("Events:\n")[2]
    assert ["REASON", "Earlier\\u001b[31m", "Later"] == [line.split()[2] for line in events.splitlines()]


def test_events_that_may_not_be_read_keep_nothing_else_back(kubectl, cluster):
    cluster.events = None
    done = kubectl("loco", "describe", "instance-1")

    assert (0, True) == (done.returncode, "Name:         instance-1" in done.stdout)
    assert "Events:  <can't be read: Error from server (Forbidden)" in done.stdout.splitlines()[-1]


def test_describe_tells_what_an_api_without_its_store_still_knows(kubectl, cluster, served, tmp_path):
    folder = tmp_path / "snapshot"
    folder.mkdir()
    (folder / JSON).write_text(cluster.objects[SNAPSHOT]["data"][JSON])
    with an_api(tmp_path / "gone.db", LOCO_SNAPSHOT=str(folder)) as api:
        cluster.api = api.port
        done = kubectl("loco", "describe", "instance-1")
        why = kubectl("loco", "why", "instance-1")

    assert (0, 1, 1) == (done.returncode, why.returncode, why.stderr.count("\n"))
    assert re.search(r"^Verdict: +unreachable$", done.stdout, re.MULTILINE)
    assert re.search(r"^Changes:  <can't be told: Error from server", done.stdout, re.MULTILINE)


def test_a_picture_comes_through_the_proxy_as_it_is(kubectl, tmp_path):
    done = kubectl("loco", "screen", "instance-0", "-o", "-", text=False)
    saved = kubectl("loco", "screen", "loco/loco-emulator-0", "-o", str(tmp_path / "s.png"))

    assert (0, a_png(), b"") == (done.returncode, done.stdout, done.stderr)
    assert (0, a_png()) == (saved.returncode, (tmp_path / "s.png").read_bytes())


def test_no_picture_is_told_from_no_instance(kubectl):
    done = kubectl("loco", "screen", "instance-2", "-o", "-")

    assert (4, "kubectl loco: no picture of instance-2 was ever taken\n") == (done.returncode, done.stderr)


def test_pausing_the_fleet_makes_the_switches_where_there_are_none(kubectl, cluster):
    done = kubectl("loco", "pause")

    assert (0, {"recovery": "off"}) == (done.returncode, data(cluster))
    assert (
        "configmap/loco-control created\nfleet: KillSwitch, recovery is switched off in loco-control\n" == done.stdout
    )


def test_pausing_for_a_time_with_a_reason_leaves_other_switches_alone(kubectl, cluster):
    cluster.objects[CONTROL] = {"kind": "ConfigMap", "apiVersion": "v1", "data": {"recovery": "on"}}
    done = kubectl("loco", "pause", "--for", "2h", "--reason", "moving disks")

    until = data(cluster)["pause-until"]
    assert {"recovery": "on", "pause-until": until, "pause-reason": "moving disks"} == data(cluster)
    assert f"configmap/loco-control patched\nfleet: Paused, paused until {until}: moving disks\n" == done.stdout
    left_seconds = annotations.parse_instant_ms(until) / 1000 - time.time()
    assert 7000 < left_seconds <= 7200


def test_resuming_takes_every_switch_away_and_says_what_still_holds(kubectl, cluster):
    kubectl("loco", "pause", "--for", "2h")
    kubectl("loco", "pause")
    done = kubectl("loco", "resume")

    assert ({}, "configmap/loco-control patched\nfleet: recovery is on\n") == (data(cluster), done.stdout)
    data(cluster)["recvery"] = "off"
    assert "fleet: KillSwitch, 'recvery' is no switch of loco-control" in kubectl("loco", "resume").stdout


def test_resuming_where_nothing_was_paused_makes_nothing(kubectl, cluster):
    done = kubectl("loco", "resume")

    assert (0, "fleet: recovery is on\n", False) == (done.returncode, done.stdout, CONTROL in cluster.objects)


def test_one_instance_is_paused_by_its_pods_annotations(kubectl, cluster):
    done = kubectl("loco", "pause", "instance-1")

    assert {POD_RECOVERY: "off"} == pod_annotations(cluster)
    assert f"pod/loco-emulator-1 patched\ninstance-1: Paused, {POD_RECOVERY} is off\n" == done.stdout
    assert "a pod made in its place has none" in done.stderr


def test_one_instance_is_paused_for_a_time_and_resumed(kubectl, cluster):
    kubectl("loco", "pause", "instance-1")
    kubectl("loco", "pause", "instance-1", "--for", "90s")
    paused = dict(pod_annotations(cluster))
    cluster.objects[CONTROL] = {"kind": "ConfigMap", "apiVersion": "v1", "data": {"recovery": "off"}}
    done = kubectl("loco", "resume", "loco-emulator-1")

    assert [POD_MAINTENANCE] == list(paused)
    assert annotations.wishes_of({"metadata": {"annotations": paused}}).maintenance_until_ms > time.time() * 1000
    assert {} == pod_annotations(cluster)
    assert ["loco-emulator-1: recovery is on", "fleet: KillSwitch, recovery is switched off in loco-control"] == (
        done.stdout.splitlines()[1:]
    )


def test_a_pause_needs_no_api(kubectl, cluster):
    cluster.api = None
    by_snapshot = kubectl("loco", "pause", "instance-1")
    del cluster.objects[SNAPSHOT]
    by_name = kubectl("loco", "resume", "loco/loco-emulator-1")
    unknown = kubectl("loco", "pause", "instance-1")

    assert (0, 0, 1) == (by_snapshot.returncode, by_name.returncode, unknown.returncode)
    assert {} == pod_annotations(cluster)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("pause", "--for", "0s"), "--for 0s would end before it began; nothing was done"),
        (("pause", "instance-1", "--reason", "why"), "a pod's annotations have no place for one; nothing was done"),
        (("pause", "--reason", "x" * 201), "--reason is one line of at most 200 characters; nothing was done"),
        (("pause", "--reason", "a\nb"), "--reason is one line of at most 200 characters; nothing was done"),
        (("pause", "--for", "2 h"), "'2 h' is no span of time"),
    ],
)
def test_a_pause_that_cant_be_meant_changes_nothing(kubectl, cluster, words, expected):
    done = kubectl("loco", *words)

    assert (2, "", True) == (done.returncode, done.stdout, expected in done.stderr)
    assert [] == [path for method, path in cluster.asked if method != "GET"]


def test_a_pause_that_kubernetes_refuses_is_kubectls_own_sentence(kubectl, cluster):
    cluster.forbidden = {CONTROL}
    done = kubectl("loco", "pause")

    assert (1, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
    assert "(Forbidden)" in done.stderr


def test_the_annotations_are_those_that_discovery_reads():
    assert (annotations.RECOVERY, annotations.MAINTENANCE) == (POD_RECOVERY, POD_MAINTENANCE)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("get", "instance-"), ["instance-0", "instance-1", "instance-2"]),
        (("expl",), ["explain"]),
        (("explain", "QmpT"), ["QmpTimeout"]),
        (("get", "-o", "w"), ["wide"]),
        (("recover", "instance-0", "--action", "reset-g"), ["reset-guest"]),
    ],
)
def test_tab_completes_behind_kubectl(kubectl, words, expected):
    done = kubectl("__complete", "loco", *words)

    *offered, directive = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert (expected, ":4") == (offered, directive)


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_tab_completes_the_program_itself_in_bash(plugins):
    words = "COMP_WORDS=(kubectl-loco expl); COMP_CWORD=1; _kubectl_loco_completion kubectl-loco; echo ${COMPREPLY[@]}"
    done = subprocess.run(
        ["bash", "-c", f"source <(kubectl-loco completion bash); {words}"],
        env={**os.environ, "PATH": f"{plugins}:{os.environ['PATH']}", "PYTHONPATH": os.getcwd()},  # noqa: PTH109
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ("explain\n", "") == (done.stdout, done.stderr)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_their_script(shell):
    assert "_KUBECTL_LOCO_COMPLETE" in typed("completion", shell).out


def test_tab_is_silent_where_nobody_answers(kubectl, cluster):
    cluster.api = None
    done = kubectl("__complete", "loco", "get", "instance-")

    assert [":4"] == done.stdout.split()


def an_event(at, reason):
    return {
        "type": "Warning",
        "reason": reason,
        "message": "so it was",
        "lastTimestamp": at,
        "metadata": {"creationTimestamp": at},
    }
