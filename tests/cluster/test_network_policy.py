"""The component `network-policy` over the running fleet: what must pass passes, the rest is refused."""

import time

import pytest
from deployment import INSTANCES, OURS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

STRANGER, OTHER = "loco-emulator-0", "loco-emulator-1"
# What a connection from here came to: open, or in vain. A policy drops packets or answers that nobody may be reached.
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
except OSError:
    print("in vain")
else:
    print("open")
"""
LISTEN = "import socket, time; s = socket.create_server(('', 8081)); print('listening', flush=True); time.sleep(120)"


def may_connect(kube, namespace: str, pod: str, address: str, port: int) -> bool:
    """Tell whether a process in a pod can open a TCP connection; a pod that can't be asked fails the test."""
    said = kube("exec", "-n", namespace, pod, "--", "python", "-c", CONNECT, address, str(port)).strip()

    assert said in ("open", "in vain")
    return said == "open"


def running(kube, component: str) -> str:
    """Return the name of the pod of ours that started last: an older one may be about to end."""
    pods = kube.get("pods", "-l", f"app.kubernetes.io/component={component}", namespace=OURS)["items"]
    alive = [pod for pod in pods if pod["status"]["phase"] == "Running"]
    return max(alive, key=lambda pod: pod["metadata"]["creationTimestamp"])["metadata"]["name"]


@pytest.fixture
def listener(deployment):
    """Keep a port open in a pod that no policy names, so that a refusal is the policy's; it ends by itself."""
    with deployment.kube.start("exec", "-n", INSTANCES, OTHER, "--", "python", "-c", LISTEN) as process:
        assert "listening" in process.stdout.readline()
        yield
        process.terminate()


def test_the_fleet_is_watched_and_nothing_else_is_reached(deployment, listener, network_policy):
    kube = deployment.kube
    agent = kube.get("pod", OTHER, namespace=INSTANCES)["status"]["podIP"]
    api = kube.get("service", "loco-api", namespace=OURS)["spec"]["clusterIP"]
    server = kube.get("service", "kubernetes", namespace="default")["spec"]["clusterIP"]
    kube.wait_until(lambda: not may_connect(kube, INSTANCES, STRANGER, api, 3000), 30, "a stranger to be refused")
    time.sleep(16)  # longer than a tick: what follows was seen under the policy

    assert deployment.wait_healthy(60)
    collect, discover = running(kube, "collect"), running(kube, "discover")
    assert may_connect(kube, OURS, collect, agent, 8080)
    assert may_connect(kube, OURS, collect, agent, 5901)
    assert may_connect(kube, OURS, discover, server, 443)
    assert may_connect(kube, INSTANCES, STRANGER, agent, 8081)
    assert not may_connect(kube, OURS, collect, agent, 8081)
    assert not may_connect(kube, OURS, collect, server, 443)
    assert not may_connect(kube, OURS, discover, agent, 8080)
    assert not may_connect(kube, OURS, running(kube, "api"), agent, 8080)
