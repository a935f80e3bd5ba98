"""The fence and the compare-and-swap, on real files."""

from contextlib import closing

import pytest

from jobs.errors import Superseded
from jobs.store.asked import answer, answer_of, ask_tick, last_asked
from jobs.store.connection import open_store, transaction
from jobs.store.lease import advance, announce, read_lease, renew, take, vacate
from jobs.store.writer import start_run, tick_run

NAME = "collect"


@pytest.fixture
def connection(tmp_path):
    with closing(open_store(tmp_path / "loco.db")) as connection:
        yield connection


def held_by(connection, holder):
    """Return the lease after `holder` took it."""
    with transaction(connection):
        return take(connection, read_lease(connection, NAME), holder)


def test_a_lease_that_nobody_held_can_be_taken_by_one_only(connection):
    seen = read_lease(connection, NAME)
    first = held_by(connection, "a")
    with transaction(connection):
        second = take(connection, seen, "b")

    assert ("a", 1) == (first.holder, first.token)
    assert None is second


@pytest.mark.parametrize("change", ["tick", "successor", "token"])
def test_a_lease_that_moved_since_it_was_seen_is_not_taken(connection, change):
    held = held_by(connection, "a")
    with transaction(connection):
        if change == "tick":
            advance(connection, held, slot_ms=1, boot_id="boot")
        elif change == "successor":
            announce(connection, NAME, "c")
        else:
            take(connection, held, "c")
        taken = take(connection, held, "b")

    assert None is taken


def test_taking_a_lease_keeps_a_successor_that_is_somebody_else(connection):
    with transaction(connection):
        own = take(connection, announce(connection, NAME, "a"), "a")
        other = take(connection, announce(connection, NAME, "c"), "b")

    assert (None, "c") == (own.successor, other.successor)


@pytest.mark.parametrize("fence", [renew, lambda *held: advance(*held, slot_ms=7, boot_id="boot")])
def test_behind_a_lost_lease_nothing_is_written(connection, fence):
    lost = held_by(connection, "a")
    held_by(connection, "b")
    before = read_lease(connection, NAME)

    def write():
        with transaction(connection):
            connection.execute("INSERT INTO totals VALUES ('written', 1)")
            fence(connection, lost)

    with pytest.raises(Superseded) as superseded:
        write()

    assert before == read_lease(connection, NAME)
    assert [] == connection.execute("SELECT * FROM totals WHERE name = 'written'").fetchall()
    assert 0 == superseded.value.exit_code


def test_ticks_are_numbered_over_all_holders(connection):
    with transaction(connection):
        first = advance(connection, take(connection, read_lease(connection, NAME), "a"), slot_ms=100, boot_id="x")
        second = advance(connection, take(connection, first, "b"), slot_ms=200, boot_id="y")

    assert [(1, 100, "x"), (2, 200, "y")] == [(held.tick, held.slot_ms, held.boot_id) for held in (first, second)]


def test_a_tick_beside_the_grid_leaves_slot_and_boot_as_they_were(connection):
    held = held_by(connection, "a")
    with transaction(connection):
        on_grid = advance(connection, held, slot_ms=100, boot_id="x")
        beside = advance(connection, on_grid, slot_ms=None, boot_id="y")

    assert (2, 100, "x") == (beside.tick, beside.slot_ms, beside.boot_id)


def test_only_the_holder_makes_its_lease_vacant(connection):
    lost = held_by(connection, "a")
    held = held_by(connection, "b")
    with transaction(connection):
        vacate(connection, lost)
        kept = read_lease(connection, NAME).holder
        vacate(connection, held)

    assert ("b", None) == (kept, read_lease(connection, NAME).holder)


def test_a_tick_answers_only_what_was_asked_before_its_round(connection):
    with transaction(connection):
        start_run(connection, "r", command=NAME, holder="a", at_ms=1)
        early = ask_tick(connection, NAME, "me", 1)
        up_to = last_asked(connection, NAME)
        late = ask_tick(connection, NAME, "me", 2)
        ask_tick(connection, "discover", "me", 2)
        tick_run(connection, "r", at_ms=3, instances=2, duration_seconds=0.5, problem=None)
        answer(connection, NAME, up_to, 41)

    assert "tick 41 of 2 instances in 0.50 s by a; problem: none" == answer_of(connection, early)
    assert None is answer_of(connection, late)
    assert late == last_asked(connection, NAME)
