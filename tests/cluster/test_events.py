"""Events on a pod of a real API server: what `kubectl describe` shows of an incident, and that nothing shows twice."""

import json
import secrets
from dataclasses import replace

import pytest
from kube import Kube
from kubernetes.client.configuration import Configuration
from kubernetes.config.kube_config import load_kube_config
from pods import a_pod, a_pods_instance
from stores import a_fleet

from jobs.cluster.client import ClusterClient
from jobs.courier import Courier
from jobs.health.model import ProbeOutcome
from jobs.store.connection import transaction

pytestmark = pytest.mark.cluster

POD = "loco-emulator-0"
START_MS = 1_795_550_863_000
REFUSED = {"instance-0": ProbeOutcome.REFUSED}
SECRET = "<script>\u202e\x00" + "ö" * 2000


@pytest.fixture(scope="module")
def bare_kube(bare_cluster):
    return Kube(bare_cluster.kubectl_path, bare_cluster.kubeconfig_path)


class Told:
    """A namespace with a pod that never runs: Events need it to be there, not to work."""

    def __init__(self, kube):
        self.kube = kube
        self.namespace = f"told-{secrets.token_hex(4)}"

    def get(self, kind, *args):
        """Return what kubectl says of the namespace as JSON."""
        return self.kube.get(kind, *args, namespace=self.namespace)

    def events(self):
        """Return our Events on the pod, oldest first."""
        found = self.get("events.events.k8s.io")["items"]
        ours = [event for event in found if event.get("reportingController") == "loco-health/dispatch"]
        return sorted(ours, key=lambda event: event["eventTime"])


@pytest.fixture
def told(bare_kube):
    told = Told(bare_kube)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD, "namespace": told.namespace},
        "spec": {"nodeName": "nowhere", "containers": [{"name": "emulator", "image": "registry.invalid/none"}]},
    }
    account = ("get", "serviceaccount", "default", "-n", told.namespace)
    bare_kube("create", "namespace", told.namespace)
    bare_kube.wait_until(lambda: bare_kube.try_(*account), 60, "the service account")
    bare_kube.apply(pod)
    yield told
    bare_kube("delete", "namespace", told.namespace, "--wait=false", "--ignore-not-found")


@pytest.fixture
def fleet(told, tmp_path):
    """Yield a fleet of that pod, with an open incident."""
    uid = told.get("pod", POD)["metadata"]["uid"]
    instance = replace(a_pods_instance(a_pod(namespace=told.namespace, name=POD)), uid=uid)
    with a_fleet(tmp_path / "loco.db", [instance], at_ms=START_MS) as fleet:
        fleet.ticks(3, REFUSED)
        yield fleet


def client_of(kube):
    """Return a client of this cluster's administrator."""
    configuration = Configuration()
    load_kube_config(str(kube.kubeconfig), client_configuration=configuration)
    configuration.retries = False
    return ClusterClient(configuration)


def dispatch(fleet, told, *, is_killed=False):
    """Make one round of a new run; a killed one dies after it has sent, before it writes so. Return the problem."""
    with client_of(told.kube) as client:
        observed = Courier(lambda: client, clock=lambda: fleet.at_ms).observe(fleet.connection, is_tick=True)
    if observed.write and not is_killed:
        with transaction(fleet.connection):
            observed.write(fleet.connection)
    return observed.problem


def test_describe_shows_the_opening_and_the_end_once_though_a_run_was_killed_after_each(told, fleet):
    problems = [dispatch(fleet, told, is_killed=True), dispatch(fleet, told)]
    fleet.ticks(40)
    problems += [dispatch(fleet, told, is_killed=True), dispatch(fleet, told)]
    described = told.kube("describe", "pod", POD, "-n", told.namespace)
    found = told.events()
    print("\n" + described[described.index("Events:") :])

    assert [None] * 4 == problems
    assert [("Warning", "AgentRefused", "OpenIncident"), ("Normal", "InstanceHealthy", "CloseIncident")] == [
        (event["type"], event["reason"], event["action"]) for event in found
    ]
    assert all(event["note"] in described for event in found)
    assert [("sent", 0)] * 2 == fleet.connection.execute("SELECT outcome, tries FROM outbox ORDER BY id").fetchall()


def test_the_api_server_takes_the_longest_and_strangest_text_that_an_incident_can_hold(told, fleet):
    row = fleet.connection.execute("SELECT message FROM outbox").fetchone()
    message = json.loads(row[0])
    message["incident"]["reasons"][0]["evidence"][0]["value"] = SECRET
    with transaction(fleet.connection):
        fleet.connection.execute("UPDATE outbox SET message = ?", (json.dumps(message),))

    assert None is dispatch(fleet, told)
    assert 1024 >= len(told.events()[0]["note"].encode()) > 1000


def test_a_namespace_that_goes_is_a_problem_that_says_so(told, fleet):
    told.kube("delete", "namespace", told.namespace, "--wait=false")
    going = dispatch(fleet, told)
    told.kube("delete", "pod", POD, "-n", told.namespace, "--force", "--ignore-not-found")
    told.kube("wait", "--for=delete", f"namespace/{told.namespace}", "--timeout=60s")
    fleet.at_ms += 2000
    gone = dispatch(fleet, told)

    assert going.startswith(f"namespace {told.namespace} of pod {POD} is being deleted")
    assert gone.startswith(f"namespace {told.namespace} of pod {POD} isn't there")
