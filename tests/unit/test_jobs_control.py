"""The fleet's switches: what is said clearly is done, and what isn't clear stops all acts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.health.bounds import RecoveryBounds
from jobs.health.control import PAUSE_REASON, PAUSE_UNTIL, RECOVERY, stop_of
from jobs.health.recovery import Hold, Limits

NOW_MS = 1_800_000_000_000
UNTIL = "2027-01-15T09:00:00Z"
UNTIL_MS = NOW_MS + 3_600_000


@pytest.mark.parametrize(
    "data",
    [
        {},
        {RECOVERY: "on"},
        {RECOVERY: " on\n"},
        {PAUSE_UNTIL: ""},
        {PAUSE_UNTIL: "2027-01-15T08:00:00Z"},
    ],
)
def test_nothing_is_forbidden_unless_somebody_says_so(data):
    assert stop_of(data, NOW_MS) is None


def test_the_kill_switch_stops_everything_and_outranks_a_pause():
    stop = stop_of({RECOVERY: "off\n", PAUSE_UNTIL: UNTIL}, NOW_MS)

    assert (Hold.KILL_SWITCH, "recovery is switched off in loco-control", None) == (
        stop.hold,
        stop.detail,
        stop.until_ms,
    )


@pytest.mark.parametrize("value", ["", "Off", "yes", "0"])
def test_a_switch_that_says_neither_is_off(value):
    stop = stop_of({RECOVERY: value}, NOW_MS)

    assert (Hold.KILL_SWITCH, f"recovery is {value!r}, on or off is allowed in loco-control") == (
        stop.hold,
        stop.detail,
    )


@pytest.mark.parametrize("name", ["recovry", "Recovery", "pause_until", "x" * 300])
def test_a_switch_that_is_misspelt_stops_everything(name):
    stop = stop_of({name: "off", RECOVERY: "on"}, NOW_MS)

    expected = f"{name[:60]!r} is no switch of loco-control, it has recovery, pause-until, pause-reason"
    assert (Hold.KILL_SWITCH, expected, None) == (stop.hold, stop.detail, stop.until_ms)


def test_a_switch_that_is_a_book_is_not_told_whole():
    assert len(stop_of({RECOVERY: "x" * 100_000}, NOW_MS).detail) < 200


def test_a_pause_says_until_when_and_why():
    stop = stop_of({PAUSE_UNTIL: f"{UNTIL}\n", PAUSE_REASON: "new switches\n"}, NOW_MS)

    assert (Hold.PAUSED, f"paused until {UNTIL}: new switches", UNTIL_MS) == (stop.hold, stop.detail, stop.until_ms)
    assert f"paused until {UNTIL}: no reason given" == stop_of({PAUSE_UNTIL: UNTIL}, NOW_MS).detail


@pytest.mark.parametrize("line", ["tomorrow", "2027-01-15T09:00:00", "2027-13-01T00:00:00Z"])
def test_a_pause_whose_end_cannot_be_read_has_none(line):
    stop = stop_of({PAUSE_UNTIL: line}, NOW_MS)

    assert (Hold.PAUSED, None) == (stop.hold, stop.until_ms)
    assert (
        f"pause-until is {line!r} in loco-control, an instant such as 2026-12-01T00:00:00Z is needed"
    ) == stop.detail


@given(st.dictionaries(st.sampled_from([RECOVERY, PAUSE_UNTIL, PAUSE_REASON]), st.text()))
def test_whatever_the_switches_say_there_is_an_answer(data):
    stop = stop_of(data, NOW_MS)

    assert stop is None or stop.detail


def test_a_policy_holds_the_ledger_to_its_bounds():
    bounds = RecoveryBounds(attempts=1, idle_attempts=2, cool_down_seconds=30)

    assert Limits(attempts=1, idle_attempts=2, cool_down_seconds=30) == bounds.limits
    assert Limits() == RecoveryBounds().limits
