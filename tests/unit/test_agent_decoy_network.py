from itertools import islice

from agent.decoy.network import RANGE, addresses, free_slots


def test_the_first_slot_is_free_on_a_quiet_machine():
    assert [0, 1, 2] == list(islice(free_slots({"lo", "eth0"}, {"default", "192.0.2.0/24"}), 3))


def test_a_link_or_a_route_takes_its_slot():
    assert [1, 3] == list(islice(free_slots({"loco0"}, {"198.18.0.4/31"}), 2))


def test_a_tunnel_in_half_of_the_range_takes_that_half():
    (slot,) = islice(free_slots(set(), {"198.18.0.0/16"}), 1)

    assert "198.19.0.0/31" == addresses(slot)[0]


def test_a_route_broader_than_the_range_takes_nothing():
    assert [0] == list(islice(free_slots(set(), {"default", "128.0.0.0/1", "198.16.0.0/14"}), 1))


def test_no_slot_is_free_where_the_whole_range_is_routed():
    assert [] == list(free_slots(set(), {str(RANGE)}))


def test_the_two_addresses_of_a_slot_are_a_point_to_point_network():
    assert ("198.18.0.14/31", "198.18.0.15/31") == addresses(7)
