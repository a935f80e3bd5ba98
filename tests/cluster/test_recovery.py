"""From a real fault to healthy with no hand on it, in a real cluster by the default policy; and every no to an act."""

import json
import random
import statistics
import time

import pytest
from deployment import INSTANCES, OURS
from recovering import HEAL_SECONDS, Recovery, instance_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

POD = "loco-emulator-{}".format
REPLICAS = 8  # no pod needs more than three acts in all tests of the short form

# fault -> the acts that may heal it, the least disruptive that can; () where the container's own restart does it.
REMEDIES = {
    "stop-qemu": ["reset-guest"],
    "freeze": ["reset-guest"],
    "halt": ["reset-guest"],
    "blank": ["reset-guest"],
    "kill-audio": ["restart-qemu"],
    "mute": ["reset-audio"],
    "tap-down": ["reset-interface"],
    "bridge-down": ["rebuild-bridge"],
}
STOPPED_SECONDS = 45


@pytest.fixture(scope="module")
def recovery(deployment):
    """Let the deployment act for this module, over enough decoys that no test spends another one's budget."""
    recovery = Recovery(deployment)
    recovery.switch(recovery="on")
    recovery.scale(REPLICAS)
    recovery.wait_switched("on")
    recovery.wait_quiet()
    yield recovery
    recovery.switch(recovery="off")
    for pod in deployment.pods:
        deployment.decoy(pod, "heal")
    recovery.scale(3)


def heal_and_check(recovery, faults: dict[str, tuple[str, ...]], acts: dict[str, list[str]]) -> dict[str, float]:
    """Let faults heal by themselves; return the seconds, after seeing that only these acts were done."""
    recovery.deployment.wait_healthy(HEAL_SECONDS)
    last = recovery.last_id()
    seconds = recovery.heals(faults, HEAL_SECONDS * max(1, *(len(done) for done in acts.values())))
    done = {pod: recovery.attempts(instance_of(pod), after=last) for pod in faults}
    print(
        f"\nfault to healthy: {seconds}; acts: { {pod: [one['action'] for one in rows] for pod, rows in done.items()} }"
    )

    assert acts == {pod: [one["action"] for one in rows] for pod, rows in done.items()}
    return seconds


def test_a_network_fault_and_a_stopped_qemu_heal_by_the_least_that_can_and_that_is_told(recovery):
    """`kubectl describe` needs nothing of ours to tell it."""
    last = recovery.last_id()
    faults = {POD(0): ("tap-down",), POD(1): ("stop-qemu",)}
    seconds = heal_and_check(recovery, faults, {POD(0): ["reset-interface"], POD(1): ["reset-guest"]})
    attempts = [one for pod in faults for one in recovery.attempts(instance_of(pod), after=last)]

    assert max(seconds.values()) <= HEAL_SECONDS
    for attempt in attempts:
        check_told(recovery, attempt)


def check_told(recovery, attempt: dict) -> None:
    """See one healed attempt in its Job, its pod's last words, its Events and its evidence."""
    kube, name = recovery.kube, attempt["job"]
    kube("wait", "-n", OURS, f"job/{name}", "--for=condition=complete", "--timeout=60s")
    job = kube.get("job", name, namespace=OURS)
    (pod,) = kube.get("pods", f"--selector=batch.kubernetes.io/job-name={name}", namespace=OURS)["items"]
    message = json.loads(pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"])
    said = ("healed", attempt["id"], attempt["action"])

    def is_told() -> bool:
        return {"RecoveryStarted", "RecoverySucceeded"} <= events_of(kube, attempt)

    kube.wait_until(is_told, 60, f"Events of attempt {attempt['id']}", told=lambda: str(events_of(kube, attempt)))

    assert said == tuple(message[key] for key in ("outcome", "attempt", "action"))
    assert [False] == [owner.get("controller", False) for owner in job["metadata"]["ownerReferences"]]
    assert attempt["evidence"]
    assert recovery.deployment.get(f"/api/incidents/{attempt['incident']}/evidence")


def events_of(kube, attempt: dict) -> set[str]:
    """Return the reasons of our Events that name an attempt."""
    return {
        event["reason"]
        for event in kube.get("events.events.k8s.io", namespace=INSTANCES)["items"]
        if f"(attempt {attempt['id']} " in event.get("note", "")
    }


def test_faults_in_two_layers_are_mended_the_network_first(recovery):
    faults = {POD(2): ("mute", "tap-down")}
    heal_and_check(recovery, faults, {POD(2): ["reset-interface", "reset-audio"]})


@pytest.mark.soak
def test_a_killed_qemu_is_left_to_its_containers_own_restart(recovery):
    heal_and_check(recovery, {POD(3): ("kill-qemu",)}, {POD(3): []})


@pytest.mark.soak
def test_every_fault_with_a_remedy_heals(recovery):
    """Two at a time: three would be the fleet's brake."""
    recovery.scale(REPLICAS + 10)
    seconds: dict[str, list[float]] = {}
    waiting = [fault for fault in REMEDIES for _ in range(3 if fault == "stop-qemu" else 1)]
    pods = iter(POD(number) for number in range(REPLICAS, REPLICAS + 10))
    while waiting:
        pair = {next(pods): (waiting.pop(),) for _ in range(min(2, len(waiting)))}
        took = heal_and_check(recovery, pair, {pod: REMEDIES[fault] for pod, (fault,) in pair.items()})
        for pod, (fault,) in pair.items():
            seconds.setdefault(fault, []).append(took[pod])
    print(f"\nfault to healthy, seconds: {seconds}")

    assert statistics.median(seconds["stop-qemu"]) <= STOPPED_SECONDS
    assert max(statistics.median(took) for took in seconds.values()) <= HEAL_SECONDS


def test_a_viewer_holds_back_a_cutting_act_until_they_leave(recovery):
    recovery.deployment.wait_healthy(HEAL_SECONDS)
    pod, instance, last = POD(4), instance_of(POD(4)), recovery.last_id()
    with recovery.viewer(pod) as viewer:
        recovery.deployment.decoy(pod, "fault", "blank")
        plan = recovery.wait_hold(instance, "UserConnected", 75)
        time.sleep(20)  # more than a tick in which nothing may happen
        held = recovery.attempts(instance, after=last)
        is_still_viewing = viewer.poll() is None
    left_at = time.monotonic()
    attempt = recovery.wait_attempt(instance, after=last, seconds=75)
    print(f"\nheld: {plan['detail']}; {attempt['outcome']} {time.monotonic() - left_at:.1f} s after the viewer left")

    assert ([], True) == (held, is_still_viewing)
    assert ("reset-guest", "healed") == (attempt["action"], attempt["outcome"])


@pytest.mark.soak
def test_a_viewer_keeps_no_sound_from_being_mended(recovery):
    recovery.deployment.wait_healthy(HEAL_SECONDS)
    pod, last = POD(5), recovery.last_id()
    with recovery.viewer(pod) as viewer:
        recovery.deployment.decoy(pod, "fault", "mute")
        attempt = recovery.wait_attempt(instance_of(pod), after=last, seconds=90)
        is_still_viewing = viewer.poll() is None

    assert ("reset-audio", "healed", True) == (attempt["action"], attempt["outcome"], is_still_viewing)


@pytest.mark.soak
def test_switches_hold_everything_back(recovery):
    recovery.deployment.wait_healthy(HEAL_SECONDS)
    pod, instance, last = POD(5), instance_of(POD(5)), recovery.last_id()
    recovery.switch(recovery="off")
    try:
        recovery.deployment.decoy(pod, "fault", "mute")
        recovery.deployment.wait_told(instance, "AudioMuted", 60)
        # A mounted ConfigMap takes the kubelet's time to arrive: whatever was planned meanwhile stood down.
        recovery.wait_hold(instance, "KillSwitch", 150)
        acted = [one for one in recovery.attempts(instance, after=last) if one["acted"]]
    finally:
        recovery.switch(recovery="on")
    attempt = recovery.kube.wait_until(
        lambda: next((one for one in recovery.attempts(instance, after=last) if one["outcome"] == "healed"), None),
        180,
        "the act once the switch is on again",
        told=recovery.told,
    )

    assert [] == acted
    assert "reset-audio" == attempt["action"]


@pytest.mark.soak
def test_an_annotation_keeps_one_pod_from_being_acted_on(recovery):
    recovery.deployment.wait_healthy(HEAL_SECONDS)
    pod, instance, last = POD(7), instance_of(POD(7)), recovery.last_id()
    recovery.kube("annotate", "pod", "-n", INSTANCES, pod, "loco-health/recovery=off")
    try:
        recovery.deployment.decoy(pod, "fault", "mute")
        recovery.wait_hold(instance, "Paused", 90)
        held = recovery.attempts(instance, after=last)
    finally:
        recovery.deployment.decoy(pod, "heal")
        recovery.kube("annotate", "pod", "-n", INSTANCES, pod, "loco-health/recovery-")

    assert [] == held


@pytest.mark.soak
def test_one_nodes_trouble_is_one_incident_and_no_act_while_another_instance_recovers(recovery):
    deployment = recovery.deployment
    recovery.wait_quiet()
    nodes: dict[str, list[str]] = {}
    for pod in recovery.kube.get("pods", "--selector=app.kubernetes.io/component=emulator", namespace=INSTANCES)[
        "items"
    ]:
        nodes.setdefault(pod["spec"]["nodeName"], []).append(pod["metadata"]["name"])
    members, others = sorted(nodes.values(), key=len, reverse=True)
    members = members[:3]
    last = recovery.last_id()
    try:
        for pod in members:
            deployment.decoy(pod, "fault", "mute")

        def one_with_members() -> dict | None:
            found = deployment.get("/api/incidents?state=open") or []
            return next((one for one in found if len(one.get("members") or []) == len(members)), None)

        incident = recovery.kube.wait_until(one_with_members, 75, "one incident with members", told=recovery.told)
        deployment.decoy(others[-1], "fault", "mute")
        attempt = recovery.wait_attempt(instance_of(others[-1]), after=last, seconds=90)
        acts = [one for pod in members for one in recovery.attempts(instance_of(pod), after=last) if one["acted"]]
    finally:
        for pod in deployment.pods:
            deployment.decoy(pod, "heal")

    assert sorted(instance_of(pod) for pod in members) == sorted(member["instanceId"] for member in incident["members"])
    assert ("reset-audio", "healed") == (attempt["action"], attempt["outcome"])
    assert [] == acts


@pytest.mark.soak  # and over real sockets in tests/contract/test_collector_plans.py
def test_many_sick_at_once_without_a_common_cause_stop_every_act(recovery):
    deployment = recovery.deployment
    recovery.wait_quiet()
    nodes: dict[str, list[str]] = {}
    for pod in recovery.kube.get("pods", "--selector=app.kubernetes.io/component=emulator", namespace=INSTANCES)[
        "items"
    ]:
        nodes.setdefault(pod["spec"]["nodeName"], []).append(pod["metadata"]["name"])
    victims = [pod for pods in nodes.values() for pod in pods[:2]]
    last = recovery.last_id()
    try:
        for pod in victims:
            deployment.decoy(pod, "fault", "mute")
        for pod in victims:
            recovery.wait_hold(instance_of(pod), "FleetBrake", 90)
        time.sleep(20)  # more than a tick in which nothing may happen
        acts = [one for pod in victims for one in recovery.attempts(instance_of(pod), after=last) if one["acted"]]
    finally:
        for pod in victims:
            deployment.decoy(pod, "heal")

    assert [] == acts


def kill_dispatchers(recovery, kills: int, rng: random.Random) -> int:
    """Delete the pod that holds the baton of dispatch, again and again at random moments; return how often."""
    killed = 0
    while killed < kills:
        time.sleep(rng.uniform(0.5, 6))
        holder = recovery.deployment.query("SELECT coalesce(holder, '') FROM leases WHERE name = 'dispatch'")[0][0]
        pod = holder.partition(":")[0]
        if pod and recovery.kube.try_("delete", "pod", "-n", OURS, pod, "--grace-period=0", "--force"):
            killed += 1
    return killed


@pytest.mark.parametrize(
    ("incidents", "kills"), [(2, 5), pytest.param(10, 30, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]
)
def test_a_dispatcher_that_dies_at_random_moments_spends_no_budget_twice(recovery, incidents, kills):
    deployment, rng = recovery.deployment, random.Random(6)
    first = 6 if incidents == 2 else REPLICAS
    recovery.scale(max(REPLICAS, first + incidents))
    last = recovery.last_id()
    pods = [POD(first + number) for number in range(incidents)]
    for begin in range(0, incidents, 2):
        deployment.wait_healthy(300)
        pair = pods[begin : begin + 2]
        for pod in pair:
            deployment.decoy(pod, "fault", "mute")
        kill_dispatchers(recovery, kills * len(pair) // incidents, rng)
        for pod in pair:
            recovery.wait_attempt(instance_of(pod), after=last, seconds=240)
    deployment.wait_healthy(300)
    proven = recovery.audit()
    print(f"\n{proven}")

    assert {pod: ["reset-audio"] for pod in pods} == {
        pod: [one["action"] for one in recovery.attempts(instance_of(pod), after=last) if one["acted"]] for pod in pods
    }


def test_a_job_by_hand_acts_on_the_instance_of_its_name(recovery):
    recovery.deployment.wait_healthy(HEAL_SECONDS)
    kube, pod = recovery.kube, POD(3)
    recovery.kube("annotate", "pod", "-n", INSTANCES, pod, "loco-health/recovery=off", "--overwrite")
    recovery.switch(recovery="on")
    recovery.deployment.decoy(pod, "fault", "mute")
    try:
        recovery.wait_hold(instance_of(pod), "Paused", 90)
        recovery.kube("annotate", "pod", "-n", INSTANCES, pod, "loco-health/recovery-")
        kube("create", "job", "-n", OURS, f"recover-{instance_of(pod)}", "--from=cronjob/recover")
        kube("wait", "-n", OURS, f"job/recover-{instance_of(pod)}", "--for=condition=complete", "--timeout=120s")
        print(kube("logs", "-n", OURS, f"job/recover-{instance_of(pod)}"))
    finally:
        recovery.deployment.decoy(pod, "heal")
        kube.try_("annotate", "pod", "-n", INSTANCES, pod, "loco-health/recovery-")

    assert recovery.attempts(instance_of(pod))[-1]["outcome"] in ("healed", "superseded")
