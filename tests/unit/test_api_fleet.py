"""What is too old reads unknown, at the very millisecond, and the fleet knows when that next changes."""

import pytest
from snapshots import NOW_MS, QEMU_DEAD, a_fleet_now, a_snapshot, an_entry, latest_of, the_standing

from api.fleet import see
from jobs.health.control import Stop
from jobs.health.model import FailureClass, ProbeOutcome, Reason, Severity, Verdict
from jobs.health.recovery import Hold
from jobs.health.staleness import STALE_AFTER_MS, is_stale


@pytest.mark.parametrize(
    ("age_ms", "expected"),
    [(0, False), (STALE_AFTER_MS, False), (STALE_AFTER_MS + 1, True), (-STALE_AFTER_MS, False), (-50_000, True)],
)
def test_an_observation_is_stale_after_three_ticks_and_before_the_future(age_ms, expected):
    assert expected == is_stale(NOW_MS - age_ms, NOW_MS)


def test_a_fresh_assessment_is_told_as_it_was_made():
    snapshot = a_snapshot((an_entry(), latest_of(an_entry(), QEMU_DEAD)))

    standing = the_standing(snapshot)

    assert (Verdict.UNHEALTHY, FailureClass.QEMU, (QEMU_DEAD,)) == (
        standing.verdict,
        standing.failure_class,
        standing.reasons,
    )


def test_a_stale_assessment_reads_unknown_and_stays_visible_as_the_latest():
    standing = the_standing(now_ms=NOW_MS + 60_000)

    assert (Verdict.UNKNOWN, ["ObservationStale"]) == (standing.verdict, [r.code for r in standing.reasons])
    assert Verdict.HEALTHY is standing.latest.assessment.verdict


def test_an_instance_that_no_tick_has_seen_reads_unknown():
    standing = the_standing(a_snapshot((an_entry(), None)))

    assert (Verdict.UNKNOWN, ["NotYetObserved"], False) == (
        standing.verdict,
        [r.code for r in standing.reasons],
        standing.is_stale,
    )


def test_the_fleet_holds_exactly_until_the_clock_makes_something_stale():
    snapshot = a_snapshot()
    fleet = see(snapshot, "", NOW_MS)
    turn_ms = NOW_MS - 2000 + STALE_AFTER_MS + 1

    assert fleet.holds(snapshot, "", turn_ms - 1)
    assert not fleet.holds(snapshot, "", turn_ms)
    assert not any(s.is_stale for s in see(snapshot, "", turn_ms - 1).standings.values())
    assert all(s.is_stale for s in see(snapshot, "", turn_ms).standings.values())


def test_the_fleet_doesnt_hold_when_the_clock_went_back_the_store_moved_or_refused_or_a_switch_was_set():
    snapshot = a_snapshot()
    fleet = see(snapshot, "", NOW_MS)

    assert not fleet.holds(snapshot, "", NOW_MS - 1)
    assert not fleet.holds(a_snapshot(), "", NOW_MS)
    assert not fleet.holds(snapshot, "the store is locked", NOW_MS)
    assert not fleet.holds(snapshot, "", NOW_MS, Stop(Hold.KILL_SWITCH, "recovery is switched off"))


def test_a_collector_that_ticked_lately_isnt_silent():
    assert not a_fleet_now().is_silent


def test_a_collector_is_silent_after_three_ticks_or_when_it_never_ticked():
    assert a_fleet_now(now_ms=NOW_MS + 60_000).is_silent
    assert see(None, "no store", NOW_MS).is_silent


@pytest.mark.parametrize(
    ("latest", "expected"),
    [
        (latest_of(an_entry()), True),
        (latest_of(an_entry(), outcome=ProbeOutcome.TIMEOUT), False),
        (latest_of(an_entry(), observed_at_ms=NOW_MS - 60_000), False),
        (latest_of(an_entry(), Reason("ReportStale", FailureClass.NONE, Severity.UNKNOWN)), False),
        (None, False),
    ],
)
def test_a_report_is_current_only_when_the_latest_tick_brought_a_new_one(latest, expected):
    assert expected == the_standing(a_snapshot((an_entry(), latest))).is_report_current
