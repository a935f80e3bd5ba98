"""Each instance's past out of a real store, and how little of it is read again."""

import threading
from contextlib import closing
from dataclasses import replace

import pytest
from stores import an_instance

from api.fleet import see
from api.follower import Follower
from api.recovery import Bounds
from api.snapshot import load
from api.spans import DAY_MS, HALF_HOUR_MS, PERIODS, begin_of, half_hour_spans, minute_spans, older_spans
from api.trends import Beat, Told, Trends
from jobs.health.model import Verdict
from jobs.health.rollup import HOUR_MS, MINUTE_MS, Rollup, start_of
from jobs.store import reader
from jobs.store.connection import open_store, transaction
from jobs.store.retention import apply_retention
from jobs.store.rollups import add_to_minutes, put_hours
from jobs.store.writer import record_inventory

# 2026-11-26T13:44:10Z.
NOW_MS = 1_795_700_650_000
FIRST_MS = NOW_MS - 40 * DAY_MS
ONE, OTHER = an_instance(0), an_instance(1)


class Past:
    """A store with instances whose minutes and hours a test writes, and the trends that are read of it."""

    def __init__(self, path, *, found_at_ms=FIRST_MS):
        self.path = path
        self.store = open_store(path)
        self.found(ONE, OTHER, at_ms=found_at_ms)
        self.follower = Follower(path, lambda: NOW_MS)
        self.trends = Trends()
        self.asked = 0

    def found(self, *instances, at_ms):
        """Write the inventory."""
        with transaction(self.store):
            record_inventory(self.store, instances, at_ms=at_ms)

    def minute(self, at_ms, one=ONE, **values):
        """Add to a minute."""
        with transaction(self.store):
            add_to_minutes(self.store, [(one.key, Rollup(start_of(at_ms, MINUTE_MS), **values))])

    def minutes(self, from_ms, to_ms, one=ONE, **values):
        """Add to every minute of a span."""
        rows = [(one.key, Rollup(at, **values)) for at in range(start_of(from_ms, MINUTE_MS), to_ms, MINUTE_MS)]
        with transaction(self.store):
            add_to_minutes(self.store, rows)

    def hours(self, from_ms, to_ms, one=ONE, **values):
        """Write every hour of a span."""
        rows = [(one.key, Rollup(at, **values)) for at in range(from_ms, to_ms, HOUR_MS)]
        with transaction(self.store):
            put_hours(self.store, rows)

    def fleet(self, now_ms=NOW_MS, problem=""):
        """Return the fleet as of a moment."""
        snapshot = self.follower.query(lambda connection: load(connection, None, Bounds()))
        return see(snapshot, problem, now_ms)

    def ask(self, question):
        """Count what is read."""
        self.asked += 1
        return self.follower.query(question)

    def told(self, now_ms=NOW_MS):
        """Return each instance's trend as of a moment."""
        return self.trends.of(self.ask, self.fleet(now_ms)).by_key

    def of(self, one=ONE, now_ms=NOW_MS):
        """Return one instance's trend."""
        return self.told(now_ms)[one.key]

    def close(self):
        """Close the files."""
        self.follower.close()
        self.store.close()


@pytest.fixture
def past(tmp_path):
    """A store in which two instances were found 40 days ago and nothing was observed."""
    with closing(Past(tmp_path / "loco.db")) as made:
        yield made


def test_the_last_hour_is_told_minute_by_minute_with_gaps(past):
    past.minute(NOW_MS, healthy=2, frame_rate_sum=61.0, frame_rate_count=2, level_max=0.4)
    past.minute(NOW_MS - 2 * MINUTE_MS, healthy=4, frame_rate_count=0, level_max=0.1)
    past.minute(NOW_MS - 59 * MINUTE_MS, healthy=4, frame_rate_sum=100.0, frame_rate_count=4)
    past.minute(NOW_MS - 60 * MINUTE_MS, healthy=4, frame_rate_sum=4.0, frame_rate_count=4)
    told = past.of()

    assert (25.0, *[None] * 58, 30.5) == told.frame_rates
    assert (*[None] * 57, 0.1, None, 0.4) == told.levels


def test_a_beat_has_the_worst_verdict_its_reasons_and_its_healthy_share(past):
    began_ms = start_of(NOW_MS, HALF_HOUR_MS) - HALF_HOUR_MS
    past.minutes(began_ms, began_ms + HALF_HOUR_MS, healthy=3, degraded=1, codes=("FrameRateLow",))
    past.minute(began_ms, unhealthy=4, codes=("VncUnavailable", "QemuDead"))
    told = past.of()

    assert 48 == len(told.beats)
    assert (
        Beat(began_ms, 1800, Verdict.UNHEALTHY, ("FrameRateLow", "QemuDead", "VncUnavailable"), 90 / 124)
        == told.beats[-2]
    )


@pytest.mark.parametrize("later_ms", [0, HALF_HOUR_MS])
def test_the_beats_end_with_the_half_hour_that_is_not_over(past, later_ms):
    newest_ms = start_of(NOW_MS + later_ms, HALF_HOUR_MS)
    told = past.of(now_ms=NOW_MS + later_ms)

    assert [newest_ms - n * HALF_HOUR_MS for n in range(47, -1, -1)] == [beat.start_at_ms for beat in told.beats]


def test_what_nobody_observed_is_neither_healthy_nor_sick(past):
    told = past.of()

    assert {(None, None)} == {(beat.verdict, beat.healthy_share) for beat in told.beats}
    assert (None, None, None) == (told.uptime("24h"), told.uptime("7d"), told.uptime("30d"))


def test_time_that_nobody_watched_lowers_an_uptime_and_is_told_apart(past):
    now_ms = start_of(NOW_MS, HOUR_MS) - 1
    past.minutes(now_ms - 12 * HOUR_MS + 1, now_ms, healthy=4)
    told = past.of(now_ms=now_ms)

    assert pytest.approx((0.5, 0.5), abs=1e-3) == (told.uptime("24h"), told.uptimes["24h"].not_observed)
    assert pytest.approx((1 / 14, 1 / 60), abs=1e-3) == (told.uptime("7d"), told.uptime("30d"))


def test_an_instance_is_not_blamed_for_the_time_before_it_was_found(past):
    past.found(ONE, an_instance(7), at_ms=NOW_MS - 10 * MINUTE_MS)
    past.minutes(NOW_MS - 10 * MINUTE_MS, NOW_MS, an_instance(7), healthy=4)
    told = past.of(an_instance(7))

    assert (1.0, 1.0, 1.0) == (told.uptime("24h"), told.uptime("7d"), told.uptime("30d"))
    assert [None, 1.0] == [beat.healthy_share for beat in told.beats[-2:]]


def test_a_tick_that_falls_into_the_next_span_makes_no_hole(past):
    began_ms = start_of(NOW_MS, HALF_HOUR_MS) - HALF_HOUR_MS
    past.minutes(began_ms, began_ms + HALF_HOUR_MS - MINUTE_MS, healthy=4)
    past.minute(began_ms + HALF_HOUR_MS - MINUTE_MS, healthy=3)

    assert 1.0 == past.of().beats[-2].healthy_share


def test_an_hour_that_stands_in_both_tables_counts_once(past):
    began_ms = start_of(NOW_MS, HOUR_MS) - 30 * HOUR_MS
    past.minutes(began_ms, began_ms + HOUR_MS, healthy=4)
    past.hours(began_ms, began_ms + HOUR_MS, healthy=240)
    past.minutes(began_ms + HOUR_MS, began_ms + 2 * HOUR_MS, unhealthy=4)
    shares = past.of().uptimes["7d"]

    assert shares.unhealthy == shares.healthy > 0


def test_an_hour_is_told_by_its_roll_up_while_its_minutes_are_being_deleted(past):
    began_ms = start_of(NOW_MS, HOUR_MS) - 48 * HOUR_MS
    past.minutes(began_ms + HOUR_MS // 2, began_ms + HOUR_MS, healthy=4)
    past.hours(began_ms, began_ms + HOUR_MS, healthy=240)
    expected = 240 / ((NOW_MS - begin_of("7d", NOW_MS)) // 15_000 - 1)

    assert pytest.approx(expected) == past.of().uptime("7d")


def test_uptimes_are_those_of_every_tick_after_compact_has_run(past):
    """The store's own upkeep rolls hours up and deletes minutes; no tick may be lost or counted twice by it."""
    began_ms = start_of(NOW_MS, HOUR_MS) - 31 * DAY_MS
    every = list(range(began_ms, NOW_MS, 20 * MINUTE_MS))
    kinds = ("healthy", "degraded", "unhealthy", "unreachable", "unknown")
    ticks = {at_ms: kinds[n % 7 % 5] for n, at_ms in enumerate(every)}
    with transaction(past.store):
        add_to_minutes(past.store, [(ONE.key, Rollup(at_ms, **{kind: 4})) for at_ms, kind in ticks.items()])
    before = past.of().uptimes
    apply_retention(past.store, at_ms=NOW_MS - 40 * MINUTE_MS)
    past.trends = Trends()

    for period in PERIODS:
        from_ms = begin_of(period, NOW_MS)
        whole = (NOW_MS - from_ms) // 15_000 - 1
        expected = {
            name: sum(4 for at, kind in ticks.items() if at >= from_ms and kind == name) / whole for name in kinds
        }
        assert pytest.approx(expected) == {name: getattr(before[period], name) for name in kinds}
        assert pytest.approx(expected) == {name: getattr(past.of().uptimes[period], name) for name in kinds}


def test_a_tick_later_only_what_can_have_changed_is_read(past):
    past.told()
    at_first, past.asked = past.asked, 0
    past.told(NOW_MS + 15_000)

    # The half hour and the minute that aren't over, the minute before, and one of each shelf in turn.
    assert len([*minute_spans(NOW_MS), *half_hour_spans(NOW_MS), *older_spans(NOW_MS)]) == at_first
    assert 3 + 3 == past.asked


def test_the_same_fleet_reads_nothing(past):
    fleet = past.fleet()
    told = past.trends.of(past.ask, fleet).by_key
    past.asked = 0

    assert told is past.trends.of(past.ask, fleet).by_key
    assert 0 == past.asked


def test_new_ticks_are_seen_at_the_next_look(past):
    past.minutes(NOW_MS - 10 * MINUTE_MS, NOW_MS, healthy=4)
    past.told()
    past.minute(NOW_MS, unhealthy=1, frame_rate_sum=7.0, frame_rate_count=1, codes=("QemuDead",))
    told = past.of(now_ms=NOW_MS + 1)

    assert 7.0 == told.frame_rates[-1]
    assert (Verdict.UNHEALTHY, ("QemuDead",)) == (told.beats[-1].verdict, told.beats[-1].codes)
    assert told.uptimes["24h"].unhealthy > 0


def test_an_outage_between_two_looks_is_in_the_beat_that_the_first_saw_begin(past):
    began_ms = start_of(NOW_MS, HALF_HOUR_MS)
    past.minutes(began_ms, began_ms + 5 * MINUTE_MS, healthy=4, frame_rate_sum=120.0, frame_rate_count=4)
    past.told(began_ms + 5 * MINUTE_MS - 1)
    past.minutes(began_ms + 5 * MINUTE_MS, began_ms + HALF_HOUR_MS, unhealthy=4, codes=("QemuDead",))
    told = past.of(now_ms=began_ms + 40 * MINUTE_MS)

    assert Beat(began_ms, 1800, Verdict.UNHEALTHY, ("QemuDead",), 20 / 120) == told.beats[-2]
    assert pytest.approx(5 * told.uptimes["24h"].healthy) == told.uptimes["24h"].unhealthy > 0


def test_a_minute_of_which_the_first_look_saw_a_part_is_told_whole_at_the_next(past):
    minute_ms = start_of(NOW_MS, MINUTE_MS)
    past.minute(minute_ms, healthy=1, frame_rate_sum=30.0, frame_rate_count=1)
    past.told(minute_ms + 15_000)
    past.minute(minute_ms, unhealthy=3, frame_rate_sum=0.0, frame_rate_count=3)

    assert 7.5 == past.of(now_ms=minute_ms + 10 * MINUTE_MS).frame_rates[-11]


def test_a_clock_that_was_set_back_adds_to_beats_that_were_over(past):
    past.told()
    back_ms = NOW_MS - 5 * HOUR_MS
    past.minute(back_ms, unreachable=4)

    assert Verdict.UNREACHABLE is past.of(now_ms=back_ms).beats[-1].verdict
    assert Verdict.UNREACHABLE is past.of(now_ms=NOW_MS).beats[-11].verdict


def test_what_went_by_unseen_is_right_after_as_many_looks_as_there_are_spans(past):
    past.told()
    past.minute(NOW_MS - 5 * HOUR_MS, unreachable=4)
    looks = next(n for n in range(1, 60) if past.of(now_ms=NOW_MS + n).beats[-11].verdict is Verdict.UNREACHABLE)

    assert looks <= 49


def test_another_store_under_the_same_name_is_read_from_the_start(past, tmp_path):
    past.minutes(NOW_MS - 5 * HOUR_MS, NOW_MS, healthy=4)
    past.told()
    with closing(Past(tmp_path / "other.db")) as other:
        other.minutes(NOW_MS - 5 * HOUR_MS, NOW_MS, unhealthy=4)
    (tmp_path / "other.db").replace(past.path)
    told = past.of(now_ms=NOW_MS + 1)

    assert {Verdict.UNHEALTHY} == {beat.verdict for beat in told.beats[-10:]}
    assert 0 == told.uptime("30d")


def test_a_store_that_cannot_be_read_leaves_what_was_told_last(past):
    told = past.told()
    fleet = past.fleet(NOW_MS + 1)
    past.follower.close()
    past.path.unlink()

    # A fleet that doesn't know yet that its store is gone may be told more when it is there again.
    assert Told(told, is_final=False) == past.trends.of(past.ask, fleet)
    assert Told(told, is_final=True) == past.trends.of(past.ask, replace(fleet, problem="gone"))


def test_an_instance_of_a_fleet_without_a_store_has_no_past(past):
    assert Told({}, is_final=True) == past.trends.of(past.ask, see(None, "gone", NOW_MS))


def test_a_thread_that_comes_while_another_reads_is_told_what_was_known(past):
    told = past.told()
    fleet = past.fleet(NOW_MS + 1)
    began, goes_on = threading.Event(), threading.Event()

    def slowly(question):
        began.set()
        assert goes_on.wait(10)
        return past.follower.query(question)

    reader = threading.Thread(target=past.trends.of, args=(slowly, fleet))
    reader.start()
    assert began.wait(20)

    before = past.trends.of(past.ask, fleet)
    goes_on.set()
    reader.join(20)
    after = past.trends.of(past.ask, fleet)
    assert (True, False) == (before.by_key is told, before.is_final)
    assert (False, True) == (after.by_key is told, after.is_final)


def test_threads_that_ask_at_once_are_told_the_same(past):
    past.minutes(NOW_MS - 5 * HOUR_MS, NOW_MS, healthy=4)
    fleet = past.fleet()
    found = []
    threads = [threading.Thread(target=lambda: found.append(past.trends.of(past.ask, fleet))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    # One that waited its second in vain is told of none.
    assert past.trends.of(past.ask, fleet) in found
    assert 2 >= len({id(one.by_key) for one in found})


def test_hours_are_told_up_to_now_rolled_up_or_not(past):
    hour_ms = start_of(NOW_MS, HOUR_MS)
    past.minutes(hour_ms - 3 * HOUR_MS, NOW_MS, healthy=4, level_max=0.5)
    apply_retention(past.store, at_ms=hour_ms - HOUR_MS + 1)
    past.minute(NOW_MS, unhealthy=1, codes=("QemuDead",))

    assert [
        Rollup(hour_ms - 2 * HOUR_MS, healthy=240, level_max=0.5),
        Rollup(hour_ms - HOUR_MS, healthy=240, level_max=0.5),
        Rollup(hour_ms, healthy=45 * 4, unhealthy=1, level_max=0.5, codes=("QemuDead",)),
    ] == past.follower.query(
        lambda connection: reader.hours_so_far(connection, ONE.key, since_ms=hour_ms - 3 * HOUR_MS + 1)
    )


def test_a_store_without_a_rolled_up_hour_tells_hours_all_the_same(past):
    past.minute(NOW_MS, healthy=4)

    assert [Rollup(start_of(NOW_MS, HOUR_MS), healthy=4)] == past.follower.query(
        lambda connection: reader.hours_so_far(connection, ONE.key, since_ms=0)
    )
