import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import ConfigError
from jobs.schedule import WindowSettings, next_due_ms, period_seconds, window_seconds

PERIOD_MS = 15_000
DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("schedule", "seconds"),
    [("*/5 * * * *", 300), ("* * * * *", 60), ("  */1  * * * * ", 60), ("0 * * * *", 3600), ("0 */6 * * *", 21_600)],
)
def test_the_period_of_an_even_schedule_is_the_window(schedule, seconds):
    assert seconds == window_seconds(None, schedule, None)


@pytest.mark.parametrize(
    "schedule", ["*/7 * * * *", "*/0 * * * *", "5 4 * * *", "*/5 1 * * *", "@hourly", "", "0 */5 * * *", "*/90 * * * *"]
)
def test_a_schedule_of_uneven_period_is_refused_in_one_sentence(schedule):
    with pytest.raises(ConfigError) as refused:
        period_seconds(schedule)

    assert str(refused.value) == (
        f"LOCO_SCHEDULE {schedule!r}: a window needs starts that are evenly apart; known are '*/M * * * *' with M "
        "dividing 60 and '0 */H * * *' with H dividing 24; nothing was started"
    )


def test_a_window_that_is_given_wins_over_schedule_and_job_name():
    assert 60 == window_seconds(60, "*/5 * * * *", "by-hand")


@pytest.mark.parametrize(
    ("job_name", "seconds"), [("collect-29384756", 300), ("collect-1", 0), ("look-now", 0), ("", 300)]
)
def test_a_job_that_the_cronjob_controller_did_not_name_is_a_run_by_hand(job_name, seconds):
    assert seconds == window_seconds(None, None, job_name)


def test_a_run_lives_two_windows_and_half_a_minute(tmp_path):
    assert 630 == WindowSettings(tmp_path / "loco.db", 300).life_seconds


def test_a_beat_that_is_not_known_is_due_at_once():
    assert 500 == next_due_ms(None, 15, now_ms=500, wall_ms=3)


def test_a_slot_in_the_future_is_another_clock_and_due_at_once():
    assert 500 == next_due_ms(501, 15, now_ms=500, wall_ms=3)


def test_on_the_grid_the_next_beat_is_a_period_later():
    assert 45_000 == next_due_ms(30_000, 15, now_ms=30_200, wall_ms=DAY_MS + 200)


def test_a_beat_that_was_missed_is_due_in_the_past():
    assert 45_000 == next_due_ms(30_000, 15, now_ms=50_000, wall_ms=DAY_MS + 20_000)


def test_of_many_missed_beats_one_is_made_up_for():
    assert 99_000 == next_due_ms(30_000, 15, now_ms=99_000, wall_ms=DAY_MS)


@given(
    slot_ms=st.integers(0, DAY_MS),
    passed_ms=st.integers(0, PERIOD_MS - 1),
    wall_ms=st.integers(-DAY_MS, 20_000 * DAY_MS),
)
def test_whatever_the_wall_clock_shows_an_interval_is_neither_long_nor_short(slot_ms, passed_ms, wall_ms):
    due_ms = next_due_ms(slot_ms, 15, now_ms=slot_ms + passed_ms, wall_ms=wall_ms)

    assert 10_000 <= due_ms - slot_ms <= 15_500


@given(slot_ms=st.integers(0, DAY_MS), wall_at_slot_ms=st.integers(0, 20_000 * DAY_MS))
def test_the_grid_is_reached_and_then_kept(slot_ms, wall_at_slot_ms):
    offset_ms = wall_at_slot_ms - slot_ms
    for _ in range(16):
        slot_ms = next_due_ms(slot_ms, 15, now_ms=slot_ms, wall_ms=slot_ms + offset_ms)

    assert 0 == (slot_ms + offset_ms) % PERIOD_MS
