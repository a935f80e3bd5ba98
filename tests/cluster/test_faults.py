"""From a real fault in a decoy's pod to its class and reason in deep-health, and back to healthy."""

import json
import time

import pytest
from decoy_faults import FAULTS, TICK_SECONDS, Watch
from deployment import INSTANCES

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

HEAL_SECONDS = 90

# As a streaming page posts them; the limits are those of docs/reasons.md.
BAD_STREAM = {"id": "browser", "packetLoss": 0.4, "jitter": 0.5, "framerate": 1}

# One a layer, in two pods at once, as three would put the brake on; `make soak` causes all, by the clock.
SHORT = {"loco-emulator-0": "tap-down", "loco-emulator-1": "stop-qemu"}
LONG = [
    {**SHORT, "loco-emulator-2": "blank"},
    {"loco-emulator-0": "kill-qemu", "loco-emulator-1": "kill-audio", "loco-emulator-2": "mute"},
    {"loco-emulator-0": "bridge-down", "loco-emulator-1": "pause", "loco-emulator-2": "freeze"},
    {"loco-emulator-0": "halt", "loco-emulator-1": "blue"},
]


def instance_of(pod: str) -> str:
    return f"instance-{pod.rpartition('-')[2]}"


def cause_and_watch(deployment, faults: dict[str, str]) -> Watch:
    """Cause one fault a pod; return how soon each was told."""
    watch = Watch(deployment.deep_health)
    for pod, fault in faults.items():
        deployment.decoy(pod, "fault", fault)
        watch.caused(fault, instance_of(pod))
    allowed = max(FAULTS[fault][3] for fault in faults.values()) + 2 * TICK_SECONDS
    deployment.kube.wait_until(watch.all_told, allowed, "every fault to be told", told=deployment.told)
    return watch


def drill(deployment, faults: dict[str, str], *, is_timed: bool) -> None:
    """Cause, see in time, heal, and see healthy again."""
    deployment.wait_healthy(HEAL_SECONDS)
    deployment.wait_grown()
    try:
        watch = cause_and_watch(deployment, faults)
    finally:
        for pod in faults:
            deployment.decoy(pod, "heal")
    healed_at = time.monotonic()
    deployment.wait_healthy(HEAL_SECONDS)
    healthy_seconds = time.monotonic() - healed_at
    print(f"\nto be told: {watch.told}; seconds to be healthy after heal: {healthy_seconds:.1f}")

    assert {} == watch.late(is_timed=is_timed)


def test_one_fault_a_layer_is_told_in_time_and_gone_after_heal(deployment):
    drill(deployment, SHORT, is_timed=False)


@pytest.mark.soak
@pytest.mark.parametrize("faults", LONG, ids=lambda faults: "-".join(faults.values()))
def test_every_fault_is_told_in_time_and_gone_after_heal(deployment, faults):
    drill(deployment, faults, is_timed=True)


def test_a_stream_that_browsers_complain_of_is_class_client(deployment):
    deployment.wait_healthy(HEAL_SECONDS)
    program = (
        "import sys, time, urllib.request\n"
        "for _ in range(30):\n"
        "    urllib.request.urlopen(urllib.request.Request('http://127.0.0.1:8080/client-stats', sys.argv[1].encode(),"
        " {'Content-Type': 'application/json'})).close()\n"
        "    time.sleep(1)\n"
    )
    arguments = ("-n", INSTANCES, "loco-emulator-1", "--", "python", "-c", program, json.dumps(BAD_STREAM))

    def blamed() -> dict | None:
        one = deployment.deep_health().get("instance-1")
        return one if one and one["failureType"] == "client" else None

    with deployment.kube.start("exec", *arguments):
        one = deployment.kube.wait_until(blamed, 45, "the client layer to be blamed", told=deployment.told)

    assert "healthy" != one["overallStatus"]


def test_a_deleted_pod_comes_back_under_its_id_with_a_new_uid_and_without_an_incident(deployment):
    before = deployment.wait_healthy(HEAL_SECONDS)
    old_uid, known = deployment.uid("loco-emulator-2"), incident_ids(deployment)
    deployment.kube("delete", "pod", "-n", INSTANCES, "loco-emulator-2", "--wait=false")
    lists = []

    def is_back() -> bool:
        fleet = deployment.deep_health()
        if not fleet:
            return False  # one answer that didn't come
        lists.append(sorted(fleet))
        told_uid = fleet["instance-2"]["kubernetes"].get("uid") if "instance-2" in fleet else None
        return told_uid not in (None, old_uid) and fleet["instance-2"]["overallStatus"] == "healthy"

    deployment.kube.wait_until(is_back, 120, "instance-2 to be back", told=deployment.told)

    assert [] == [listed for listed in lists if listed != sorted(before)]
    assert deployment.uid("loco-emulator-2") == deployment.deep_health()["instance-2"]["kubernetes"]["uid"]
    assert set() == incident_ids(deployment) - known


def incident_ids(deployment) -> set[str]:
    """Return the ids of all incidents of the instance that is deleted."""
    return {one["id"] for one in deployment.get("/api/incidents") if one["instanceId"] == "instance-2"}
