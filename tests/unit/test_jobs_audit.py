"""The audit finds what was planted in rows, and nothing in rows as the ledger writes them."""

from dataclasses import replace

import pytest

from jobs.audit import Breach, Promise, audit
from jobs.health.model import InstanceKey
from jobs.health.recovery import Action, Attempt, AttemptOutcome, AttemptState, Origin

KEY = InstanceKey("loco-instances/loco-emulator-0")
MINUTE_MS = 60_000


def _an_attempt(number: int, booked_ms: int, **fields) -> Attempt:
    """Return an attempt that acted a second after it was booked and ended a minute later, healed."""
    attempt = Attempt(
        id=number,
        key=KEY,
        incident="incident-0",
        number=1,
        action=Action.RESET_AUDIO,
        uid="uid-1",
        restarts=0,
        codes=("AudioMuted",),
        origin=Origin.POLICY,
        requested_by="",
        is_forced=False,
        state=AttemptState.ENDED,
        job="recover-4f3a9c-instance-0-1",
        runner="pod-1",
        booked_ms=booked_ms,
        acted_ms=booked_ms + 1000,
        spent_ms=booked_ms + MINUTE_MS,
        booked_at_ms=0,
        acted_at_ms=0,
        ended_at_ms=0,
        outcome=AttemptOutcome.HEALED,
        detail="",
        session_seconds_lost=None,
        has_evidence=True,
        ended_ms=booked_ms + MINUTE_MS,
    )
    return replace(attempt, **fields)


def _idle(number: int, booked_ms: int) -> Attempt:
    return _an_attempt(number, booked_ms, acted_ms=None, outcome=AttemptOutcome.SUPERSEDED)


def _promises(*attempts: Attempt) -> list[tuple[Promise, tuple[int, ...]]]:
    return [(breach.promise, breach.attempts) for breach in audit(attempts).breaches]


THREE = [_an_attempt(number, number * 2 * MINUTE_MS) for number in (1, 2, 3)]


def test_an_empty_ledger_breaks_nothing():
    assert () == audit([]).breaches


def test_three_acts_an_hour_again_and_again_break_nothing():
    attempts = [
        replace(one, id=3 * hour + one.id, **{name: getattr(one, name) + hour * 61 * MINUTE_MS for name in TIMES})
        for hour in range(5)
        for one in THREE
    ]

    found = audit(attempts)

    assert () == found.breaches
    assert (15, 1, 15, 15, 0, 0) == (
        found.attempts,
        found.instances,
        found.acts,
        found.ended,
        found.open,
        found.adopted,
    )


TIMES = ("booked_ms", "acted_ms", "spent_ms", "ended_ms")


def test_a_fourth_act_within_the_hour_is_found_with_the_three_before_it():
    first_ms = THREE[0].spent_ms
    late = _an_attempt(4, first_ms + 60 * MINUTE_MS - 1001)

    assert [
        Breach(
            Promise.TOO_MANY,
            KEY,
            (1, 2, 3, 4),
            "4 may have acted within 60 minutes, at most 3 are allowed",
        )
    ] == list(audit([*THREE, late]).breaches)
    assert [] == _promises(*THREE, _an_attempt(4, first_ms + 60 * MINUTE_MS - 1000))


def test_an_unknown_outcome_counts_as_an_act_and_an_idle_attempt_does_not():
    lost = _an_attempt(4, 20 * MINUTE_MS, acted_ms=None, outcome=AttemptOutcome.UNKNOWN)

    assert [(Promise.TOO_MANY, (1, 2, 3, 4))] == _promises(*THREE, lost)
    assert [] == _promises(*THREE, _idle(4, 20 * MINUTE_MS))


def test_acts_of_different_instances_do_not_add_up():
    others = [replace(one, id=one.id + 3, key=InstanceKey("loco-instances/other")) for one in THREE]

    assert [] == _promises(*THREE, *others)


def test_attempts_of_an_earlier_store_count_for_those_after_them_and_not_against_each_other():
    adopted = [
        _an_attempt(
            number,
            0,
            acted_ms=None,
            ended_ms=0,
            spent_ms=6 * MINUTE_MS,
            outcome=AttemptOutcome.UNKNOWN,
            origin=Origin.ADOPTED,
        )
        for number in (1, 2, 3, 4)
    ]

    assert [] == _promises(*adopted)
    assert [] == _promises(*adopted, _an_attempt(5, 66 * MINUTE_MS))
    assert [(Promise.TOO_MANY, (1, 2, 3, 4, 5))] == _promises(*adopted, _an_attempt(5, 64 * MINUTE_MS))


@pytest.mark.parametrize(
    ("second", "detail"),
    [
        (_an_attempt(2, 59_000), "2 was booked 1.000 s before 1 could act no more"),
        (_idle(2, 0), "2 was booked 60.000 s before 1 could act no more"),
    ],
)
def test_two_attempts_at_once_are_found(second, detail):
    assert [Breach(Promise.OVERLAP, KEY, (1, 2), detail)] == list(audit([_an_attempt(1, 0), second]).breaches)


def test_an_attempt_booked_beside_an_open_one_is_found():
    running = _an_attempt(1, 0, state=AttemptState.RUNNING, outcome=None, ended_ms=None)

    assert [(Promise.OVERLAP, (1, 2))] == _promises(running, _an_attempt(2, 5 * MINUTE_MS))
    assert [] == _promises(running)


def test_an_attempt_that_was_taken_over_between_two_does_not_hide_that_they_overlap():
    first = _an_attempt(1, 0, spent_ms=9 * MINUTE_MS)
    adopted = _idle(2, MINUTE_MS)
    adopted = replace(adopted, origin=Origin.ADOPTED, outcome=AttemptOutcome.UNKNOWN, spent_ms=2 * MINUTE_MS)

    assert [(Promise.OVERLAP, (1, 3))] == _promises(first, adopted, _an_attempt(3, 5 * MINUTE_MS))


@pytest.mark.parametrize(
    ("planted", "promise"),
    [
        ({"uid": None}, Promise.NO_IDENTITY),
        ({"runner": None}, Promise.NOT_CLAIMED),
        ({"outcome": None}, Promise.NO_OUTCOME),
        ({"ended_ms": None}, Promise.NO_OUTCOME),
        ({"state": AttemptState.RUNNING}, Promise.NO_OUTCOME),
        ({"acted_ms": -1}, Promise.OUT_OF_ORDER),
        ({"spent_ms": 500}, Promise.OUT_OF_ORDER),
        ({"spent_ms": 30_000}, Promise.OUT_OF_ORDER),
    ],
)
def test_a_row_that_breaks_a_promise_by_itself_is_found(planted, promise):
    assert [(promise, (1,))] == _promises(_an_attempt(1, 0, **planted))


def test_an_instance_of_a_file_has_no_uid_and_an_attempt_that_did_nothing_needs_none():
    assert [] == _promises(_an_attempt(1, 0, key=InstanceKey("static/instance-0"), uid=None))
    assert [] == _promises(replace(_idle(1, 0), uid=None, runner=None))
