"""The dev overlay, applied as it is typed in the README."""

import pytest
from deployment import API, INSTANCES, OURS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@pytest.mark.parametrize("allowed_seconds", [180, pytest.param(120, marks=pytest.mark.soak)])
def test_three_decoys_read_healthy_in_time(deployment, allowed_seconds):
    print(f"\n{deployment.healthy_seconds:.1f} s from `kubectl apply` to three healthy")

    assert deployment.healthy_seconds <= allowed_seconds


def test_instances_come_from_the_cluster_with_their_pods(deployment):
    info = deployment.get("/api/instances/discovery-info")
    listed = {one["id"]: one["kubernetes"] for one in deployment.get("/api/instances")}

    assert info["kubernetesDiscovery"]
    assert not info["fallbackToStatic"]
    assert ["instance-0", "instance-1", "instance-2"] == list(listed)
    assert [deployment.uid(pod) for pod in deployment.pods] == [one["uid"] for one in listed.values()]


def test_every_pod_of_ours_is_admitted_under_the_restricted_standard(deployment):
    """Nothing would run otherwise; the label is what makes the API server check."""
    labels = deployment.kube.get("namespace", OURS)["metadata"]["labels"]
    pods = deployment.kube.get("pods", namespace=OURS)["items"]
    refused = [
        event["message"]
        for event in deployment.kube.get("events", namespace=OURS)["items"]
        if "PodSecurity" in event.get("message", "")
    ]

    assert "restricted" == labels["pod-security.kubernetes.io/enforce"]
    assert {"discover", "collect", "dispatch", "api"} <= {
        pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods
    }
    assert [] == refused


def test_a_tick_asked_for_by_hand_is_made_by_the_holder_and_printed(deployment):
    kube = deployment.kube
    kube.try_("delete", "job", "-n", OURS, "once", "--ignore-not-found")
    kube("create", "job", "-n", OURS, "once", "--from=cronjob/collect")
    kube("wait", "-n", OURS, "job/once", "--for=condition=complete", "--timeout=60s")
    printed = kube("logs", "-n", OURS, "job/once")
    kube("delete", "job", "-n", OURS, "once", "--cascade=foreground")
    [[outcome, ticks]] = deployment.query(
        "SELECT outcome, ticks FROM runs WHERE command = 'collect' AND holder LIKE 'once-%' ORDER BY rowid DESC LIMIT 1"
    )

    assert "tick" in printed
    assert ("done", 0) == (outcome, ticks)


def test_an_incident_is_told_as_an_event_on_the_pod(deployment):
    """Its end is told too, which tests/cluster/test_events.py proves without waiting for a hold-down."""
    deployment.wait_healthy(90)
    uid = deployment.uid("loco-emulator-0")

    def events() -> dict[str, str]:
        """Return reason by name of our Events on this pod."""
        found = deployment.kube.get("events.events.k8s.io", namespace=INSTANCES)["items"]
        return {
            event["metadata"]["name"]: event["reason"]
            for event in found
            if event["regarding"].get("uid") == uid and event.get("reportingController") == "loco-health/dispatch"
        }

    before = events()
    deployment.decoy("loco-emulator-0", "fault", "bridge-down")

    def new_reasons() -> set[str]:
        return {reason for name, reason in events().items() if name not in before}

    try:
        deployment.kube.wait_until(
            lambda: "BridgeDown" in new_reasons(), 75, "an Event BridgeDown on the pod", told=lambda: str(events())
        )
    finally:
        deployment.decoy("loco-emulator-0", "heal")


def test_the_snapshot_tells_the_fleet_to_a_person(deployment):
    data = deployment.kube.get("configmap", "loco-health", namespace=OURS)["data"]
    print("\n" + data["summary"] + "\n" + data["instances"])

    assert {"summary", "instances", "snapshot.json"} == set(data)
    assert all(instance in data["instances"] for instance in ("instance-0", "instance-1", "instance-2"))


def test_the_page_works_behind_the_service_proxy(deployment):
    page = deployment.kube("get", "--raw", f"{API}/")

    assert "instance-2" in page
    assert 'href="/' not in page
    assert 'src="/' not in page
