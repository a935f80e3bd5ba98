"""When a fleet is ill as a whole: one incident with members, and nothing done to them."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pods import BEGAN_MS, a_pod, a_pods_instance

from jobs.health.bounds import RecoveryBounds
from jobs.health.brake import Fleet, Illness, advance_brakes, after, brake_on
from jobs.health.causes import FLEET, is_common, name_of
from jobs.health.incident import Incident
from jobs.health.model import FailureClass, InstanceKey, Verdict
from jobs.health.recovery import Hold

BOUNDS = RecoveryBounds()
NOW_MS = BEGAN_MS
NODE_A = InstanceKey("common/node/a")


def key(number):
    return InstanceKey(f"loco/emulator-{number}")


def an_illness(*, since_seconds=15, has_incident=True, is_bad=True, codes=("TapDown",), **fields):
    defaults = {"verdict": Verdict.UNHEALTHY, "failure_class": FailureClass.NETWORK, "latest": codes}
    return Illness(
        since_ms=NOW_MS - since_seconds * 1000,
        since_tick=100 - since_seconds // 15,
        codes=codes,
        has_incident=has_incident,
        is_bad=is_bad,
        **{**defaults, **fields},
    )


def a_fleet(nodes, ill, *, tick=100, images=()):
    """Return a fleet. nodes: one letter an instance; ill: by number; images: by number, of an hour-old pod."""
    young = dict(images)
    return Fleet(
        instances={
            key(number): a_pods_instance(
                a_pod(
                    name=f"emulator-{number}",
                    node=node,
                    images=(young.get(number, "emulator:1"),),
                    since_ms=NOW_MS - (600_000 if number in young else 86_400_000),
                )
            )
            for number, node in enumerate(nodes)
        },
        ill={key(number): one for number, one in ill.items()},
        tick=tick,
        at_ms=NOW_MS + (tick - 100) * 15_000,
    )


def watch(*fleets, bounds=BOUNDS):
    """Return the brakes that are on after these ticks."""
    brakes = {}
    for fleet in fleets:
        brakes = after(brakes, advance_brakes(brakes, fleet, bounds))
    return brakes


def holds(brakes, count):
    """Return the hold of each instance, by number."""
    found = {number: brake_on(key(number), brakes) for number in range(count)}
    return {number: held.hold for number, held in found.items() if held}


def test_forty_percent_ill_on_one_node_is_one_incident_and_the_rest_goes_on():
    """Done-when 4 of recovery: 4 of 10 on node a, and one elsewhere."""
    fleet = a_fleet("aaaabbbccc", {number: an_illness() for number in (0, 1, 2, 3, 7)})
    brakes = watch(fleet)

    assert [NODE_A] == list(brakes)
    assert tuple(key(number) for number in range(4)) == brakes[NODE_A].members
    assert dict.fromkeys(range(4), Hold.COMMON_CAUSE) == holds(brakes, 10)
    assert "4 instances on node a are ill" == brake_on(key(0), brakes).detail


def test_forty_percent_ill_without_a_common_cause_stops_all_acts():
    fleet = a_fleet("aabbccddee", {number: an_illness() for number in (0, 2, 4, 6)})
    brakes = watch(fleet)

    assert [FLEET] == list(brakes)
    assert dict.fromkeys(range(10), Hold.FLEET_BRAKE) == holds(brakes, 10)
    expected = "4 instances were ill at once without a common cause, too many to act one by one"
    assert expected == brake_on(key(9), brakes).detail


@pytest.mark.parametrize(("size", "ill", "is_on"), [(5, 2, False), (5, 3, True), (20, 3, False), (20, 4, True)])
def test_the_fleet_brake_needs_three_and_a_fifth(size, ill, is_on):
    nodes = [f"n{number}" for number in range(size)]

    assert is_on == bool(watch(a_fleet(nodes, {number: an_illness() for number in range(ill)})))


def test_one_bad_tick_of_a_part_of_the_fleet_is_no_incident():
    blip = {number: an_illness(since_seconds=0, has_incident=False) for number in range(4)}

    assert {} == watch(a_fleet("aaaa", blip)) == watch(a_fleet("abcd", blip))


def test_who_has_no_incident_yet_is_counted_because_acts_must_not_race_the_count():
    ill = {0: an_illness(), 1: an_illness(since_seconds=0, has_incident=False), 2: an_illness(has_incident=False)}

    assert [NODE_A] == list(watch(a_fleet("aaa", ill)))
    assert [FLEET] == list(watch(a_fleet("abc", ill)))


def test_illnesses_that_begin_more_than_a_minute_apart_have_nothing_in_common():
    apart = {number: an_illness(since_seconds=number * 45) for number in range(3)}

    assert {} == watch(a_fleet("aaa" + "b" * 20, apart))
    assert [NODE_A] == list(watch(a_fleet("aaa" + "b" * 20, {**apart, 2: an_illness(since_seconds=60)})))


def test_two_are_none_too_many():
    assert {} == watch(a_fleet("aabb", {0: an_illness(), 1: an_illness()}))


def test_who_is_well_again_at_this_tick_opens_nothing():
    ill = {0: an_illness(), 1: an_illness(), 2: an_illness(is_bad=False)}

    assert {} == watch(a_fleet("aaa", ill)) == watch(a_fleet("abc", ill))


def test_a_new_image_is_a_cause_and_an_old_one_is_none():
    young = dict.fromkeys(range(3), "emulator:2")
    ill = {number: an_illness() for number in range(3)}
    nodes = "abcdefghijklmnop"

    assert [InstanceKey("common/image/emulator:2")] == list(watch(a_fleet(nodes, ill, images=young)))
    assert {} == watch(a_fleet(nodes, ill))
    mixed = a_fleet(nodes, ill, images=young)
    older = replace(mixed.instances[key(5)], pod=a_pod(images=("emulator:2",), since_ms=None))
    assert {} == watch(replace(mixed, instances={**mixed.instances, key(5): older}))


def test_in_a_fleet_that_was_only_just_started_no_image_has_changed():
    nodes = "abcdefghijklmnop"
    ill = {number: an_illness() for number in range(4)}
    everywhere = dict.fromkeys(range(len(nodes)), "emulator:2")

    assert [FLEET] == list(watch(a_fleet(nodes, ill, images=everywhere)))


def test_an_image_that_grows_old_stays_what_its_members_have_in_common():
    young = dict.fromkeys(range(3), "emulator:2")
    ill = {number: an_illness() for number in range(3)}
    nodes = "abcdefghijklmnop"
    later = a_fleet(nodes, ill, tick=101)

    assert 3 == len(holds(watch(a_fleet(nodes, ill, images=young), later), 16))


def test_a_sick_node_is_blamed_before_the_new_image_on_it():
    young = dict.fromkeys(range(4), "emulator:2")
    ill = {number: an_illness() for number in range(4)}

    assert [NODE_A] == list(watch(a_fleet("aaab", ill, images=young)))


def test_who_has_a_cause_already_makes_no_second_one():
    young = dict.fromkeys(range(5), "emulator:2")
    ill = {number: an_illness() for number in range(5)}

    assert [NODE_A] == list(watch(a_fleet("aaabbb", ill, images=young), bounds=replace(BOUNDS, brake_instances=1000)))


def test_the_fleet_brake_counts_those_without_a_common_cause_alone():
    """20 members on node a; of the 20 others, each on its own node, a fifth is four."""
    nodes = ["a"] * 20 + [f"n{number}" for number in range(20)]

    def brakes(others):
        return list(watch(a_fleet(nodes, {number: an_illness() for number in range(20 + others)})))

    assert [NODE_A] == brakes(3)
    assert [NODE_A, FLEET] == brakes(4)


def test_instances_of_a_file_have_no_common_cause():
    fleet = a_fleet("aaa", {number: an_illness() for number in range(3)})
    nowhere = {name: replace(one, pod=None) for name, one in fleet.instances.items()}
    unplaced = {name: replace(one, pod=a_pod(node=None)) for name, one in fleet.instances.items()}

    assert [FLEET] == list(watch(replace(fleet, instances=nowhere))) == list(watch(replace(fleet, instances=unplaced)))


def test_who_falls_ill_later_on_the_node_belongs_to_it():
    first = a_fleet("aaaab", {number: an_illness() for number in range(3)})
    later = a_fleet("aaaab", {number: an_illness() for number in range(4)}, tick=120)

    assert 4 == len(watch(first, later)[NODE_A].members)


def test_a_common_cause_closes_once_too_few_are_ill_and_frees_them():
    first = a_fleet("aaab", {number: an_illness() for number in range(3)})
    second = a_fleet("aaab", {number: an_illness() for number in range(2)}, tick=101)
    brakes = watch(first)
    changes = advance_brakes(brakes, second, BOUNDS)

    assert [("closed", second.at_ms)] == [(one.kind, one.incident.closed_at_ms) for one in changes]
    assert {} == after(brakes, changes)


def test_a_member_in_its_hold_down_is_still_ill():
    first = a_fleet("aaab", {number: an_illness() for number in range(3)})
    second = a_fleet("aaab", {number: an_illness(is_bad=False) for number in range(3)}, tick=101)

    assert [NODE_A] == list(watch(first, second))


def test_the_fleet_brake_stays_on_for_a_quiet_time():
    loud = a_fleet("abcde", {number: an_illness() for number in range(3)})
    quiet = [a_fleet("abcde", {}, tick=100 + ticks) for ticks in range(1, 21)]

    assert [FLEET] == list(watch(loud, *quiet[:19]))
    assert {} == watch(loud, *quiet)


def test_the_quiet_time_counts_from_the_last_loud_tick():
    loud = [a_fleet("abcde", {number: an_illness() for number in range(3)}, tick=tick) for tick in (100, 110)]

    assert [FLEET] == list(watch(*loud, a_fleet("abcde", {}, tick=129)))
    assert {} == watch(*loud, a_fleet("abcde", {}, tick=130))


def test_the_brake_opens_when_too_many_are_ill_and_tells_nothing_that_is_over():
    had = ("AudioMuted", "Booting", "TapDown")
    now = ("Booting", "TapDown")
    ill = {number: an_illness(since_seconds=120, codes=had, latest=now) for number in range(3)}
    brake = watch(a_fleet("abcde", ill))[FLEET]

    assert (NOW_MS, 100) == (brake.opened_at_ms, brake.opened_tick)
    assert ("FleetBrake", "TapDown") == brake.codes


def test_a_common_cause_opens_with_the_first_that_fell_ill_together():
    ill = {0: an_illness(since_seconds=600), **{number: an_illness(since_seconds=30) for number in range(1, 4)}}
    incident = watch(a_fleet("aaaa", ill))[NODE_A]

    assert (NOW_MS - 30_000, 98) == (incident.opened_at_ms, incident.opened_tick)
    assert 4 == len(incident.members)


def test_an_incident_of_several_tells_what_they_are_ill_of():
    ill = {
        0: an_illness(since_seconds=45),
        1: an_illness(codes=("ScreenBlank",), failure_class=FailureClass.QEMU),
        2: an_illness(verdict=Verdict.UNREACHABLE, codes=("AgentTimeout",)),
    }
    incident = watch(a_fleet("aaa", ill))[NODE_A]

    assert (NOW_MS - 45_000, 97) == (incident.opened_at_ms, incident.opened_tick)
    assert (Verdict.UNREACHABLE, FailureClass.MIXED) == (incident.verdict, incident.failure_class)
    assert ("AgentTimeout", "CommonCause", "ScreenBlank", "TapDown") == incident.codes
    assert ["node a", 3, 60.0] == [one.value for one in incident.reasons[0].evidence]
    assert incident == msgspec.json.decode(msgspec.json.encode(incident), type=Incident)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ([FailureClass.NONE] * 3, FailureClass.NONE),
        ([FailureClass.NONE, FailureClass.QEMU, FailureClass.QEMU], FailureClass.QEMU),
    ],
)
def test_its_class_is_that_of_its_members(classes, expected):
    ill = {number: an_illness(failure_class=one) for number, one in enumerate(classes)}

    assert expected == watch(a_fleet("aaa", ill))[NODE_A].failure_class


def test_a_tick_at_which_nothing_moves_changes_nothing():
    fleet = a_fleet("aaab", {number: an_illness() for number in range(3)})

    assert () == advance_brakes(watch(fleet), replace(fleet, tick=101), BOUNDS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("common/fleet", False), ("loco/a", False), ("static/a", False), (NODE_A, True), (FLEET, True)],
)
def test_no_instance_has_the_key_of_several(name, expected):
    assert expected == is_common(InstanceKey(name))


def test_causes_have_names():
    assert "image registry/emulator:2" == name_of(InstanceKey("common/image/registry/emulator:2"))


ILL = st.dictionaries(
    st.integers(0, 9),
    st.builds(
        an_illness,
        since_seconds=st.sampled_from([0, 15, 45, 300]),
        has_incident=st.booleans(),
        is_bad=st.booleans(),
    ),
)


@given(ticks=st.lists(ILL, min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
def test_whatever_falls_ill_a_brake_has_enough_members_and_nobody_is_in_two(ticks):
    brakes = {}
    for number, ill in enumerate(ticks):
        fleet = a_fleet("aaaabbbccc", ill, tick=100 + number)
        brakes = after(brakes, advance_brakes(brakes, fleet, BOUNDS))
        causes = [one for name, one in brakes.items() if name != FLEET]
        members = [member for one in causes for member in one.members]
        assert len(set(members)) == len(members)
        assert all(len(one.members) >= 3 and set(one.members) <= fleet.ill.keys() for one in causes)
        others = {name for name, one in fleet.ill.items() if one.is_bad} - set(members)
        if any(fleet.ill[name].has_incident for name in others) and len(others) >= 3:
            assert FLEET in brakes
