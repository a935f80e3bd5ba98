"""How instances are found, in the seed's shapes."""

import json
from dataclasses import replace
from pathlib import Path

from pods import a_pod, a_pods_instance
from snapshots import NOW_MS, a_fleet_now, a_run, a_snapshot, latest_of, the_standing

import api
from api.fleet import DISCOVERY_SILENT_AFTER_MS, see
from api.views import discovery, instances
from jobs.store.discovery import Detail, Discovery, Mode, Namespace, Port, Service, StatefulSet

IN_A_CLUSTER = Discovery(
    Mode.KUBERNETES,
    NOW_MS - 5000,
    Detail(
        selector="component=emulator",
        namespaces=(
            Namespace(
                name="loco",
                listed_at_ms=NOW_MS - 5000,
                pods=3,
                statefulsets=(StatefulSet("loco-emulator", 3, 2, service="loco-emulator"),),
                services=(Service("loco-emulator", "None", (Port("health", 8080, "health"),)),),
            ),
        ),
        nodes_problem="node facts are off",
    ),
)


def info_of(snapshot, now_ms=NOW_MS):
    """Return what the API says of discovery."""
    return discovery.discovery_info(a_fleet_now(snapshot, now_ms=now_ms), snapshot)


def test_discovery_info_of_a_cluster_names_services_statefulsets_and_ages():
    info = info_of(replace(a_snapshot(), discovery=IN_A_CLUSTER))

    assert ("kubernetes", True, True, False, "loco") == (
        info["mode"],
        info["kubernetesDiscovery"],
        info["usingAutoDiscovery"],
        info["fallbackToStatic"],
        info["namespace"],
    )
    assert {
        "loco-emulator": {
            "name": "loco-emulator",
            "namespace": "loco",
            "clusterIP": "None",
            "ports": [{"name": "health", "port": 8080, "targetPort": "health"}],
        }
    } == info["services"]
    assert [(3, 2)] == [(one["replicas"], one["readyReplicas"]) for one in info["statefulsets"]]
    assert "2026-11-24T20:07:38.000Z" == info["listedAt"] == info["namespaces"][0]["listedAt"]
    assert "node facts are off" == info["nodeFactsProblem"]


def test_discovery_info_of_two_namespaces_tells_services_apart_and_names_the_forbidden_one():
    loco = IN_A_CLUSTER.detail.namespaces[0]
    other = replace(loco, name="other", is_forbidden=True, problem="namespace other can't be listed: 403")
    detail = replace(IN_A_CLUSTER.detail, namespaces=(loco, other))
    info = info_of(replace(a_snapshot(), discovery=replace(IN_A_CLUSTER, detail=detail)))

    assert "loco,other" == info["namespace"]
    assert ["loco/loco-emulator", "other/loco-emulator"] == list(info["services"])
    assert ["other"] == info["forbidden"]
    assert [None, "namespace other can't be listed: 403"] == [one["problem"] for one in info["namespaces"]]


def test_a_cluster_that_is_silent_is_kept_and_one_that_was_never_heard_falls_back_to_the_file():
    kept, static = (
        info_of(replace(a_snapshot(), discovery=replace(IN_A_CLUSTER, mode=mode))) for mode in (Mode.KEPT, Mode.STATIC)
    )

    assert [("kept", True, True, False), ("static", True, False, True)] == [
        (one["mode"], one["kubernetesDiscovery"], one["usingAutoDiscovery"], one["fallbackToStatic"])
        for one in (kept, static)
    ]


def test_an_instance_of_a_pod_says_what_kubernetes_says_of_it():
    pod = a_pod(phase="Pending", reason="ImagePullBackOff", detail="no such image", since_ms=NOW_MS)
    known = a_pods_instance(pod, uid="uid-1")
    told = instances.instance(the_standing(a_snapshot((known, latest_of(known)))))["kubernetes"]

    assert ("loco", "loco-emulator-0", "uid-1", "Pending", "ImagePullBackOff", "no such image") == (
        told["namespace"],
        told["podName"],
        told["uid"],
        told["phase"],
        told["reason"],
        told["detail"],
    )
    assert "2026-11-24T20:07:43.000Z" == told["since"]


def test_openapi_names_every_field_of_a_cluster():
    schemas = json.loads((Path(api.__file__).parent / "openapi.json").read_text())["components"]["schemas"]
    info = info_of(replace(a_snapshot(), discovery=IN_A_CLUSTER))
    known = a_pods_instance()
    told = instances.instance(the_standing(a_snapshot((known, latest_of(known)))))["kubernetes"]
    fields = schemas["DiscoveryInfo"]["properties"]

    assert (set(fields), set(schemas["Kubernetes"]["properties"])) == (set(info), set(told))
    for name in ("statefulsets", "namespaces"):
        assert set(fields[name]["items"]["properties"]) == set(info[name][0])


def test_live_and_discovery_info_say_how_instances_are_found():
    from_file = Discovery(Mode.STATIC, None, Detail())
    runs = {"discover": a_run("discover", problem="instances.json: line 3")}
    snapshot = replace(a_snapshot(), runs=runs, discovery=from_file)

    live = discovery.live(a_fleet_now(snapshot), snapshot)
    info = info_of(snapshot)

    assert ("static", 1, "instances.json: line 3") == (live["mode"], len(live["instances"]), live["problem"])
    assert (False, False, True) == (
        info["kubernetesDiscovery"],
        info["usingAutoDiscovery"],
        info["fallbackToStatic"],
    )


def test_before_discovery_has_spoken_nobody_says_where_instances_come_from():
    info = info_of(a_snapshot())

    assert (None, False, False, False) == tuple(
        info[name] for name in ("mode", "kubernetesDiscovery", "usingAutoDiscovery", "fallbackToStatic")
    )


def test_a_discovery_that_has_stopped_is_a_problem_at_the_very_millisecond():
    snapshot = replace(a_snapshot(), last_successes={"discover": NOW_MS})
    told = [info_of(snapshot, now_ms=NOW_MS + DISCOVERY_SILENT_AFTER_MS + late)["problem"] for late in (0, 1)]

    expected = "discover's last look, 2026-11-24T20:07:43.000Z, isn't of the last 120 s; new instances may be missing"
    assert [None, expected] == told
    assert see(replace(snapshot, latest={}), "", NOW_MS).until_ms == NOW_MS + DISCOVERY_SILENT_AFTER_MS + 1


def test_of_a_snapshot_out_of_the_configmap_its_own_age_tells_whether_discovery_lives():
    published = replace(a_snapshot(), last_successes={"discover": NOW_MS}, written_at_ms=NOW_MS)

    assert None is info_of(published, now_ms=NOW_MS + DISCOVERY_SILENT_AFTER_MS + 1)["problem"]
