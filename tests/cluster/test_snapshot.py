"""ConfigMap `loco-health` of a real API server: as a person reads it, without rights, and as a volume."""

import json
import secrets
from dataclasses import replace

import msgspec
import pytest
from deployment import INSTANCES, OURS
from kube import Kube
from kubernetes.client.configuration import Configuration
from kubernetes.config.kube_config import load_kube_config
from pods import a_pod, a_pods_instance
from stores import a_fleet

from jobs.cluster.client import ClusterClient
from jobs.cluster.publisher import Publisher
from jobs.cluster.snapshot import NAME
from jobs.health.model import Evidence, FailureClass, ProbeOutcome, Reason, Severity
from jobs.store.connection import transaction
from jobs.store.snapshot import decode

pytestmark = pytest.mark.cluster

START_MS = 1_795_550_863_000
REFUSED = {"instance-1": ProbeOutcome.REFUSED}

# As long as a ConfigMap holds none of.
LONG = "ö" * 100_000


@pytest.fixture(scope="module")
def bare_kube(bare_cluster):
    return Kube(bare_cluster.kubectl_path, bare_cluster.kubeconfig_path)


@pytest.fixture
def namespace(bare_kube):
    name = f"published-{secrets.token_hex(4)}"
    bare_kube("create", "namespace", name)
    yield name
    bare_kube("delete", "namespace", name, "--wait=false")


@pytest.fixture
def fleet(tmp_path):
    instances = [replace(a_pods_instance(a_pod(name=f"loco-emulator-{n}")), public_id=f"instance-{n}") for n in (0, 1)]
    with a_fleet(tmp_path / "loco.db", instances, at_ms=START_MS) as fleet:
        fleet.ticks(3, REFUSED)
        yield fleet


def connect_to(kube, *, token=None):
    """Return what connects to this cluster as its administrator, or with a service account's token."""

    def connect():
        configuration = Configuration()
        load_kube_config(str(kube.kubeconfig), client_configuration=configuration)
        configuration.retries = False
        if token:
            configuration.cert_file = configuration.key_file = None
            configuration.api_key = {"authorization": f"Bearer {token}"}
        return ClusterClient(configuration)

    return connect


def published(fleet, connect, namespace, *, looks=2):
    """Look as a new run does: the first look learns what stands there, the next writes. Return its publisher."""
    publisher = Publisher(namespace, clock=lambda: fleet.at_ms, connect=connect)
    for _ in range(looks):
        publisher.look(fleet.connection)
        publisher.wait()
    return publisher


def test_kubectl_shows_it_in_lines_and_a_change_replaces_what_somebody_edited(bare_kube, namespace, fleet):
    first = published(fleet, connect_to(bare_kube), namespace)
    shown = bare_kube("get", "cm", NAME, "-n", namespace, "-o", "yaml")
    bare_kube(
        "patch", "cm", NAME, "-n", namespace, "--type=merge", "-p", '{"data": {"summary": "mine", "note": "my own"}}'
    )
    fleet.ticks(8)
    second = published(fleet, connect_to(bare_kube), namespace)
    kept = bare_kube.get("cm", NAME, namespace=namespace)
    print("\n" + shown)

    assert (None, None) == (first.problem, second.problem)
    assert "  summary: |\n    2 instances: 1 healthy, 1 unreachable.\n" in shown
    assert "  instances: |\n    ID          POD                   VERDICT      CLASS    SINCE" in shown
    assert "  snapshot.json: |\n    {" in shown
    assert kept["data"]["summary"].startswith("2 instances: 2 healthy.")
    assert "my own" == kept["data"]["note"]
    assert ["healthy", "healthy"] == [one.verdict for one in decode(kept["data"]["snapshot.json"]).instances]


def test_a_fleet_too_long_for_a_configmap_is_taken_trimmed(bare_kube, namespace, fleet):
    reasons = [Reason("QemuDead", FailureClass.QEMU, Severity.UNHEALTHY, (Evidence("detail", LONG),))] * 5
    text = msgspec.json.encode(reasons).decode()
    with transaction(fleet.connection):
        fleet.connection.execute("UPDATE assessments SET reasons = ?", (text,))
    publisher = published(fleet, connect_to(bare_kube), namespace)
    kept = bare_kube.get("cm", NAME, namespace=namespace)["data"]

    assert None is publisher.problem
    assert "Left out for room: evidence, probes and recommendations." in kept["summary"]


def test_without_the_right_the_problem_names_it(bare_kube, namespace, fleet):
    bare_kube("create", "serviceaccount", "nobody", "-n", namespace)
    token = bare_kube("create", "token", "nobody", "-n", namespace).strip()
    publisher = published(fleet, connect_to(bare_kube, token=token), namespace, looks=1)

    assert publisher.problem.startswith(
        f"discover may not write ConfigMap loco-health in namespace {namespace}: it needs create, and get and patch by"
    )


def test_in_the_deployment_it_is_there_and_no_older_than_it_says(deployment):
    deployment.wait_healthy(120)

    def healthy():
        data = deployment.kube.get("cm", NAME, namespace=OURS)["data"]
        return data if data["summary"].startswith("3 instances: 3 healthy.") else None

    data = deployment.kube.wait_until(healthy, 130, "the ConfigMap to say so")
    snapshot = decode(data["snapshot.json"])
    uids = {one.instance.pod.name: one.instance.uid for one in snapshot.instances}

    assert {pod: deployment.uid(pod) for pod in deployment.pods} == uids
    assert {INSTANCES} == {one.instance.pod.namespace for one in snapshot.instances}


@pytest.fixture
def without_store(deployment):
    """Run the API's pod once more, without the volume of the store; yield its path behind the API server."""
    kube, name = deployment.kube, "api-without-store"
    template = kube.get("deployment", "loco-api", namespace=OURS)["spec"]["template"]
    spec = template["spec"]
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] != "store"]
    (container,) = spec["containers"]
    container["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount["name"] != "store"]
    del spec["affinity"]
    labels = {"app.kubernetes.io/name": "loco-health", "app.kubernetes.io/component": "second-api"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": OURS, "labels": labels}}
    kube.apply({**pod, "spec": spec})
    kube("wait", "--for=condition=Ready", f"pod/{name}", "-n", OURS, "--timeout=60s")
    yield f"/api/v1/namespaces/{OURS}/pods/http:{name}:3000/proxy"
    kube("delete", "pod", name, "-n", OURS, "--wait=false")


def test_an_api_whose_volume_is_gone_answers_verdicts_from_it_and_says_so(deployment, without_store):
    def verdicts():
        answer = deployment.kube.try_("get", "--raw", f"{without_store}/api/quality/deep-health")
        fleet = json.loads(answer) if answer else {}
        return {name: (one["source"], one["overallStatus"]) for name, one in fleet.items()}

    expected = {f"instance-{n}": ("configmap", "healthy") for n in range(3)}
    deployment.kube.wait_until(
        lambda: verdicts() == expected, 240, "verdicts from the ConfigMap", told=lambda: str(verdicts())
    )
    info = json.loads(deployment.kube.raw(f"{without_store}/api/instances/discovery-info"))
    page = deployment.kube.raw(f"{without_store}/")

    assert ("configmap", "kubernetes", "loco") == (info["source"], info["mode"], info["namespace"])
    assert "ConfigMap loco-health of" in page
