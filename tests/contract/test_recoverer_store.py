"""Attempts whose store fails them: nothing is begun that isn't written down, and nothing that was done is forgotten."""

import sqlite3
from contextlib import closing

import pytest
from attempts import assert_no_act, ended

from jobs.errors import StoreLocked
from jobs.health.recovery import AttemptOutcome, AttemptState
from jobs.recovery.recoverer import LEAVE_SECONDS, WRITE_SECONDS

# The first keeps a transaction from beginning, the second from being committed.
HOLDS = {"a writer": ("BEGIN IMMEDIATE",), "a reader": ("BEGIN", "SELECT * FROM ledger")}


@pytest.fixture
def recovery(recovery):
    """Return the attempt, which waits for nobody who keeps its store."""
    recovery.connection.execute("PRAGMA busy_timeout = 0")
    return recovery


@pytest.fixture(params=HOLDS.values(), ids=HOLDS)
def other(request, recovery):
    """Yield another's connection to the store, whose method `hold` keeps it from being written."""
    with closing(Other(recovery.path, request.param)) as made:
        yield made


class Other:
    """Another process at the store."""

    def __init__(self, path, hold):
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._hold = hold

    def hold(self):
        """Keep the store from being written."""
        for statement in self._hold:
            self._connection.execute(statement).fetchall()

    def release(self):
        """Let it be written again."""
        self._connection.execute("ROLLBACK")

    def close(self):
        """Close the connection."""
        self._connection.close()


def test_evidence_that_the_store_knows_nothing_of_stops_nothing_and_is_said(recovery, world, other):
    world.on = {"evidence": other.hold, "challenge": other.release}
    recovery.run()

    outcome, detail = ended(recovery)
    assert (AttemptOutcome.HEALED, False) == (outcome, recovery.row.has_evidence)
    assert "the guest was reset; no evidence was kept: store " in detail
    assert "another connection held it" in detail
    assert "after" not in world.said


def test_an_act_that_cannot_be_noted_is_not_begun(recovery, world, other):
    world.on = {"challenge": other.hold, "rest": other.release}
    result = recovery.run()

    _, detail = ended(recovery)
    assert detail.startswith("nothing is done that can't be checked first: store ")
    assert_no_act(recovery, AttemptOutcome.STOOD_DOWN, detail)
    assert 75 == result.exit_code


def test_an_outcome_that_the_store_does_not_take_is_written_again(recovery, world, other):
    world.on = {"after": other.hold, "rest": lambda: world.said.count("rest") == 3 and other.release()}
    result = recovery.run()

    detail = "well 8 s after the act; the act took effect: the guest was reset"
    assert (AttemptOutcome.HEALED, detail) == ended(recovery) == (result.outcome, result.detail)
    assert (0, 3) == (result.exit_code, world.said.count("rest"))


def test_an_outcome_that_cannot_be_written_in_the_jobs_time_is_said_all_the_same(recovery, world, other):
    world.on = {"after": other.hold}
    began = world.seconds
    result = recovery.run()

    assert (AttemptOutcome.HEALED, 75) == (result.outcome, result.exit_code)
    assert result.detail.startswith("well 8 s after the act; the act took effect: the guest was reset; ")
    assert "; the ledger doesn't have it: store " in result.detail
    assert 240 + WRITE_SECONDS <= world.seconds - began < 243 + WRITE_SECONDS
    assert AttemptState.RUNNING is recovery.row.state


def test_a_process_that_is_asked_to_end_tries_for_as_long_as_it_may_stay(recovery, world, other):
    left = {}

    def leave():
        world.is_leaving = True
        left.setdefault("at", world.seconds)
        other.hold()

    world.on = {"sleep": lambda: world.is_leaving or leave()}
    result = recovery.run()

    assert AttemptOutcome.UNKNOWN is result.outcome
    assert LEAVE_SECONDS <= world.seconds - left["at"] < LEAVE_SECONDS + 3


def test_a_store_that_cannot_be_read_after_the_act_does_not_end_the_looks(recovery, world):
    def fail():
        if world.has_acted:
            raise StoreLocked("another connection held it")

    world.on["pod"] = fail

    assert AttemptOutcome.HEALED is recovery.run().outcome
