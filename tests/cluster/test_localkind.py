"""localkind by itself: it comes, it goes without a trace, and it enforces what other tests rely on."""

import base64
import contextlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import time
from pathlib import Path

import kind_tools
import machine
import pytest
from kube import Kube

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

OWN = os.environ.get("TEST_CLUSTER_NAME", "loco-test") + "-own"
NAMESPACE = "localkind"
DELETION_SECONDS = 60
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()"
SERVE = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8080)"


@pytest.fixture(scope="module", autouse=True)
def is_localkind(tools):
    if tools.kind != kind_tools.LOCALKIND:
        pytest.skip("kind makes the clusters here, so localkind isn't used")


def localkind(*args: str) -> subprocess.CompletedProcess[str]:
    """Run it with all its output in pipes: it returns only when nothing holds them any more."""
    return subprocess.run(
        [kind_tools.LOCALKIND, *args], capture_output=True, text=True, timeout=240, stdin=subprocess.PIPE, check=False
    )


def create_command(kubeconfig: Path) -> list[str]:
    return ["create", "cluster", f"--name={OWN}", "--workers=1", f"--kubeconfig={kubeconfig}"]


@pytest.fixture
def clean():
    """Yield what was on the machine before; nothing of the test's own cluster is left afterwards."""
    yield machine.traces(OWN)
    localkind("delete", "cluster", f"--name={OWN}")


def assert_deletes_without_a_trace(before: set[str]) -> None:
    began = time.monotonic()
    deleted = localkind("delete", "cluster", f"--name={OWN}")
    seconds = time.monotonic() - began
    print(f"\ndeleted in {seconds:.1f} s")

    assert (0, "") == (deleted.returncode, deleted.stderr)
    assert set() == machine.traces(OWN) - before
    assert seconds < DELETION_SECONDS


def test_a_second_cluster_works_beside_the_first_and_goes_without_a_trace(clean, kube, tools, tmp_path):
    began = time.monotonic()
    created = localkind(*create_command(tmp_path / "kubeconfig"))
    print(f"\ncreated in {time.monotonic() - began:.1f} s")
    other = Kube(tools.kubectl, tmp_path / "kubeconfig")

    assert 0 == created.returncode, created.stderr
    assert "ok" == other.raw("/readyz") == kube.raw("/readyz")
    assert 2 == len(other.get("nodes")["items"])
    assert OWN in localkind("get", "clusters").stdout.split()
    assert machine.traces(OWN) - clean  # the test below can fail
    assert_deletes_without_a_trace(clean)
    assert not json.loads(other("config", "view", "--output=json"))["contexts"]


def kill_creation_at(moment: str, kube: Kube, folder: Path) -> None:
    """Begin a creation and kill it as soon as a file of the cluster is there."""
    command = [kind_tools.LOCALKIND, *create_command(folder / "kubeconfig")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as creating:
        kube.wait_until((machine.STATE / OWN / moment).exists, 120, moment, every_seconds=0.01)
        creating.kill()


@pytest.mark.parametrize("moment", ["credentials", "node0/kube-apiserver.pid", "node1/kubelet.pid"])
def test_a_creation_killed_half_way_leaves_nothing_that_a_deletion_does_not_remove(moment, clean, kube, tmp_path):
    kill_creation_at(moment, kube, tmp_path)

    assert OWN not in localkind("get", "clusters").stdout.split()
    assert_deletes_without_a_trace(clean)


def test_a_creation_after_a_killed_one_succeeds_and_killed_daemons_leave_nothing_either(clean, kube, tmp_path):
    kill_creation_at("node0/etcd.pid", kube, tmp_path)
    created = localkind(*create_command(tmp_path / "kubeconfig"))
    again = localkind(*create_command(tmp_path / "kubeconfig"))

    assert 0 == created.returncode, created.stderr
    assert (1, f"localkind: a cluster called {OWN} exists already; nothing was done\n") == (
        again.returncode,
        again.stderr,
    )

    for pid in (machine.STATE / OWN).glob("node*/*.pid"):
        os.kill(int(pid.read_text()), signal.SIGKILL)
    assert_deletes_without_a_trace(clean)


def test_deleting_what_is_not_there_is_no_failure():
    deleted = localkind("delete", "cluster", "--name=nobody-made-this")

    assert (0, "", "") == (deleted.returncode, deleted.stdout, deleted.stderr)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["create", "cluster", "--name=../etc"], "cluster name '../etc' is not allowed"),
        (["create", "cluster", f"--name={'a' * 33}"], "at most 32 in all"),
        (["create", "cluster", "--name=x", "--config=/nowhere"], "/nowhere can't be read (No such file or directory)"),
        (["get", "kubeconfig", "--name=nobody-made-this"], "no cluster called nobody-made-this runs here"),
        (["load", "docker-image", "x", "--name=nobody-made-this"], "no cluster called nobody-made-this runs here"),
    ],
)
def test_a_bad_command_is_answered_by_one_sentence(args, sentence):
    answered = localkind(*args)

    assert 1 == answered.returncode
    assert sentence in answered.stderr
    assert 1 == len(answered.stderr.splitlines())


def test_without_root_it_says_so():
    answered = subprocess.run(
        [kind_tools.LOCALKIND, "build"], capture_output=True, text=True, timeout=30, check=False, user=65534
    )

    assert "localkind: needs root (namespaces, mounts, cgroups); nothing was done\n" == answered.stderr


# what runs in a cluster


@pytest.fixture(scope="module")
def namespace(kube) -> str:
    """Yield a namespace with a server and a client on each node."""
    kube.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        *(
            a_daemon_set(name, program)
            for name, program in (("server", SERVE), ("client", "import time; time.sleep(1e6)"))
        ),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "server", "namespace": NAMESPACE},
            "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    )
    kube("rollout", "status", "daemonset", "server", "client", f"--namespace={NAMESPACE}", "--timeout=60s")
    yield NAMESPACE
    kube("delete", "namespace", NAMESPACE)


def a_daemon_set(name: str, program: str) -> dict:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": a_pod_spec(program)},
        },
    }


def a_pod_spec(program: str, *, volume: str | None = None) -> dict:
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": volume}}
    return {
        "terminationGracePeriodSeconds": 0,
        "restartPolicy": "Never" if volume else "Always",
        "securityContext": {"fsGroup": 65532},
        "volumes": [claim] if volume else [],
        "containers": [
            {
                "name": "python",
                "image": "loco-health/agent:dev",
                "command": ["python", "-c", program],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}] if volume else [],
                **({} if volume else {"readinessProbe": {"exec": {"command": ["true"]}}}),
            }
        ],
    }


def pods(kube, app: str) -> dict[str, str]:
    """Return name -> address."""
    found = kube.get("pods", f"--selector=app={app}", namespace=NAMESPACE)["items"]
    return {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in found}


def may_connect(kube, pod: str, address: str, port: int) -> bool:
    command = ("python", "-c", CONNECT, address, str(port))
    return kube.try_("exec", f"--namespace={NAMESPACE}", pod, "--", *command) is not None


def reached(kube) -> set[bool]:
    """Return the answers of every client to: do you reach every server, on your node, the other, and by the service?"""
    service = kube.get("service", "server", namespace=NAMESPACE)["spec"]["clusterIP"]
    targets = [*((address, 8080) for address in pods(kube, "server").values()), (service, 80)]
    return {may_connect(kube, client, *target) for client in pods(kube, "client") for target in targets}


def a_policy(name: str, **spec: object) -> dict:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("direction", ["Ingress", "Egress"])
def test_a_network_policy_is_enforced_on_one_node_across_nodes_and_by_service(direction, namespace, kube):
    side, peer = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}[direction]
    subject, other = ("server", "client") if direction == "Ingress" else ("client", "server")
    allowed = {peer: [{"podSelector": {"matchLabels": {"app": other}}}], "ports": [{"port": 8080}]}
    kube.wait_until(lambda: reached(kube) == {True}, 30, "every server to be reached without a policy")
    try:
        kube.apply(a_policy("deny", podSelector={}, policyTypes=[direction]))
        kube.wait_until(lambda: reached(kube) == {False}, 30, "nobody to be reached under default deny")
        kube.apply(
            a_policy(
                "allow", podSelector={"matchLabels": {"app": subject}}, policyTypes=[direction], **{side: [allowed]}
            )
        )
        kube.wait_until(lambda: reached(kube) == {True}, 30, "every server to be reached again by what is allowed")
    finally:
        kube("delete", "networkpolicy", "--all", f"--namespace={namespace}")


def test_names_of_services_resolve_in_pods(namespace, kube):
    client = next(iter(pods(kube, "client")))
    expected = {
        "server": kube.get("service", "server", namespace=namespace)["spec"]["clusterIP"],
        f"server.{namespace}.svc.cluster.local": kube.get("service", "server", namespace=namespace)["spec"][
            "clusterIP"
        ],
        "kubernetes.default": "10.96.0.1",
    }
    ask = "import json, socket, sys; print(json.dumps({n: socket.gethostbyname(n) for n in sys.argv[1:]}))"
    found = json.loads(kube("exec", f"--namespace={namespace}", client, "--", "python", "-c", ask, *expected))

    assert expected == found


def test_a_claim_gets_an_empty_volume_each_time_and_gives_it_back(namespace, kube):
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    program = "import os; print(sorted(os.listdir('/data'))); open('/data/mark', 'w').close()"
    for _ in range(2):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "writer", "namespace": namespace}}
        kube.apply(claim, pod | {"spec": a_pod_spec(program, volume="data")})
        kube(
            "wait",
            "pod/writer",
            f"--namespace={namespace}",
            "--for=jsonpath={.status.phase}=Succeeded",
            "--timeout=30s",
        )
        printed = kube("logs", "writer", f"--namespace={namespace}")
        volume = kube.get("persistentvolumeclaim", "data", namespace=namespace)["spec"]["volumeName"]
        kube("delete", "pod/writer", "persistentvolumeclaim/data", f"--namespace={namespace}")

        assert "[]\n" == printed
        kube.wait_until(lambda name=volume: kube.try_("get", "persistentvolume", name) is None, 20, "the volume to go")


def test_nobody_without_a_name_is_answered(kube):
    cluster = json.loads(kube("config", "view", "--raw", "--output=json"))["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    connection = http.client.HTTPSConnection(
        cluster["server"].removeprefix("https://"), context=ssl.create_default_context(cadata=authority), timeout=10
    )
    with contextlib.closing(connection):
        connection.request("GET", "/version")

        assert 401 == connection.getresponse().status
