"""A pod as an instance: what is dialled, what is not, and that no pod's JSON breaks anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pods import pod_json

from jobs.cluster.annotations import MAINTENANCE, MONITORING, MOTION, REASON, RECOVERY, SOUND, UNTIL
from jobs.cluster.pods import found_in
from jobs.health.model import InstanceKey
from jobs.health.pods import reason_not_to_ask


def found(**changes):
    """Return what is found in a running pod with these changes."""
    return found_in(pod_json(**changes))


def annotated(**annotations):
    """Return what is found in a pod with these annotations."""
    return found(metadata={"annotations": annotations})


def test_a_running_pod_is_an_instance_with_the_addresses_of_agent_and_vnc():
    instance = found().instance

    assert (InstanceKey("loco/loco-emulator-0"), "uid-of-loco-emulator-0", "kubernetes") == (
        instance.key,
        instance.uid,
        instance.source,
    )
    assert ("http://10.9.0.2:8080/health", ("10.9.0.2", 5901)) == (instance.health_url, instance.vnc_address)
    assert {
        "ordinal": 0,
        "podName": "loco-emulator-0",
        "podIP": "10.9.0.2",
        "vncUrl": "10.9.0.2:5901",
        "healthUrl": "http://10.9.0.2:8080",
    } == instance.fields


def test_ports_are_those_of_the_names_health_and_vnc_whichever_container_has_them():
    ports = [{"name": "vnc", "containerPort": 5999}, {"name": "health", "containerPort": 9090}]
    instance = found(spec={"initContainers": None, "containers": [{"name": "a"}, {"ports": ports}]}).instance

    assert ("http://10.9.0.2:9090/health", ("10.9.0.2", 5999)) == (instance.health_url, instance.vnc_address)


@pytest.mark.parametrize("port", [0, 65_536, -1, "8081", 80.5, True, None])
def test_a_port_that_is_none_leaves_the_default(port):
    containers = [{"ports": [{"name": "health", "containerPort": port}]}]

    assert (
        "http://10.9.0.2:8080/health"
        == found(spec={"containers": containers, "initContainers": []}).instance.health_url
    )


def test_an_ipv6_address_is_put_into_brackets():
    instance = found(status={"podIP": "fd00:10:9::2"}).instance

    assert ("http://[fd00:10:9::2]:8080/health", ("fd00:10:9::2", 5901)) == (instance.health_url, instance.vnc_address)
    assert "[fd00:10:9::2]:5901" == instance.fields["vncUrl"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": {"podIP": "169.254.169.254"}}, "link-local"),
        ({"status": {"podIP": "fe80::1"}}, "link-local"),
        ({"status": {"podIP": "::ffff:169.254.169.254"}}, "link-local"),
        ({"status": {"podIP": "fd00:ec2::254"}}, "metadata"),
        ({"status": {"podIP": "127.0.0.1"}}, "loopback"),
        ({"status": {"podIP": "::1"}}, "loopback"),
        ({"status": {"podIP": "0.0.0.0"}}, "unspecified"),  # noqa: S104 - not bound
        ({"status": {"podIP": "224.0.0.1"}}, "multicast"),
        ({"status": {"podIP": "192.0.2.10"}}, "the node's own address"),
        ({"spec": {"hostNetwork": True}}, "hostNetwork"),
    ],
)
def test_an_address_that_labels_must_not_choose_is_refused_with_a_reason(changes, why):
    one = found(**changes)

    assert ("", None, None) == (one.instance.health_url, one.instance.vnc_address, one.instance.fields["podIP"])
    assert "AddressRefused" == one.pod.reason
    assert why in one.pod.detail


@pytest.mark.parametrize("address", [None, "", "loco.example", "http://10.0.0.1", "10.9.0.2/../", 7])
def test_a_running_pod_without_an_address_is_not_dialled(address):
    one = found(status={"podIP": address})

    assert ("", "NoAddress") == (one.instance.health_url, one.pod.reason)


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed", "Unknown"])
def test_only_a_pod_that_runs_is_dialled_though_others_have_an_address(phase):
    instance = found(status={"phase": phase}).instance

    assert ("", None) == (instance.health_url, instance.vnc_address)


def test_a_terminating_pod_keeps_its_place_and_is_not_asked():
    instance = found(metadata={"deletionTimestamp": "2026-11-25T21:00:00Z"}).instance

    assert found().instance.place == instance.place
    assert "the pod is Terminating" == reason_not_to_ask(instance, 0)


def test_ordinals_are_those_of_statefulsets_and_of_pods_that_nobody_owns():
    owner = [{"kind": "ReplicaSet", "name": "web-5d9", "controller": True}]

    assert [0, 12, None, None, 3, None] == [
        one.instance.fields["ordinal"]
        for one in (
            found(),
            found_in(pod_json("loco-emulator-12")),
            found_in(pod_json("web-5d9-24567", metadata={"ownerReferences": owner})),
            found_in(pod_json("emulator", metadata={"ownerReferences": []})),
            found_in(pod_json("emulator-3", metadata={"ownerReferences": []})),
            found_in(pod_json("emulator-03", metadata={"ownerReferences": []})),
        )
    ]


def test_facts_of_the_pod_are_kept():
    pod = found(status={"containerStatuses": [{"name": "emulator", "restartCount": 4, "state": {}}]}).pod

    assert ("loco-emulator", "node-1", True, 4, ("emulator:1",)) == (
        pod.statefulset,
        pod.node,
        pod.is_ready,
        pod.restarts,
        pod.images,
    )


def test_expectations_are_read_from_annotations():
    one = annotated(**{MOTION: "20", SOUND: "15.5"})

    assert (20.0, 15.5, ()) == (one.instance.expect_motion_seconds, one.instance.expect_sound_seconds, one.pod.notes)


@pytest.mark.parametrize("value", ["", "soon", "0", "-1", "nan", "inf", "86401", "1e400"])
def test_an_expectation_that_is_none_is_a_note_and_nothing_is_expected(value):
    one = annotated(**{MOTION: value})

    allowed = "a number of seconds above 0 and up to 86400 is allowed"
    assert one.instance.expect_motion_seconds is None
    assert (f"annotation {MOTION} is {value!r}, {allowed}; nothing is expected",) == one.pod.notes


def test_an_opt_out_needs_a_reason_and_an_instant():
    pod = annotated(**{MONITORING: "off", REASON: "new disk", UNTIL: "2027-01-15T08:00:00Z"}).pod

    assert ("new disk", 1_800_000_000_000, ()) == (pod.off_reason, pod.off_until_ms, pod.notes)


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({MONITORING: "off", UNTIL: "2027-01-15T08:00:00Z"}, [f"{REASON} says no reason"]),
        ({MONITORING: "off", REASON: "new disk"}, [f"{UNTIL} is missing"]),
        ({MONITORING: "off", REASON: "new disk", UNTIL: "tomorrow"}, [f"{UNTIL} is 'tomorrow'"]),
        ({MONITORING: "off", REASON: "new disk", UNTIL: "2027-01-15T08:00:00"}, ["an instant such as"]),
        ({MONITORING: "off", REASON: "x", UNTIL: "9999-12-31T23:59:59-14:00"}, ["an instant such as"]),
        ({MONITORING: "off"}, [f"{REASON} says no reason", f"{UNTIL} is missing"]),
        ({MONITORING: "OFF", REASON: "x", UNTIL: "2027-01-15T08:00:00Z"}, ['is \'OFF\', "on" or "off" is allowed']),
    ],
)
def test_an_opt_out_that_is_not_whole_is_none_and_says_why(annotations, words):
    pod = annotated(**annotations).pod

    assert (None, None, len(words)) == (pod.off_reason, pod.off_until_ms, len(pod.notes))
    assert all(
        word in note and note.endswith("the pod is watched") for word, note in zip(words, pod.notes, strict=True)
    )


def test_monitoring_that_is_on_is_no_opt_out():
    assert () == annotated(**{MONITORING: "on"}).pod.notes


def test_a_pod_may_be_watched_and_never_acted_on():
    pod = annotated(**{RECOVERY: "off", MAINTENANCE: "2027-01-15T08:00:00Z"}).pod

    assert (True, 1_800_000_000_000, ()) == (pod.is_recovery_off, pod.maintenance_until_ms, pod.notes)


def test_a_misspelt_annotation_of_ours_stops_acts_and_is_told():
    pod = annotated(**{"loco-health/recover": "off", "loco-health/" + "z" * 90: "", "other/recover": "off"}).pod

    expected = ("annotation loco-health/recover isn't known; nothing is done to the pod",)
    assert (True, None, expected) == (pod.is_recovery_off, pod.maintenance_until_ms, pod.notes)


@pytest.mark.parametrize("annotations", [{}, {RECOVERY: "on"}])
def test_acts_are_on_unless_a_pod_says_otherwise(annotations):
    pod = annotated(**annotations).pod

    assert (False, None, ()) == (pod.is_recovery_off, pod.maintenance_until_ms, pod.notes)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        (RECOVERY, "Off", '"on" or "off" is allowed'),
        (RECOVERY, "", '"on" or "off" is allowed'),
        (MAINTENANCE, "tomorrow", "an instant such as 2026-12-01T00:00:00Z is needed"),
        (MAINTENANCE, "2027-01-15T08:00:00", "an instant such as 2026-12-01T00:00:00Z is needed"),
    ],
)
def test_a_wish_about_acts_that_cannot_be_taken_stops_them(name, value, allowed):
    pod = annotated(**{name: value}).pod

    assert (True, None) == (pod.is_recovery_off, pod.maintenance_until_ms)
    assert (f"annotation {name} is {value!r}, {allowed}; nothing is done to the pod",) == pod.notes


def test_hostile_annotations_are_cut_and_made_printable():
    long = "\x1b[2J" * 10_000
    pod = annotated(**{MOTION: long, MONITORING: "off", REASON: long, UNTIL: "2027-01-15T08:00:00Z"}).pod

    assert all(len(text) <= 300 and text.isprintable() for text in (*pod.notes, pod.off_reason))


@pytest.mark.parametrize(
    ("namespace", "name"), [("loco", ""), ("", "a"), ("loco", "a/b"), ("a/b", "c"), ("loco", "a\nb"), ("loco", "A")]
)
def test_what_is_no_name_of_a_pod_is_no_pod(namespace, name):
    assert found_in({"metadata": {"namespace": namespace, "name": name}}) is None


def test_a_name_of_the_greatest_length_is_taken_whole():
    name = "a" * 253

    assert name == found_in({"metadata": {"namespace": "loco", "name": name}}).pod.name
    assert found_in({"metadata": {"namespace": "loco", "name": f"{name}b"}}) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(value=JSON)
def test_any_json_is_a_pod_or_none(value):
    assert found_in(value) is None


@given(data=st.data())
def test_a_pod_with_any_json_in_any_place_breaks_nothing(data):
    pod = pod_json()
    place = pod
    while True:
        field = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else list(range(len(place)))))
        if isinstance(place[field], dict | list) and place[field] and data.draw(st.booleans()):
            place = place[field]
            continue
        place[field] = data.draw(JSON)
        break
    one = found_in(pod)

    assert one is None or one.instance.key == f"{one.pod.namespace}/{one.pod.name}"


RESTARTED = [{"name": "emulator", "restartCount": 1, "state": {"running": {"startedAt": "2026-11-25T20:30:00Z"}}}]


@pytest.mark.parametrize(
    ("changes", "began_ms"),
    [
        ({}, 1_795_636_805_000),  # its last container, 20:00:05
        ({"status": {"containerStatuses": RESTARTED}}, 1_795_636_801_000),  # its start, 20:00:01
        ({"status": {"phase": "Pending"}}, 1_795_636_800_000),  # its creation, 20:00:00
        ({"metadata": {"deletionTimestamp": "2026-11-25T21:00:30Z"}}, None),
        ({"status": {"startTime": None, "containerStatuses": RESTARTED}}, None),
    ],
)
def test_when_a_phase_began_is_not_moved_by_a_restart_and_not_known_of_a_pod_that_ends(changes, began_ms):
    assert began_ms == found(**changes).began_ms
