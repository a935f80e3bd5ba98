"""A decoy's pod: what its containers see of each other, and what becomes of it when one is killed."""

import json

import pytest
from deployment import INSTANCES

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

POD = "loco-emulator-1"


def run(deployment, *words: str) -> str:
    """Return what a program printed in the emulator's container."""
    return deployment.kube("exec", f"--namespace={INSTANCES}", POD, "--", *words)


def emulator(deployment) -> dict:
    """Return the status of the emulator's container."""
    (status,) = deployment.kube.get("pod", POD, namespace=INSTANCES)["status"]["containerStatuses"]
    return status


def link_numbers(deployment) -> dict[str, int]:
    """Return the number of each link of the pod."""
    return {row["ifname"]: row["ifindex"] for row in json.loads(run(deployment, "ip", "-json", "link", "show"))}


def test_only_qemu_has_its_name_on_its_command_line(deployment):
    deployment.wait_healthy(90)
    (line,) = run(deployment, "pgrep", "--list-full", "--full", "qemu-system").splitlines()

    assert "qemu-system-x86_64" == line.split()[1]


def test_the_agent_reports_qemus_load_and_not_its_own_containers(deployment):
    deployment.wait_healthy(90)

    def measured() -> dict | None:
        """Return the block once QEMU, which another test may just have killed, is measured."""
        block = json.loads(run(deployment, "/health-monitor.sh", "report"))["performance"]
        return block if block["qemu_memory"] else None

    performance = deployment.kube.wait_until(measured, 60, "QEMU's load", every_seconds=1)

    assert (None, None, None) == (performance["cpu_usage"], performance["memory_usage"], performance["scope"])
    assert "QEMU's container is not the agent's" in performance["error"]


def test_a_killed_emulator_comes_back_over_what_it_left(deployment):
    deployment.wait_healthy(90)
    restarts, links = emulator(deployment)["restartCount"], link_numbers(deployment)
    deployment.kube.try_(
        "exec", f"--namespace={INSTANCES}", POD, "--", "pkill", "--signal=KILL", "--full", "agent decoy run"
    )
    deployment.kube.wait_until(
        lambda: (status := emulator(deployment))["restartCount"] == restarts + 1 and status["ready"],
        60,
        "the emulator's container to be started again",
    )
    deployment.kube.wait_until(
        lambda: link_numbers(deployment).get("loco-br") not in (None, links["loco-br"]), 60, "a bridge of its own"
    )

    deployment.wait_healthy(180)
