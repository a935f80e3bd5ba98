"""Waiting for people before an act that would cut them off: from when, how long, and who counts as connected."""

from dataclasses import replace

import pytest
from situations import NOW_MS, WITNESSED_MS, a_situation, acting_report, an_attempt

from agent.report import Clients, Sessions
from jobs.health.control import Stop
from jobs.health.people import connected
from jobs.health.plan import plan_recovery
from jobs.health.recovery import Action, Held, Hold

WATCHED = acting_report(sessions={"count": 1})
UNKNOWN = acting_report(sessions=None)
COOLING = Held(Hold.COOL_DOWN, "the last attempt ended 5 s ago, 20 s are to pass", 15.0)
RUNNING = Held(Hold.ATTEMPT_RUNNING, "attempt 4 is running")
PAUSED = Stop(Hold.PAUSED, "paused until 2027", NOW_MS + 60_000)


def plan(*codes, **fields):
    return plan_recovery(a_situation(*codes, **fields))


def hold(*codes, **fields):
    return plan(*codes, **fields).hold


def test_people_are_waited_for_before_an_act_that_cuts_them_off():
    made = plan("ScreenFrozen", report=WATCHED)

    assert (Hold.USER_CONNECTED, NOW_MS + 300_000) == (made.hold, made.until_ms)
    assert "reset-guest waits: 1 connected; after 300 s it is done all the same" == made.detail
    assert "nobody can tell who is connected" in plan("ScreenFrozen", report=UNKNOWN).detail


def test_an_act_that_cuts_nobody_off_goes_ahead():
    assert hold("TapDown", report=WATCHED) is None


def test_people_are_waited_for_up_to_the_limit_and_no_longer():
    first = plan("ScreenFrozen", report=WATCHED)

    def after(seconds):
        now = {"now_ms": NOW_MS + seconds * 1000, "witnessed_ms": WITNESSED_MS + seconds * 1000}
        return plan("ScreenFrozen", report=WATCHED, before=first, **now)

    assert first == after(299)
    assert after(300).is_due


def test_a_wall_clock_that_jumps_cuts_nobody_off():
    first = plan("ScreenFrozen", report=WATCHED)
    now = {"now_ms": NOW_MS + 7_200_000, "witnessed_ms": WITNESSED_MS + 15_000}

    assert Hold.USER_CONNECTED == hold("ScreenFrozen", report=WATCHED, before=first, **now)


def test_the_act_is_due_at_once_when_the_last_one_leaves():
    first = plan("ScreenFrozen", report=WATCHED)

    assert plan("ScreenFrozen", before=first).is_due


def test_waiting_for_people_begins_when_nothing_else_is_in_the_way():
    cooling = plan("ScreenFrozen", report=WATCHED, refusal=COOLING)
    then = plan("ScreenFrozen", report=WATCHED, before=cooling, witnessed_ms=WITNESSED_MS + 900_000)

    assert (None, WITNESSED_MS + 900_000) == (cooling.wanted_ms, then.wanted_ms)


def test_a_hold_in_between_does_not_begin_the_wait_anew():
    first = plan("ScreenFrozen", report=WATCHED)
    paused = plan("ScreenFrozen", report=WATCHED, before=first, stop=PAUSED)

    assert WITNESSED_MS == paused.wanted_ms


def test_a_lost_report_or_a_good_tick_does_not_begin_the_wait_anew():
    first = plan("ScreenFrozen", report=WATCHED)
    lost = plan(before=first, assessment=None, report=None, witnessed_ms=WITNESSED_MS + 15_000)
    good = plan(before=lost, report=WATCHED, witnessed_ms=WITNESSED_MS + 30_000)
    again = plan("ScreenFrozen", report=WATCHED, before=good, witnessed_ms=WITNESSED_MS + 299_000)

    assert [Hold.NOT_ACTIONABLE, Hold.NOT_ACTIONABLE, Hold.USER_CONNECTED] == [lost.hold, good.hold, again.hold]
    assert plan("ScreenFrozen", report=WATCHED, before=good, witnessed_ms=WITNESSED_MS + 300_000).is_due


def test_a_good_tick_after_the_act_ends_the_wait():
    first = plan("ScreenFrozen", report=WATCHED)
    done = an_attempt("reset-guest", "healed", codes=("ScreenFrozen",), ended_seconds_ago=0)

    assert plan(before=first, report=WATCHED, attempts=(done,)).wanted_ms is None


def test_an_act_or_another_rung_begins_the_wait_anew():
    first = plan("ScreenFrozen", report=WATCHED)
    later = {"before": first, "witnessed_ms": WITNESSED_MS + 1}
    done = an_attempt("reset-guest", "healed", codes=("ScreenFrozen",), ended_seconds_ago=0)
    failed = an_attempt("reset-guest", "no-effect", codes=("ScreenFrozen",), ended_seconds_ago=0)
    again = plan("ScreenFrozen", report=WATCHED, attempts=(done,), **later)
    second = plan("ScreenFrozen", report=WATCHED, attempts=(failed,), **later)

    assert (Action.RESET_GUEST, WITNESSED_MS + 1) == (again.action, again.wanted_ms)
    assert (Action.RESTART_QEMU, WITNESSED_MS + 1) == (second.action, second.wanted_ms)


def test_an_attempt_that_has_not_acted_yet_waits_on_for_the_same_people():
    first = plan("ScreenFrozen", report=WATCHED)
    running = replace(an_attempt("reset-guest", None), acted_ms=None)
    made = plan("ScreenFrozen", report=WATCHED, before=first, attempts=(running,), refusal=RUNNING)

    assert (Hold.ATTEMPT_RUNNING, WITNESSED_MS) == (made.hold, made.wanted_ms)


@pytest.mark.parametrize(
    ("sessions", "clients", "expected"),
    [(0, 0, 0), (1, 0, 1), (0, 2, 2), (1, None, 1), (None, 3, 3), (None, 0, None), (0, None, None), (None, None, None)],
)
def test_one_who_is_known_to_be_there_is_enough(sessions, clients, expected):
    report = acting_report(sessions=Sessions(count=sessions), clients=Clients(count=clients))

    assert expected == connected(report)


def test_where_a_block_is_missing_nobody_can_tell():
    assert connected(None) is None
    assert connected(acting_report(sessions=None, clients=None)) is None
