"""`discover` beside a real API server, scheduler and kubelet: what it sees of pods, and how soon."""

import json
import os
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import pytest
from pods import SELECTOR

from jobs.errors import StoreError
from jobs.store import reader
from jobs.store.connection import open_reader, reading
from jobs.store.discovery import Mode, read_discovery

pytestmark = pytest.mark.cluster

NAMESPACE = "hunt"
NAME = "hunted"
IMAGE = "loco-health/agent:dev"
NOWHERE = "registry.invalid/no/such/image:1"


def workload(kind, name, *, image=IMAGE, replicas=2, **spec):
    """Return a workload whose pods run an agent and no QEMU."""
    labels = {**SELECTOR, "app": name}
    container = {"name": "agent", "image": image, "imagePullPolicy": "IfNotPresent", "args": ["serve"]}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 2, **spec},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        | ({"serviceName": name} if kind == "StatefulSet" else {}),
    }


class Hunt:
    """A `discover` process and the store that it fills."""

    def __init__(self, kube, folder, *, namespaces=NAMESPACE, kubeconfig=None):
        self.store = folder / "loco.db"
        self._log = (folder / "discover.log").open("w")
        words = ["discover", "--namespaces", namespaces, "--store", str(self.store), "--window", "600"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jobs", *words],
            env={**os.environ, "KUBECONFIG": str(kubeconfig or kube.kubeconfig)},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def look(self, ask):
        """Return what `ask` reads, None before there is a store."""
        try:
            with closing(open_reader(self.store)) as connection, reading(connection):
                return ask(connection)
        except StoreError:
            return None

    def pods(self):
        """Return the pod of each instance by public id."""
        return {one.public_id: one.pod for one in self.look(reader.inventory) or ()}

    def uids(self):
        """Return the uid of each instance by public id."""
        return {one.public_id: one.uid for one in self.look(reader.inventory) or ()}

    def words(self):
        """Return phase and reason of each instance by public id."""
        return {public_id: (pod.phase, pod.reason) for public_id, pod in self.pods().items()}

    def close(self):
        """Let it hand in its turn."""
        self.process.terminate()
        self.process.wait(20)
        self._log.close()


@pytest.fixture(scope="module")
def namespace(kube):
    """Make a namespace of this module's own, with a StatefulSet of two."""
    kube.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, workload("StatefulSet", NAME)
    )
    yield NAMESPACE
    kube("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def hunt(kube, namespace, tmp_path):
    with closing(Hunt(kube, tmp_path)) as hunt:
        wait_words(kube, hunt, {"instance-0": ("Running", ""), "instance-1": ("Running", "")}, 90)
        yield hunt


def wait_words(kube, hunt, expected, seconds):
    """Wait until these instances are seen so; return for how many seconds."""
    began = time.monotonic()
    kube.wait_until(
        lambda: expected.items() <= hunt.words().items(),
        seconds,
        f"discovery to see {expected}",
        told=lambda: str(hunt.words()),
        every_seconds=0.1,
    )
    return time.monotonic() - began


@contextmanager
def applied(kube, obj):
    """Have an object in the cluster for the block."""
    kube.apply(obj)
    try:
        yield
    finally:
        kube("delete", obj["kind"], obj["metadata"]["name"], "--namespace", NAMESPACE, "--wait=false")


def test_running_pods_are_instances_with_their_addresses_and_owners(kube, hunt):
    wanted = {one["metadata"]["name"]: one for one in kube.get("pods", namespace=NAMESPACE)["items"]}
    instances = {one.pod.name: one for one in hunt.look(reader.inventory)}
    row = hunt.look(read_discovery)

    for name in (f"{NAME}-0", f"{NAME}-1"):
        assert wanted[name]["metadata"]["uid"] == instances[name].uid
        assert f"http://{wanted[name]['status']['podIP']}:8080/health" == instances[name].health_url
        assert wanted[name]["spec"]["nodeName"] == instances[name].pod.node
    assert Mode.KUBERNETES is row.mode
    assert [(NAME, 2)] == [(one.name, one.wanted) for one in row.detail.namespaces[0].statefulsets]


def test_a_change_is_seen_within_a_second(kube, hunt):
    kube("annotate", "pod", f"{NAME}-1", "--namespace", NAMESPACE, "loco-health/expect-sound-seconds=15")
    began = time.monotonic()

    def expected():
        return {one.pod.name: one.expect_sound_seconds for one in hunt.look(reader.inventory)}

    kube.wait_until(lambda: expected()[f"{NAME}-1"] == 15, 10, "the annotation to be seen", every_seconds=0.05)

    assert time.monotonic() - began < 2.5  # the beat's second, and a busy machine's more


def test_a_deleted_pod_never_leaves_the_inventory_and_comes_back_under_its_id(kube, hunt):
    before = hunt.uids()["instance-0"]
    kube("delete", "pod", f"{NAME}-0", "--namespace", NAMESPACE, "--wait=false")
    seen = set()

    def is_back():
        words = hunt.words()
        assert {"instance-0", "instance-1"} <= words.keys()
        seen.add(words["instance-0"])
        return words["instance-0"] == ("Running", "") and hunt.uids()["instance-0"] != before

    kube.wait_until(is_back, 60, "the pod to come back", told=lambda: str(seen), every_seconds=0.1)

    # A pod that ends at once may be replaced within one beat, so no step of its end is sure to be seen.
    assert seen <= {
        ("Running", ""),
        ("Running", "Terminating"),
        ("Running", "Completed"),
        ("Running", "Error"),
        ("Succeeded", "Completed"),
        ("Failed", "Error"),
        ("Missing", "Missing"),
        ("Pending", "Pending"),
        ("Pending", "ContainerCreating"),
    }


def test_a_pod_without_its_image_is_shown_with_kubectls_word(kube, hunt):
    with applied(kube, workload("StatefulSet", "imageless", image=NOWHERE, replicas=1)):
        kube.wait_until(
            lambda: hunt.words().get("imageless-0") in (("Pending", "ErrImagePull"), ("Pending", "ImagePullBackOff")),
            60,
            "the pull to fail",
            told=lambda: str(hunt.words()),
        )

        assert NOWHERE in hunt.pods()["imageless-0"].detail


def test_a_pod_that_no_node_takes_is_unschedulable(kube, hunt):
    homeless = workload("StatefulSet", "homeless", replicas=1, nodeSelector={"no-such": "label"})
    with applied(kube, homeless):
        wait_words(kube, hunt, {"homeless-0": ("Pending", "Unschedulable")}, 30)

        assert "node(s) didn't match Pod's node affinity/selector" in hunt.pods()["homeless-0"].detail


def test_a_statefulset_that_wants_none_leaves_no_instance(kube, hunt):
    with applied(kube, workload("StatefulSet", "brief", replicas=1)):
        wait_words(kube, hunt, {"brief-0": ("Running", "")}, 60)
        kube("scale", "statefulset", "brief", "--namespace", NAMESPACE, "--replicas=0")
        kube.wait_until(lambda: "brief-0" not in hunt.words(), 90, "the instance to go", told=lambda: str(hunt.words()))


def test_a_namespace_without_the_right_is_named_and_takes_no_other_down(kube, namespace, tmp_path):
    rules = [
        {"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["get", "list", "watch"]},
    ]
    account = {"kind": "ServiceAccount", "name": "hunter", "namespace": NAMESPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "hunter"}
    rbac = "rbac.authorization.k8s.io/v1"
    place = {"name": "hunter", "namespace": NAMESPACE}
    kube.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place},
        {"apiVersion": rbac, "kind": "Role", "metadata": place, "rules": rules},
        {"apiVersion": rbac, "kind": "RoleBinding", "metadata": place, "subjects": [account], "roleRef": role},
    )
    config = json.loads(kube("config", "view", "--raw", "--minify", "--output=json"))
    token = kube("create", "token", "hunter", "--namespace", NAMESPACE).strip()
    config["users"][0]["user"] = {"token": token}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    with closing(Hunt(kube, tmp_path, namespaces=f"default,{NAMESPACE}", kubeconfig=tmp_path / "kubeconfig")) as hunt:
        wait_words(kube, hunt, {"instance-0": ("Running", "")}, 60)
        row = hunt.look(read_discovery)

    default, hunted = row.detail.namespaces
    assert (Mode.KUBERNETES, True, False, None) == (row.mode, default.is_forbidden, hunted.is_forbidden, hunted.problem)
    assert (
        f'User "system:serviceaccount:{NAMESPACE}:hunter" cannot list resource "pods" in API group "" in the namespace '
        '"default"; apply the component watch-namespace there'
    ) in default.problem
