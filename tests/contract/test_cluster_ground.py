"""The pod and the switches at the moment of asking, from an API server that answers as it likes."""

from contextlib import closing
from dataclasses import replace

import pytest
from object_server import an_object_server
from pods import a_pods_instance, pod_json

from jobs.cluster.ground import ClusterGround
from jobs.errors import ClusterError, Conflict, Forbidden, NotFound
from jobs.health.recovery import Hold

NOW_MS = 1_800_000_000_000
POD = "/api/v1/namespaces/loco/pods/loco-emulator-0"
CONTROL = "/api/v1/namespaces/loco-health/configmaps/loco-control"
UID = "uid-of-loco-emulator-0"
KNOWN = replace(a_pods_instance(uid=UID), public_id="instance-0")


@pytest.fixture
def objects():
    with an_object_server() as (objects, connect), closing(connect()) as client:
        objects.ground = ClusterGround(client, KNOWN, namespace="loco-health", wall_ms=lambda: NOW_MS)
        objects.kept[POD] = pod_json()
        yield objects


def switch(objects, **data):
    objects.kept[CONTROL] = {"metadata": {"name": "loco-control"}, "data": data or None}


def test_no_switches_forbid_nothing(objects):
    assert objects.ground.stop() is None

    switch(objects)
    assert objects.ground.stop() is None


def test_a_switch_is_read_at_each_asking(objects):
    switch(objects, recovery="on")
    assert objects.ground.stop() is None

    switch(objects, recovery="off")
    assert Hold.KILL_SWITCH is objects.ground.stop().hold


def test_a_switch_that_is_no_text_stops(objects):
    objects.kept[CONTROL] = {"metadata": {"name": "loco-control"}, "data": {"recovery": 1}}

    assert Hold.KILL_SWITCH is objects.ground.stop().hold


def test_a_switch_that_kubernetes_keeps_as_bytes_stops(objects):
    objects.kept[CONTROL] = {"metadata": {"name": "loco-control"}, "binaryData": {"recovery": "b2b/"}}

    assert "recovery is 'b2b/', on or off is allowed in loco-control" == objects.ground.stop().detail


def test_switches_that_are_no_map_are_an_error_and_never_a_leave(objects):
    objects.kept[CONTROL] = {"metadata": {"name": "loco-control"}, "data": ["recovery", "off"]}

    with pytest.raises(ClusterError, match="loco-control"):
        objects.ground.stop()


@pytest.mark.parametrize(("status", "kind"), [(403, Forbidden), (500, ClusterError), (429, ClusterError)])
def test_switches_that_cannot_be_read_are_an_error_and_never_a_leave(objects, status, kind):
    objects.refusals[f"GET {CONTROL}"] = (status, "no")

    with pytest.raises(kind, match=f"answered {status}: no"):
        objects.ground.stop()


def test_the_pod_is_the_instance_under_its_known_name(objects):
    found = objects.ground.instance()

    assert ("instance-0", KNOWN.key, UID) == (found.public_id, found.key, found.uid)
    assert KNOWN.pod.since_ms == found.pod.since_ms


def test_another_pod_of_that_name_is_told_by_its_uid(objects):
    objects.kept[POD] = pod_json(metadata={"uid": "uid-2"})
    found = objects.ground.instance()

    assert ("uid-2", NOW_MS) == (found.uid, found.pod.since_ms)


def test_a_pod_that_is_gone_is_none(objects):
    del objects.kept[POD]

    assert objects.ground.instance() is None


def test_an_answer_that_is_another_object_is_an_error(objects):
    objects.kept[POD] = pod_json("loco-emulator-1")

    with pytest.raises(ClusterError, match="answered another object than that pod"):
        objects.ground.instance()


def test_what_annotations_forbid_is_read_with_the_pod(objects):
    objects.kept[POD] = pod_json(metadata={"annotations": {"loco-health/recovery": "off"}})

    assert objects.ground.instance().pod.is_recovery_off


def test_the_pods_json_is_kept_for_the_evidence(objects):
    assert objects.ground.pod is None

    objects.ground.instance()

    assert UID == objects.ground.pod["metadata"]["uid"]


def test_a_pod_is_deleted_only_by_its_uid(objects):
    with pytest.raises(Conflict, match="does not match"):
        objects.ground.delete_pod("uid-2")
    assert POD in objects.kept

    objects.ground.delete_pod(UID)
    assert POD not in objects.kept

    with pytest.raises(NotFound):
        objects.ground.delete_pod(UID)
