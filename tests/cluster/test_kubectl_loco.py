"""`kubectl loco` as a user types it: the plugin on PATH, a user's own rights, a real API behind the service proxy."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from deployment import INSTANCES, OURS
from recovering import Recovery

from api.kubectl.picture import decode_png
from jobs.store.snapshot import decode

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

PAGE = Path(__file__).parents[2] / "docs" / "kubectl.md"


@pytest.fixture(scope="module")
def kubectl(deployment, tmp_path_factory):
    """What types `kubectl ...`, with the cluster's own user or with a token."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{deployment.kube.path}"
    environment = os.environ | {"KUBECONFIG": str(deployment.kube.kubeconfig), "PATH": path}

    def run(*words, text=True, kubeconfig=None):
        own = {"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}
        return subprocess.run(
            ["kubectl", *words], env=environment | own, capture_output=True, text=text, timeout=200, check=False
        )

    return run


@pytest.fixture(scope="module")
def loco(kubectl):
    """What types `kubectl loco ...` and wants it to end well."""

    def run(*words, **given):
        done = kubectl("loco", *words, **given)
        assert 0 == done.returncode, done.stderr
        return done.stdout

    return run


@pytest.fixture(autouse=True)
def _healthy(deployment):
    """Begin with a fleet that is well and measured, whatever the test before has done to it."""
    deployment.wait_healthy(150)
    deployment.wait_grown()


@pytest.fixture
def switches(deployment):
    """Leave the fleet as the other tests want it: watching only."""
    yield deployment.kube
    Recovery(deployment).switch(recovery="off")


def cells(text):
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines()]


def test_get_lists_the_real_fleet(loco):
    head, *rows = cells(loco("get", "-A", "-o", "wide"))
    told = [dict(zip(head, row, strict=True)) for row in rows]

    assert [(INSTANCES, f"instance-{n}", "healthy", f"loco-emulator-{n}") for n in range(3)] == [
        (one["NAMESPACE"], one["NAME"], one["VERDICT"], one["POD"]) for one in told
    ]
    assert all(float(one["FPS"]) >= 0 for one in told)  # 0 for up to 15 s after a screen that stood still


def test_an_instance_answers_to_its_pods_name_and_an_unknown_one_is_4(loco, kubectl):
    one = json.loads(loco("get", f"{INSTANCES}/loco-emulator-1", "-o", "json"))
    unknown = kubectl("loco", "describe", "instance-4")

    assert ("instance-1", "healthy", "store") == (one["name"], one["verdict"], one["source"])
    assert (4, True) == (unknown.returncode, "no instance is called 'instance-4'; did you mean" in unknown.stderr)


def test_another_namespace_than_the_monitors_is_pointed_out(kubectl):
    done = kubectl("loco", "get", "-n", INSTANCES)

    assert (1, True) == (done.returncode, done.stderr.endswith("isn't in namespace loco; -n says where it is\n"))


def test_a_fault_is_waited_for_explained_and_waited_out(loco, deployment):
    try:
        deployment.decoy("loco-emulator-1", "fault", "mute")
        assert "condition met" in loco("wait", "instance-1", "--for=verdict=degraded", "--timeout", "2m")
        why = loco("why", "instance-1")
        deployment.kube.wait_until(
            lambda: "AudioMuted" in loco("incidents", "instance-1", "--open"), 90, "an incident to be told"
        )
    finally:
        deployment.decoy("loco-emulator-1", "heal")

    assert re.search(r"^  AudioMuted \(degraded, class qemu\)$", why, re.MULTILINE)
    assert "condition met" in loco("wait", "instance-1", "--for=verdict=healthy", "--timeout", "2m")
    assert "docs/runbooks/AudioMuted.md" in loco("explain", "AudioMuted")


def test_describe_shows_the_pods_own_events(loco):
    told = loco("describe", "instance-1")

    assert re.search(r"^Pod: +loco-emulator-1$", told, re.MULTILINE)
    assert re.search(r"^Events:\n  AGE +TYPE +REASON +MESSAGE$", told, re.MULTILINE)


def test_top_and_runs_have_numbers(loco):
    top = cells(loco("top", "--sort=name", "--no-headers"))
    commands = {row[0] for row in cells(loco("runs"))}

    assert [f"instance-{n}" for n in range(3)] == [row[0] for row in top]
    assert all(float(row[1]) >= 0 for row in top)
    assert {"collect", "discover"} <= commands


def test_a_picture_is_a_real_screen(loco, tmp_path):
    loco("screen", "instance-0", "-o", str(tmp_path / "screen.png"))
    pixels = decode_png((tmp_path / "screen.png").read_bytes())

    assert 0 < pixels.width <= 256
    assert len({row[at : at + 3] for row in pixels.rows for at in range(0, 3 * pixels.width, 3)}) > 1


def test_pausing_and_resuming_one_instance_is_seen_by_discovery(loco, deployment):
    assert "loco-health/recovery is off" in loco("pause", "instance-2")
    off = deployment.kube.get("pod", "loco-emulator-2", namespace=INSTANCES)["metadata"]["annotations"]
    told = loco("resume", "instance-2")
    on = deployment.kube.get("pod", "loco-emulator-2", namespace=INSTANCES)["metadata"]["annotations"]

    assert ("off", None) == (off["loco-health/recovery"], on.get("loco-health/recovery"))
    assert "instance-2: recovery is on\nfleet: KillSwitch, recovery is switched off in loco-control\n" in told


def test_pausing_the_fleet_makes_and_changes_its_switches(loco, switches):
    switches("delete", "configmap", "loco-control", "-n", OURS)
    made = loco("pause", "--for", "1h", "--reason", "a test")
    data = switches.get("configmap", "loco-control", namespace=OURS)["data"]
    resumed = loco("resume")

    assert f"configmap/loco-control created\nfleet: Paused, paused until {data['pause-until']}: a test\n" == made
    assert "configmap/loco-control patched\nfleet: recovery is on\n" == resumed
    assert not switches.get("configmap", "loco-control", namespace=OURS).get("data")


def test_the_rights_that_the_page_lists_are_enough(kubectl, deployment, tmp_path, switches):
    (rules,) = re.findall(r"```yaml\n(rules:.+?)```", PAGE.read_text(), re.DOTALL)
    kubeconfig = a_person(deployment, tmp_path, yaml.safe_load(rules)["rules"])
    typed = {
        "get": ("get",),
        "why": ("why", "instance-0"),
        "screen": ("screen", "instance-0", "-o", str(tmp_path / "a.png")),
        "recover": ("recover", "instance-0", "--dry-run"),
        "pause": ("pause", "--for", "1m"),
        "resume": ("resume",),
    }
    ends = {name: kubectl("loco", *words, kubeconfig=kubeconfig) for name, words in typed.items()}
    events = kubectl("loco", "describe", "instance-0", kubeconfig=kubeconfig)
    pod = kubectl("loco", "pause", "instance-0", kubeconfig=kubeconfig)

    assert {} == {name: done.stderr for name, done in ends.items() if done.returncode}
    assert (0, True) == (events.returncode, "Events:  <can't be read: Error from server (Forbidden)" in events.stdout)
    assert (1, True) == (pod.returncode, "(Forbidden)" in pod.stderr)


def test_tab_behind_kubectl_knows_the_instances(kubectl):
    offered = kubectl("__complete", "loco", "why", "instance-").stdout

    assert ["instance-0\thealthy", "instance-1\thealthy", "instance-2\thealthy", ":4"] == offered.splitlines()


def test_while_the_api_is_down_the_configmap_answers(loco, kubectl, deployment):
    kube = deployment.kube
    kube.wait_until(lambda: published(kube) == 3 * ["healthy"], 150, "the ConfigMap to tell of a healthy fleet")
    kube("scale", "-n", OURS, "deployment/loco-api", "--replicas=0")
    try:
        kube.wait_until(lambda: deployment.get("/livez") is None, 90, "the API to be gone")
        done = kubectl("loco", "get", "--no-headers")
    finally:
        kube("scale", "-n", OURS, "deployment/loco-api", "--replicas=1")
        kube("rollout", "status", "-n", OURS, "deployment/loco-api", "--timeout=120s")

    assert (0, 3) == (done.returncode, done.stdout.count("healthy"))
    assert "this is what ConfigMap loco-health said at 20" in done.stderr
    deployment.wait_healthy(120)
    assert "store" == json.loads(loco("get", "instance-0", "-o", "json"))["source"]


def published(kube):
    """Return the verdicts that discover published; it does so once a minute at most."""
    data = kube.get("configmap", "loco-health", namespace=OURS)["data"]
    return [one.verdict for one in decode(data["snapshot.json"]).instances]


def a_person(deployment, folder, rules):
    """Return the kubeconfig of somebody who has these rights in our namespace, and no other."""
    kube, name = deployment.kube, "loco-person"
    about = {"name": name, "namespace": OURS}
    rbac = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", **about}
    kube.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": about, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": about,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
            "subjects": [subject],
        },
    )
    config = json.loads(kube("config", "view", "--raw", "--minify", "--output=json"))
    token = kube("create", "token", name, "-n", OURS, "--duration=10m").strip()
    config["users"] = [{"name": one["name"], "user": {"token": token}} for one in config["users"]]
    file = folder / "person.kubeconfig"
    file.write_text(json.dumps(config))
    return file
