"""The ledger on real files: budget, fences, witnessed time, and what a lost or restored store may do."""

import sqlite3
import threading
from contextlib import closing

import pytest
from ledgers import INCIDENT, WALL_MS, an_adopted_store, an_order, at, put_incident

from jobs.health.model import InstanceKey
from jobs.health.recovery import Attempt, AttemptOutcome, AttemptState, Held, Hold, Limits, Origin
from jobs.store import ledger, reader
from jobs.store.backup import back_up
from jobs.store.connection import backup_path, open_store, transaction
from jobs.store.ledger import EARLIER_STORE_MS, LATE_ACT_MS, Ending
from jobs.store.retention import YEAR_MS, apply_retention

LIMITS = Limits()
HOUR = 3600


@pytest.fixture
def path(tmp_path):
    return tmp_path / "loco.db"


@pytest.fixture
def connection(path):
    with closing(an_adopted_store(path)) as connection:
        yield connection


def _book(connection, seconds, order=None, limits=LIMITS, **moment):
    with transaction(connection):
        return ledger.book(connection, order or an_order(), limits, now=at(seconds, **moment))


def _claim(connection, attempt, seconds, runner="pod-1", **options):
    with transaction(connection):
        return ledger.claim(connection, attempt.id, runner, now=at(seconds), **options)


def _begin(connection, attempt, seconds, runner="pod-1", **moment):
    with transaction(connection):
        return ledger.begin_act(connection, attempt.id, runner, now=at(seconds, **moment))


def _end(connection, attempt, seconds, outcome=AttemptOutcome.NO_EFFECT, *, runner=None, **moment):
    with transaction(connection):
        return ledger.end(
            connection, attempt.id, Ending(outcome, "as the test says"), now=at(seconds, **moment), runner=runner
        )


def _act(connection, begins, ends, **fields):
    """Book, claim, act and end one attempt; return it."""
    attempt = _book(connection, begins, an_order(**fields))
    assert isinstance(attempt, Attempt), attempt
    assert _claim(connection, attempt, begins)
    assert _begin(connection, attempt, begins)
    assert _end(connection, attempt, ends, runner="pod-1")
    return ledger.find(connection, attempt.id)


def test_an_attempt_is_booked_claimed_begun_and_ended_once(connection):
    attempt = _book(connection, 10)
    assert AttemptState.PLANNED is attempt.state
    assert 1 == attempt.number

    assert AttemptState.RUNNING is _claim(connection, attempt, 12).state
    assert _begin(connection, attempt, 13)
    assert not _begin(connection, attempt, 14)
    assert _end(connection, attempt, 90, AttemptOutcome.HEALED, runner="pod-1")
    assert not _end(connection, attempt, 91, runner="pod-1")

    ended = ledger.find(connection, attempt.id)
    assert (AttemptState.ENDED, AttemptOutcome.HEALED) == (ended.state, ended.outcome)
    assert (10_000, 13_000, 90_000, 90_000) == (ended.booked_ms, ended.acted_ms, ended.ended_ms, ended.spent_ms)


def test_a_fourth_act_waits_for_the_first_to_be_an_hour_old(connection):
    for begins in (0, 100, 200):
        _act(connection, begins, begins + 60)

    held = _book(connection, 60 + HOUR - 1)

    assert Held(Hold.BUDGET_SPENT, "3 attempts in 60 minutes, at most 3 are allowed", 1.0) == held
    assert isinstance(_book(connection, 60 + HOUR), Attempt)


def test_a_policy_can_lower_the_budget_and_not_raise_it(connection):
    for begins in (0, 100, 200):
        _act(connection, begins, begins + 60)

    assert Hold.BUDGET_SPENT is _book(connection, 300, limits=Limits(attempts=9)).hold
    assert Hold.BUDGET_SPENT is _book(connection, HOUR + 100, limits=Limits(attempts=1)).hold
    assert Held(Hold.BUDGET_SPENT, "0 attempts in 60 minutes, at most 0 are allowed", HOUR) == _book(
        connection, 9 * HOUR, limits=Limits(attempts=0)
    )


def test_force_skips_the_cool_down_and_not_the_budget(connection):
    for begins in (0, 50, 100):
        _act(connection, begins, begins + 45, is_forced=True)
        assert isinstance(_book(connection, begins + 46), Held)

    assert Hold.BUDGET_SPENT is _book(connection, 200, an_order(is_forced=True)).hold


def test_force_books_as_soon_as_the_last_attempt_cannot_act_any_more(connection):
    _act(connection, 0, 1)

    held = _book(connection, 10, an_order(is_forced=True))

    assert Held(Hold.COOL_DOWN, "attempt 1 may still act for 30 s", 30.0) == held
    assert isinstance(_book(connection, LATE_ACT_MS / 1000, an_order(is_forced=True)), Attempt)


def test_an_act_counts_as_if_it_came_as_late_as_its_challenge_allows(connection):
    for begins in (0, 100, 200):
        _act(connection, begins, begins + 1)

    assert Hold.BUDGET_SPENT is _book(connection, HOUR + LATE_ACT_MS / 1000 - 1).hold
    assert isinstance(_book(connection, HOUR + LATE_ACT_MS / 1000), Attempt)


def test_attempts_that_ended_before_their_act_cost_no_budget_but_have_a_bound_of_their_own(connection):
    for number in range(6):
        attempt = _book(connection, number * 100)
        assert _end(connection, attempt, number * 100 + 1, AttemptOutcome.SUPERSEDED)

    assert Held(Hold.BUDGET_SPENT, "6 idle attempts in 60 minutes, at most 6 are allowed", 3001.0) == _book(
        connection, 600
    )
    assert isinstance(_book(connection, HOUR + 1), Attempt)


def test_an_unknown_outcome_counts_as_an_act_though_it_is_proven_to_be_none(connection):
    for number in range(3):
        attempt = _book(connection, number * 100)
        assert _end(connection, attempt, number * 100 + 1, AttemptOutcome.UNKNOWN)

    assert all(one.has_never_acted for one in ledger.every(connection))
    assert Hold.BUDGET_SPENT is _book(connection, 400).hold


def test_two_attempts_of_one_instance_are_never_open_at_once(connection):
    _book(connection, 0)

    assert Held(Hold.ATTEMPT_RUNNING, "attempt 1 is planned") == _book(connection, 1)
    with pytest.raises(sqlite3.IntegrityError):
        ledger._insert(connection, an_order(), 0, WALL_MS)


def test_of_twenty_racing_dispatchers_one_books(path, connection):
    ready = threading.Barrier(20)
    booked = []

    def race():
        with closing(open_store(path)) as own:
            ready.wait()
            booked.append(_book(own, 5))

    racers = [threading.Thread(target=race) for _ in range(20)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()

    assert [1] == [one.id for one in booked if isinstance(one, Attempt)]
    assert 19 * [Hold.ATTEMPT_RUNNING] == [one.hold for one in booked if isinstance(one, Held)]


def test_a_job_whose_pod_starts_twice_has_one_that_gets_nothing(connection):
    attempt = _book(connection, 0)

    assert _claim(connection, attempt, 1, "pod-1")
    assert _claim(connection, attempt, 1, "pod-2") is None
    assert not _begin(connection, attempt, 2, "pod-2")
    assert not _end(connection, attempt, 2, runner="pod-2")
    assert _begin(connection, attempt, 2, "pod-1")


def test_a_job_of_another_store_gets_nothing_though_its_attempt_has_the_same_number(connection):
    attempt = _book(connection, 0)

    assert _claim(connection, attempt, 1, store="0ther5") is None
    assert _claim(connection, attempt, 1, store=ledger.store_name(connection))


def test_who_claims_an_attempt_names_its_job_where_nobody_has(connection):
    attempt = _book(connection, 1)
    assert "recover-a" == _claim(connection, attempt, 1, job="recover-a").job

    _end(connection, attempt, 2, runner="pod-1")
    named = _book(connection, 60)
    ledger.name_job(connection, named.id, "recover-b")
    assert "recover-b" == _claim(connection, named, 60, job="recover-c").job


def test_who_has_no_job_names_none(connection):
    assert _claim(connection, _book(connection, 1), 1).job is None


def test_nothing_is_booked_claimed_or_begun_for_an_incident_that_is_over(connection):
    first = _book(connection, 0)
    with transaction(connection):
        put_incident(connection, "incident-1", key=InstanceKey("loco-instances/other"))
    second = _book(connection, 0, an_order(incident="incident-1", key=InstanceKey("loco-instances/other")))
    assert _claim(connection, second, 1)
    with transaction(connection):
        put_incident(connection, closed_at_ms=WALL_MS)
        put_incident(connection, "incident-1", key=InstanceKey("loco-instances/other"), closed_at_ms=WALL_MS)

    assert _claim(connection, first, 2) is None
    assert not _begin(connection, second, 2)
    assert Held(Hold.NOT_ACTIONABLE, "incident incident-0 is over") == _book(connection, 100)


def test_an_attempt_whose_incident_ends_before_its_job_is_at_work_costs_no_budget(connection):
    attempt = _book(connection, 0)
    with transaction(connection):
        put_incident(connection, closed_at_ms=WALL_MS)
    _claim(connection, attempt, 3)
    ended = ledger.find(connection, attempt.id)

    assert (AttemptOutcome.SUPERSEDED, "incident incident-0 is over") == (ended.outcome, ended.detail)
    assert isinstance(_book(connection, 30, an_order(incident=None), Limits(attempts=1)), Attempt)


def test_an_attempt_that_the_dispatcher_ended_is_neither_claimed_nor_begun(connection):
    planned, running = _book(connection, 0), _book(connection, 0, an_order(key=InstanceKey("a/b"), incident=None))
    _claim(connection, running, 1)
    assert _end(connection, planned, 2, AttemptOutcome.NOT_CREATED)
    assert _end(connection, running, 2, AttemptOutcome.UNKNOWN)

    assert _claim(connection, planned, 3) is None
    assert not _begin(connection, running, 3)


def test_the_dispatcher_ends_no_attempt_that_may_still_act(connection):
    attempt = _book(connection, 0)
    _claim(connection, attempt, 1)
    _begin(connection, attempt, 2)

    assert not _end(connection, attempt, 2 + LATE_ACT_MS / 1000 - 1, AttemptOutcome.UNKNOWN)
    assert _end(connection, attempt, 2 + LATE_ACT_MS / 1000, AttemptOutcome.UNKNOWN)


def test_a_pod_without_a_uid_is_never_acted_on_and_an_instance_of_a_file_has_none(connection):
    pod = _book(connection, 0, an_order(uid=None))
    static = _book(connection, 0, an_order(key=InstanceKey("static/instance-0"), incident=None, uid=None))
    _claim(connection, pod, 1)
    _claim(connection, static, 1)

    assert not _begin(connection, pod, 2)
    assert _begin(connection, static, 2)


def test_a_wall_clock_that_jumps_frees_no_budget(connection):
    for begins in (0, 100, 200):
        _act(connection, begins, begins + 60)

    for jump_ms in (2 * HOUR * 1000, -2 * HOUR * 1000, YEAR_MS):
        assert Hold.BUDGET_SPENT is _book(connection, 400, wall_ms=WALL_MS + jump_ms).hold


def test_across_a_change_of_boot_only_what_was_seen_counts(connection):
    for begins in (0, 100, 200):
        _act(connection, begins, begins + 60)

    assert Hold.BUDGET_SPENT is _book(connection, 90_000, boot="boot-2").hold
    assert Hold.BUDGET_SPENT is _book(connection, 90_000 + HOUR - 201, boot="boot-2").hold
    assert isinstance(_book(connection, 90_000 + HOUR - 200, boot="boot-2"), Attempt)


def test_witnessed_time_never_goes_back_and_counts_nothing_twice(connection):
    readings = [at(50), at(20), at(60), at(10, boot="boot-2"), at(5, boot="boot-2"), at(12, boot="boot-2"), at(60)]
    witnessed = []
    for reading in readings:
        with transaction(connection):
            witnessed.append(ledger.witness(connection, reading))

    assert [50_000, 50_000, 60_000, 60_000, 60_000, 62_000, 62_000] == witnessed


def test_a_new_store_books_nothing_before_it_knows_what_was_done(path):
    with closing(an_adopted_store(path, is_adopted=False)) as connection:
        held = _book(connection, 0, an_order(is_forced=True))

    assert Held(Hold.LEDGER_UNREAD, "it isn't known yet what was done before this store was made") == held


def test_what_an_earlier_store_did_counts_as_late_as_its_jobs_could_act(path):
    orders = [(an_order(incident=None), f"recover-0ther5-instance-0-{number}") for number in (1, 2, 3)]
    with closing(an_adopted_store(path, is_adopted=False)) as connection:
        with transaction(connection):
            ledger.adopt(connection, orders, now=at(0))
            ledger.adopt(connection, orders, now=at(0))

        adopted = ledger.every(connection)
        assert [Origin.ADOPTED] * 3 == [attempt.origin for attempt in adopted]
        assert [(AttemptOutcome.UNKNOWN, EARLIER_STORE_MS)] * 3 == [(one.outcome, one.spent_ms) for one in adopted]
        assert not any(one.has_never_acted for one in adopted)
        assert Hold.BUDGET_SPENT is _book(connection, HOUR + EARLIER_STORE_MS / 1000 - 1).hold
        assert isinstance(_book(connection, HOUR + EARLIER_STORE_MS / 1000), Attempt)


def test_a_single_job_of_an_earlier_store_keeps_its_instance_from_acts_until_it_must_be_over(path):
    with closing(an_adopted_store(path, is_adopted=False)) as connection:
        with transaction(connection):
            ledger.adopt(connection, [(an_order(incident=None), "recover-instance-0")], now=at(0))

        assert Hold.COOL_DOWN is _book(connection, EARLIER_STORE_MS / 1000 - 1, an_order(is_forced=True)).hold


def test_a_restored_backup_is_another_store_that_acts_only_once_it_has_asked(path, connection):
    for begins in (0, 100):
        _act(connection, begins, begins + 60)
    attempt = _book(connection, 200)
    with transaction(connection):
        ledger.name_job(connection, attempt.id, "recover-old-instance-0-3")
    back_up(connection, path)

    with closing(open_store(backup_path(path))) as copy:
        assert ledger.store_name(connection) != ledger.store_name(copy)
        assert [] == ledger.open_attempts(copy)
        assert not any(one.has_never_acted for one in ledger.every(copy))
        assert Hold.LEDGER_UNREAD is _book(copy, 300).hold
        with transaction(copy):
            ledger.adopt(
                copy,
                [(an_order(), "recover-old-instance-0-3"), (an_order(), "recover-old-instance-0-4")],
                now=at(300),
            )
        assert [None, None, "recover-old-instance-0-3", "recover-old-instance-0-4"] == [
            attempt.job for attempt in ledger.every(copy)
        ]
        assert Hold.BUDGET_SPENT is _book(copy, 3000).hold
    assert [attempt.id] == [one.id for one in ledger.open_attempts(connection)]


def test_a_store_knows_the_highest_id_it_gave_though_the_row_has_gone(connection):
    assert 0 == ledger.newest_id(connection)
    _act(connection, 0, 1)
    connection.execute("DELETE FROM attempts")

    assert 1 == ledger.newest_id(connection)


def test_a_year_is_witnessed_and_what_is_open_stays(connection):
    _act(connection, 0, 10)
    _act(connection, 100, 110)
    attempt = _book(connection, 200)
    with transaction(connection):
        ledger.witness(connection, at(YEAR_MS / 1000 + 45))

    counts = apply_retention(connection, at_ms=WALL_MS + 10 * YEAR_MS)

    assert 1 == counts["attempts"]
    assert [2, attempt.id] == [one.id for one in ledger.every(connection)]


def test_every_change_that_a_reader_can_see_moves_the_revision(connection):
    seen = [reader.revision(connection)]

    def see():
        seen.append(reader.revision(connection))

    attempt = _book(connection, 0)
    see()
    with transaction(connection):
        ledger.name_job(connection, attempt.id, "recover-x")
    see()
    _claim(connection, attempt, 1)
    see()
    with transaction(connection):
        ledger.note_evidence(connection, attempt.id)
    see()
    _begin(connection, attempt, 2)
    see()
    _end(connection, attempt, 3, runner="pod-1")
    see()

    assert list(range(seen[0], seen[0] + 7)) == seen
    assert [attempt.id] == [one.id for one in ledger.of_incident(connection, INCIDENT)]
    assert [attempt.id] == [one.id for one in ledger.every(connection)]
