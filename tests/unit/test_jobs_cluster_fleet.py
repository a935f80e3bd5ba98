"""From what namespaces show to the inventory: ids, what stays though it isn't seen, and since when."""

from dataclasses import replace
from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st
from pods import BEGAN_MS, pod_json

from jobs.cluster.fleet import fleet_of
from jobs.cluster.missing import HOLD_SECONDS
from jobs.cluster.pods import found_in
from jobs.cluster.sight import Sight
from jobs.store.discovery import Namespace, StatefulSet

MINUTE_MS = 60_000
HOLD_MS = HOLD_SECONDS * 1000
BARE = {"ownerReferences": []}
STARTED_MS = 1_795_636_805_000  # 2026-11-25T20:00:05Z, as the pods' JSON says


def a_sight(*pods, namespace="loco", wanted=None, **facts):
    """Return what a namespace shows. wanted: replicas of its StatefulSet, None where it has none."""
    sets = () if wanted is None else (StatefulSet("loco-emulator", wanted, len(pods)),)
    found = [found_in(pod) for pod in pods]
    facts = {"statefulsets": sets, "pods": len(pods), **facts}
    return Sight(Namespace(name=namespace, **facts), {one.pod.name: one for one in found})


def unseen(namespace="loco", problem="namespace loco can't be listed"):
    """Return a namespace that this run hasn't listed."""
    return Sight(Namespace(name=namespace, problem=problem))


def fleet(*sights, before=(), nodes=None, at_ms=BEGAN_MS):
    """Return the inventory by key."""
    return {one.key: one for one in fleet_of(sights, before, nodes=nodes, at_ms=at_ms)}


def ids(inventory):
    """Return public id and phase by key."""
    return {key: (one.public_id, one.pod.phase) for key, one in inventory.items()}


def emulators(count, **changes):
    """Return pods of the StatefulSet."""
    return [pod_json(f"loco-emulator-{ordinal}", **changes) for ordinal in range(count)]


def test_pods_of_a_statefulset_are_instances_by_their_ordinals():
    assert {
        "loco/loco-emulator-0": ("instance-0", "Running"),
        "loco/loco-emulator-1": ("instance-1", "Running"),
    } == ids(fleet(a_sight(*emulators(2), wanted=2)))


def test_ordinals_that_two_pods_have_give_way_to_names_and_names_to_namespaces():
    loco = a_sight(*emulators(2), pod_json("extra-1", metadata=BARE), wanted=2)
    other = a_sight(pod_json("loco-emulator-0", namespace="other"), namespace="other", wanted=1)

    assert {
        "loco/extra-1": "extra-1",
        "loco/loco-emulator-0": "loco.loco-emulator-0",
        "loco/loco-emulator-1": "loco-emulator-1",
        "other/loco-emulator-0": "other.loco-emulator-0",
    } == {key: one.public_id for key, one in fleet(loco, other).items()}


def test_no_pods_name_takes_the_id_of_another():
    named = a_sight(pod_json("instance-0", metadata={"ownerReferences": [{"kind": "Job", "controller": True}]}))
    inventory = fleet(named, a_sight(pod_json("emulator-0", namespace="other", metadata=BARE), namespace="other"))

    assert ["loco.instance-0", "instance-0"] == [
        inventory[k].public_id for k in ("loco/instance-0", "other/emulator-0")
    ]


def test_whoever_names_pods_after_every_id_of_another_stops_nobody():
    ours = pod_json("b", namespace="a", metadata=BARE)
    digest = blake2b(b"a/b", digest_size=4).hexdigest()
    taken = [pod_json(name, namespace="a", metadata=BARE) for name in ("a.b", f"a.b-{digest}")]
    other = a_sight(pod_json("b", namespace="c", metadata=BARE), namespace="c")
    inventory = fleet(a_sight(ours, *taken, namespace="a"), other)

    assert {"a/a.b": "a.b", f"a/a.b-{digest}": f"a.b-{digest}", "a/b": f"a.b-{digest}-2", "c/b": "c.b"} == {
        key: one.public_id for key, one in inventory.items()
    }


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "a.a"]), st.sampled_from(["a", "a-0", "a.a", "instance-0", "a.a-0", "a.a.a"])
        ),
        unique=True,
        max_size=12,
    )
)
def test_public_ids_are_unique_whatever_pods_are_called(pods):
    sights = [
        a_sight(*(pod_json(name, namespace=space, metadata=BARE) for where, name in pods if where == space))
        for space in ("a", "b")
    ]
    inventory = fleet_of(sights, (), nodes=None, at_ms=BEGAN_MS)

    assert len(inventory) == len({one.public_id for one in inventory})


def test_a_pod_that_its_statefulset_wants_stays_as_missing_under_its_id():
    before = fleet(a_sight(*emulators(3), wanted=3), at_ms=BEGAN_MS)
    after = fleet(a_sight(*emulators(2), wanted=3), before=before.values(), at_ms=BEGAN_MS + 5)
    later = fleet(a_sight(*emulators(2), wanted=3), before=after.values(), at_ms=BEGAN_MS + MINUTE_MS)

    gone = later["loco/loco-emulator-2"]
    assert ("instance-2", "Missing", BEGAN_MS + 5) == (gone.public_id, gone.pod.phase, gone.pod.since_ms)
    assert ("", None, None) == (gone.health_url, gone.vnc_address, gone.uid)
    assert "StatefulSet loco-emulator wants it" == gone.pod.detail


def test_pods_that_their_statefulset_counts_as_ready_are_said_to_be_unseen_only():
    counted = a_sight(statefulsets=(StatefulSet("loco-emulator", 3, 2),))
    gone = fleet(counted, before=fleet(a_sight(*emulators(3), wanted=3)).values())["loco/loco-emulator-0"]

    assert ("Missing", "StatefulSet loco-emulator wants it, and last counted 2 ready where 0 carry the labels") == (
        gone.pod.phase,
        gone.pod.detail,
    )


def test_a_pod_that_comes_back_has_the_same_id_and_a_phase_of_its_own():
    before = fleet(a_sight(*emulators(1), wanted=1), at_ms=BEGAN_MS)
    away = fleet(a_sight(wanted=1), before=before.values(), at_ms=BEGAN_MS + 1000)
    back = fleet(a_sight(pod_json(metadata={"uid": "uid-new"}), wanted=1), before=away.values(), at_ms=BEGAN_MS + 2000)[
        "loco/loco-emulator-0"
    ]

    assert {"loco/loco-emulator-0": ("instance-0", "Missing")} == ids(away)
    assert ("instance-0", "uid-new", BEGAN_MS + 2000) == (back.public_id, back.uid, back.pod.since_ms)


def test_what_a_missing_pod_expects_stays_known():
    noisy = {"annotations": {"loco-health/expect-sound-seconds": "15"}}
    before = fleet(a_sight(*emulators(1, metadata=noisy), wanted=1))
    away = fleet(a_sight(wanted=1), before=before.values())["loco/loco-emulator-0"]

    assert 15.0 == away.expect_sound_seconds


def test_an_ordinal_that_was_never_there_is_listed_as_missing():
    assert ("instance-2", "Missing") == ids(fleet(a_sight(*emulators(2), wanted=3)))["loco/loco-emulator-2"]


def test_a_pod_that_its_statefulset_makes_later_only_awaits_the_earlier_ones():
    unready = emulators(1, status={"conditions": [{"type": "Ready", "status": "False"}]})
    early = fleet(a_sight(*unready, wanted=3), at_ms=BEGAN_MS)
    later = fleet(a_sight(*emulators(1), wanted=3), before=early.values(), at_ms=BEGAN_MS + MINUTE_MS)

    assert ["", "AwaitsEarlier", "AwaitsEarlier"] == [one.pod.reason for one in early.values()]
    assert ["", "Missing", "AwaitsEarlier"] == [one.pod.reason for one in later.values()]
    assert BEGAN_MS + MINUTE_MS == later["loco/loco-emulator-1"].pod.since_ms


def test_a_statefulset_that_makes_all_at_once_lets_none_wait():
    sight = a_sight(wanted=2)
    sets = (replace(sight.facts.statefulsets[0], is_ordered=False),)
    before = fleet(a_sight(*emulators(2), wanted=2))
    after = fleet(replace(sight, facts=replace(sight.facts, statefulsets=sets)), before=before.values())

    assert ["Missing", "Missing"] == [one.pod.reason for one in after.values()]


def test_ordinals_may_start_elsewhere():
    sight = a_sight(pod_json("loco-emulator-5"))
    sets = (StatefulSet("loco-emulator", 2, 1, first_ordinal=5),)
    inventory = fleet(replace(sight, facts=replace(sight.facts, statefulsets=sets)))

    assert ["loco/loco-emulator-5", "loco/loco-emulator-6"] == list(inventory)


def test_a_pod_that_its_statefulset_no_longer_wants_goes():
    before = fleet(a_sight(*emulators(3), wanted=3)).values()

    assert ["loco/loco-emulator-0"] == list(fleet(a_sight(*emulators(1), wanted=1), before=before))
    assert {} == fleet(a_sight(wanted=0), before=before)
    assert {} == fleet(a_sight(), before=before)


def test_without_a_word_on_statefulsets_their_pods_stay():
    before = fleet(a_sight(*emulators(2), wanted=2)).values()
    after = fleet(a_sight(*emulators(1), statefulsets=None), before=before)

    assert ("instance-1", "Missing") == ids(after)["loco/loco-emulator-1"]


def test_a_pod_that_nobody_wants_goes_while_others_stay():
    pods = [pod_json(f"emulator-{n}", metadata=BARE) for n in range(3)]
    before = fleet(a_sight(*pods)).values()

    assert ["loco/emulator-0", "loco/emulator-1"] == list(fleet(a_sight(*pods[:2]), before=before))


def test_pods_that_go_all_at_once_are_held_for_a_while():
    pods = [pod_json(f"emulator-{n}", metadata=BARE) for n in range(3)]
    before = fleet(a_sight(*pods)).values()
    gone = fleet(a_sight(), before=before, at_ms=BEGAN_MS)
    held = fleet(a_sight(), before=gone.values(), at_ms=BEGAN_MS + HOLD_MS)

    assert {("instance-0", "Missing"), ("instance-1", "Missing"), ("instance-2", "Missing")} == set(ids(held).values())
    assert {} == fleet(a_sight(), before=held.values(), at_ms=BEGAN_MS + HOLD_MS + 1)
    still = fleet(a_sight(problem="the API server is silent"), before=held.values(), at_ms=BEGAN_MS + HOLD_MS + 1)
    assert held.keys() == still.keys()


def test_a_namespace_that_was_not_listed_keeps_its_instances_untouched():
    both = fleet(
        a_sight(*emulators(2), wanted=2),
        a_sight(pod_json("x-7", namespace="other", metadata=BARE), namespace="other"),
    )
    after = fleet(unseen(), a_sight(namespace="other"), before=both.values(), at_ms=BEGAN_MS + MINUTE_MS)

    for key in ("loco/loco-emulator-0", "loco/loco-emulator-1"):
        assert replace(both[key], pod=replace(both[key].pod, is_stale=True)) == after[key]
    assert not after["other/x-7"].pod.is_stale
    assert ("instance-7", "Missing") == ids(after)["other/x-7"]


def test_a_namespace_that_is_no_longer_watched_goes():
    before = fleet(a_sight(*emulators(1), wanted=1)).values()

    assert {} == fleet(a_sight(namespace="other"), before=before)


def test_the_phase_of_a_pod_that_was_there_before_us_began_when_kubernetes_says():
    assert STARTED_MS == fleet(a_sight(*emulators(1), wanted=1))["loco/loco-emulator-0"].pod.since_ms


def test_a_clock_of_the_cluster_that_is_ahead_makes_no_phase_begin_later_than_now():
    early = fleet(a_sight(*emulators(1), wanted=1), at_ms=STARTED_MS - 1)

    assert STARTED_MS - 1 == early["loco/loco-emulator-0"].pod.since_ms


def test_a_restart_of_a_container_moves_no_phase():
    before = fleet(a_sight(*emulators(1), wanted=1), at_ms=BEGAN_MS)
    looping = {"name": "emulator", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    pods = emulators(1, status={"containerStatuses": [looping]})
    after = fleet(a_sight(*pods, wanted=1), before=before.values(), at_ms=BEGAN_MS + MINUTE_MS)

    assert ("CrashLoopBackOff", STARTED_MS) == (
        after["loco/loco-emulator-0"].pod.reason,
        after["loco/loco-emulator-0"].pod.since_ms,
    )


def test_a_phase_that_we_saw_begin_began_by_our_own_clock():
    pending = emulators(1, status={"phase": "Pending"})
    before = fleet(a_sight(*pending, wanted=1), at_ms=BEGAN_MS)
    after = fleet(a_sight(*emulators(1), wanted=1), before=before.values(), at_ms=BEGAN_MS + 7000)

    assert BEGAN_MS + 7000 == after["loco/loco-emulator-0"].pod.since_ms


def test_trouble_of_nodes_is_joined_and_null_where_it_is_not_known():
    sight = a_sight(*emulators(1), wanted=1)
    told = [
        fleet(sight, nodes=nodes)["loco/loco-emulator-0"].pod.node_problem
        for nodes in ({"node-1": "NotReady"}, {"node-1": ""}, {}, None)
    ]

    assert ["NotReady", "", None, None] == told


def test_a_node_that_is_not_listed_yet_is_not_gone():
    sight, before, told = a_sight(*emulators(1), wanted=1), {}, []
    for nodes in ({"node-2": ""}, {"node-1": "", "node-2": ""}, {"node-2": ""}, {"node-2": ""}):
        before = fleet(sight, nodes=nodes, before=before.values())
        told.append(before["loco/loco-emulator-0"].pod.node_problem)

    assert [None, "", "the node is gone", "the node is gone"] == told


def test_a_node_is_not_gone_because_the_pod_has_left_another_one():
    before = fleet(a_sight(*emulators(1), wanted=1), nodes={"node-1": ""})
    moved = a_sight(*emulators(1, spec={"nodeName": "node-2"}), wanted=1)

    assert None is fleet(moved, nodes={"node-1": ""}, before=before.values())["loco/loco-emulator-0"].pod.node_problem


def test_after_a_clock_was_set_back_no_phase_begins_in_the_future():
    early_ms = STARTED_MS - 60 * MINUTE_MS
    there = fleet(a_sight(*emulators(1), wanted=2))
    after = fleet(a_sight(*emulators(1), wanted=2), before=there.values(), at_ms=early_ms)

    assert {early_ms} == {one.pod.since_ms for one in after.values()}


def test_instances_of_a_file_are_no_part_of_a_cluster():
    file_entry = replace(fleet(a_sight(*emulators(1)))["loco/loco-emulator-0"], source="static")

    assert {} == fleet(a_sight(), before=[file_entry])


def test_what_a_silent_cluster_last_said_is_stale_until_it_speaks_again():
    before = fleet(a_sight(*emulators(1), wanted=2))
    silent = fleet(a_sight(*emulators(1), wanted=2, problem="the API server is silent"), before=before.values())
    after = fleet(a_sight(*emulators(1), wanted=2), before=silent.values())

    assert [[False, False], [True, True], [False, False]] == [
        [one.pod.is_stale for one in inventory.values()] for inventory in (before, silent, after)
    ]
