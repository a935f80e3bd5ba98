from dataclasses import replace

import pytest
from builders import a_handshake, a_legacy_report, a_probe, a_report, an_assessment
from hypothesis import given
from hypothesis import strategies as st

from jobs.health.model import ProbeOutcome
from jobs.health.rollup import HOUR_MS, MINUTE_MS, Rollup, Shares, merge, of_tick, shares, start_of

counts = st.integers(0, 10_000)
# Sums of quarters are exact, so that the order of adding can't show.
sums = st.integers(0, 2**30).map(lambda n: n / 4)
rollups = st.builds(
    Rollup,
    st.just(0),
    *[counts] * 5,
    codes=st.sets(st.sampled_from(["TapDown", "QemuDead", "AudioMuted"])).map(lambda codes: tuple(sorted(codes))),
    frame_rate_sum=sums,
    frame_rate_count=counts,
    level_max=st.none() | st.floats(0, 1),
    qemu_cpu_sum=sums,
    qemu_cpu_count=counts,
    latency_sum=sums,
    latency_count=counts,
)


def test_a_tick_adds_its_verdict_its_codes_and_what_was_measured():
    assessment = an_assessment("TapDown", "AudioMuted")
    report = a_report(audio={"estimated_level": 0.5})

    assert Rollup(
        120_000,
        unhealthy=1,
        codes=("AudioMuted", "TapDown"),
        frame_rate_sum=18.2,
        frame_rate_count=1,
        level_max=0.5,
        qemu_cpu_sum=3.2,
        qemu_cpu_count=1,
        latency_sum=0.01,
        latency_count=1,
    ) == of_tick(a_probe(report, at_ms=179_999), assessment, a_handshake())


def test_a_tick_without_a_report_adds_only_its_verdict():
    probe = a_probe(None, outcome=ProbeOutcome.REFUSED, at_ms=60_000)

    assert Rollup(60_000, unreachable=1, codes=("AgentRefused",)) == of_tick(
        probe, an_assessment("AgentRefused"), a_handshake("refused")
    )


def test_a_legacy_agents_constants_add_nothing():
    rollup = of_tick(a_probe(a_legacy_report()), an_assessment(), None)

    assert (0, None, 1) == (rollup.frame_rate_count, rollup.level_max, rollup.qemu_cpu_count)


def test_what_was_not_measured_is_not_counted_as_zero():
    report = a_report(video={"estimated_frame_rate": None}, audio=None, performance=None)
    rollup = of_tick(a_probe(report), an_assessment(), a_handshake("timeout"))

    assert (0, None, 0, 0) == (
        rollup.frame_rate_count,
        rollup.level_max,
        rollup.qemu_cpu_count,
        rollup.latency_count,
    )


def test_a_frame_rate_of_nothing_is_counted():
    rollup = of_tick(a_probe(a_report(video={"estimated_frame_rate": 0.0})), an_assessment(), None)

    assert (0.0, 1) == (rollup.frame_rate_sum, rollup.frame_rate_count)


def test_a_report_without_a_screen_to_count_still_has_a_level():
    rollup = of_tick(a_probe(a_report(video=None)), an_assessment(), None)

    assert (0, 0.76) == (rollup.frame_rate_count, rollup.level_max)


def test_a_minute_starts_at_its_first_millisecond():
    assert [0, 60_000, 3_600_000] == [
        start_of(59_999, MINUTE_MS),
        start_of(60_000, MINUTE_MS),
        start_of(7_199_999, HOUR_MS),
    ]


@given(rollups, rollups, rollups)
def test_merging_in_any_order_gives_the_same(first, second, third):
    assert merge(first, second) == merge(second, first)
    assert merge(merge(first, second), third) == merge(first, merge(second, third))


@given(rollups)
def test_merging_with_nothing_changes_nothing(rollup):
    assert rollup == merge(rollup, Rollup(999))


def test_a_merge_starts_where_its_first_part_starts():
    assert 7 == merge(Rollup(7), Rollup(60_007)).start_at_ms


def test_unwatched_ticks_are_a_share_of_their_own():
    hours = [Rollup(0, healthy=150, degraded=10), Rollup(HOUR_MS, unhealthy=20, unreachable=10, unknown=10)]

    assert Shares(0.375, 0.025, 0.05, 0.025, 0.025, not_observed=0.5) == shares(hours, expected_ticks=400)


def test_time_that_nobody_watched_is_not_healthy():
    assert Shares(0, 0, 0, 0, 0, not_observed=1) == shares([], expected_ticks=0) == shares([], expected_ticks=240)


def test_ticks_by_hand_make_no_share_larger_than_one():
    assert Shares(1, 0, 0, 0, 0, not_observed=0) == shares([Rollup(0, healthy=5)], expected_ticks=4)


@given(st.lists(rollups, max_size=5), counts)
def test_shares_add_up_to_one(parts, expected_ticks):
    found = shares(parts, expected_ticks=expected_ticks)

    assert pytest.approx(1) == sum(getattr(found, name) for name in Shares.__dataclass_fields__)
    assert found == shares([replace(part, start_at_ms=1) for part in reversed(parts)], expected_ticks=expected_ticks)
