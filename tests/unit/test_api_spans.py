"""The spans that the past is cut into: they cover each period once, whatever the moment."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.spans import BEATS, DAY_MS, HALF_HOUR_MS, PERIODS, begin_of, half_hour_spans, minute_spans, older_spans
from jobs.health.rollup import HOUR_MS, MINUTE_MS

# 2026-11-26T00:00:00Z.
MIDNIGHT_MS = 1_795_651_200_000

moments = st.integers(MIDNIGHT_MS, MIDNIGHT_MS + 400 * DAY_MS)


@settings(deadline=None)
@given(moments)
@example(MIDNIGHT_MS)
@example(MIDNIGHT_MS - 1)
@example(MIDNIGHT_MS + HALF_HOUR_MS)
@example(MIDNIGHT_MS + HOUR_MS)
def test_every_moment_of_the_longest_period_is_in_one_span(now_ms):
    spans = [*older_spans(now_ms), *half_hour_spans(now_ms)]

    assert begin_of("30d", now_ms) == spans[0].from_ms
    assert [span.to_ms for span in spans[:-1]] == [span.from_ms for span in spans[1:]]
    assert spans[-1].from_ms <= now_ms < spans[-1].to_ms


@settings(deadline=None)
@given(moments)
def test_every_period_begins_with_a_span(now_ms):
    starts = {span.from_ms for span in (*older_spans(now_ms), *half_hour_spans(now_ms))}

    assert {begin_of(period, now_ms) for period in PERIODS} <= starts


@settings(deadline=None)
@given(moments)
def test_what_is_older_than_the_half_hours_is_whole_hours(now_ms):
    assert {0} == {edge % HOUR_MS for span in older_spans(now_ms) for edge in span}


@settings(deadline=None)
@given(moments)
def test_a_day_later_the_days_in_between_are_the_same_spans(now_ms):
    both = set(older_spans(now_ms)) & set(older_spans(now_ms + DAY_MS))

    assert len(both) >= 25


@settings(deadline=None)
@given(moments)
def test_a_tick_later_nearly_all_spans_are_the_same(now_ms):
    def all_spans(at_ms):
        return {*minute_spans(at_ms), *half_hour_spans(at_ms), *older_spans(at_ms)}

    # At the turn of an hour: a minute, a half hour, and the edges of two periods and of the day that moves away.
    assert len(all_spans(now_ms + 15_000) - all_spans(now_ms)) <= 5


def test_the_beats_are_48_half_hours_and_begin_the_day():
    for minute in range(120):
        now_ms = MIDNIGHT_MS + minute * MINUTE_MS
        spans = half_hour_spans(now_ms)[-BEATS:]

        assert begin_of("24h", now_ms) == spans[0].from_ms
        assert BEATS == len(spans)


def test_a_period_is_as_long_as_its_name_but_for_the_part_that_is_still_to_come():
    now_ms = MIDNIGHT_MS + 13 * HOUR_MS - 1

    assert {period: hours * HOUR_MS - 1 for period, hours in PERIODS.items()} == {
        period: now_ms - begin_of(period, now_ms) for period in PERIODS
    }
