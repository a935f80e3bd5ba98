"""The component `network-policy` over the running fleet: what must pass passes, the rest is refused."""

import json
import time

import pytest
from deployment import INSTANCES, OURS
from recovering import Recovery, instance_of

from jobs.template import ACTION, INSTANCE, render_job

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


def a_stranger_may_connect(kube, address: str, port: int) -> bool:
    """Tell whether a process in a pod that isn't ours can open a TCP connection."""
    return is_open(kube("exec", "-n", INSTANCES, STRANGER, "--", "python", "-c", CONNECT, address, str(port)))


def may_connect(deployment, component: str, address: str, port: int) -> bool:
    """Tell whether a process of ours can; a pod that can't be asked though it runs fails the test."""
    return is_open(deployment.execute(component, "python", "-c", CONNECT, address, str(port)))


def is_open(said: str) -> bool:
    """Tell whether a connection was open."""
    assert said.strip() in ("open", "in vain")
    return said.strip() == "open"


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
    kube.wait_until(lambda: not a_stranger_may_connect(kube, api, 3000), 30, "a stranger to be refused")
    time.sleep(16)  # longer than a tick: what follows was seen under the policy

    assert deployment.wait_healthy(60)
    assert may_connect(deployment, "collect", agent, 8080)
    assert may_connect(deployment, "collect", agent, 5901)
    assert may_connect(deployment, "discover", server, 443)
    assert a_stranger_may_connect(kube, agent, 8081)
    assert not may_connect(deployment, "collect", agent, 8081)
    assert not may_connect(deployment, "collect", server, 443)
    assert not may_connect(deployment, "discover", agent, 8080)
    assert not may_connect(deployment, "api", agent, 8080)
    assert may_connect(deployment, "api", server, 443)  # with its caller's token alone


def test_recovery_passes_the_policies(network_policy):
    """A person names the act, so no fault is needed: pod and switches are read, the agent is asked, looks prove it."""
    recovery, kube = Recovery(network_policy), network_policy.kube
    recovery.wait_quiet()
    name = f"recover-{instance_of(OTHER)}-under-policy"
    told = {ACTION: "reset-audio", INSTANCE: instance_of(OTHER)}
    recovery.switch(recovery="on")
    try:
        job = render_job(kube.get("cronjob", "recover", namespace=OURS), name=name, annotations=told)
        kube("create", "--filename=-", input=json.dumps(job))
        kube.wait_until(lambda: ended(kube, name), 120, "the attempt to end", told=lambda: str(ended(kube, name)))
    finally:
        recovery.switch(recovery="off")

    assert '"outcome":"healed"' in kube("logs", "-n", OURS, f"job/{name}")


def ended(kube, name: str) -> list[str]:
    """Return how a Job has ended, nothing while it runs."""
    conditions = kube.get("job", name, namespace=OURS)["status"].get("conditions", [])
    return [one["type"] for one in conditions if one["status"] == "True" and one["type"] in ("Complete", "Failed")]
