"""Real runs hand the baton over at short beats, with every patience a tenth of the real one."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from handover import largest_gap_seconds, runs, runs_table

BEAT_SECONDS = 0.6

# The grid's drift and a loaded machine of two cores; the real figures are the soak's.
SLACK_SECONDS = 0.9

# A pod sees no other pod's processes; a host name of its own makes a process as strange.
ELSEWHERE = ("unshare", "--map-root-user", "--uts", "sh", "-c", 'hostname elsewhere; exec "$@"', "sh")


def numbers(ticks) -> list[int]:
    return [tick.number for tick in ticks]


def test_two_hand_overs_leave_no_gap_and_tick_nothing_twice(tmp_path: Path):
    with runs(tmp_path, beat_seconds=BEAT_SECONDS) as fleet:
        first = fleet.start()
        fleet.wait_ticks(2)
        second = fleet.start()
        fleet.wait_holder(second)
        third = fleet.start()
        fleet.wait_holder(third)
        exits = [first.wait(20), second.wait(20)]
        ticks = fleet.ticks()

        assert [0, 0] == exits
        assert ["done", "done"] == [fleet.closing_line(run)["outcome"] for run in (first, second)]
        assert list(range(1, len(ticks) + 1)) == numbers(ticks)
        assert largest_gap_seconds(ticks) < BEAT_SECONDS + SLACK_SECONDS
        assert [first.pid, second.pid, third.pid] == list(dict.fromkeys(tick.pid for tick in ticks))


@pytest.mark.parametrize("name", ["first", "second"])
def test_a_run_that_is_killed_is_followed_at_once_where_its_death_can_be_seen(tmp_path: Path, name: str):
    with runs(tmp_path, beat_seconds=BEAT_SECONDS) as fleet:
        first = fleet.start()
        fleet.wait_ticks(2)
        second = fleet.start()
        if name == "second":
            fleet.wait_holder(second)
            first.wait(20)
            first, second = second, fleet.start()
        fleet.wait_announced(second)
        first.kill()
        fleet.wait_holder(second)
        ticks = fleet.ticks()

        assert list(range(1, len(ticks) + 1)) == numbers(ticks)
        assert largest_gap_seconds(ticks) < BEAT_SECONDS + SLACK_SECONDS


def test_a_holder_that_was_stopped_writes_nothing_when_it_wakes(tmp_path: Path):
    with runs(tmp_path, beat_seconds=BEAT_SECONDS) as fleet:
        first = fleet.start("--round-seconds", "0.3")
        fleet.wait_ticks(2)
        os.kill(first.pid, signal.SIGSTOP)
        before = len(fleet.ticks())
        second = fleet.start()
        fleet.wait_holder(second)
        fleet.wait_ticks(before + 3)
        os.kill(first.pid, signal.SIGCONT)
        exit_code = first.wait(20)
        ticks = fleet.wait_ticks(before + 5)

        assert 0 == exit_code
        assert "superseded" == fleet.closing_line(first)["outcome"]
        assert {second.pid} == {tick.pid for tick in ticks[before:]}
        assert list(range(1, len(ticks) + 1)) == numbers(ticks)


def test_silence_is_what_counts_where_no_process_can_be_seen(tmp_path: Path):
    with runs(tmp_path, beat_seconds=BEAT_SECONDS) as fleet:
        first = fleet.start(prefix=ELSEWHERE)
        fleet.wait_ticks(2)
        first.kill()
        killed_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        second = fleet.start()
        fleet.wait_holder(second)
        ticks = fleet.ticks()

        assert list(range(1, len(ticks) + 1)) == numbers(ticks)
        assert 1.2 < ticks[-1].at - killed_at < 1.2 + BEAT_SECONDS + 3


def test_the_holder_takes_the_baton_back_from_a_successor_that_never_ticks(tmp_path: Path):
    """The successor dies after it took the baton, unseen."""
    first_beat_after_taking = "9"
    with runs(tmp_path, beat_seconds=BEAT_SECONDS) as fleet:
        first = fleet.start()
        fleet.wait_ticks(2)
        second = fleet.start("--die-at", first_beat_after_taking, prefix=ELSEWHERE)
        second.wait(20)
        before = len(fleet.ticks())
        ticks = fleet.wait_ticks(before + 2)

        assert {first.pid} == {tick.pid for tick in ticks}
        assert 3 == fleet.lease().token
        assert list(range(1, len(ticks) + 1)) == numbers(ticks)
        assert largest_gap_seconds(ticks) < BEAT_SECONDS + 1.0 + SLACK_SECONDS


def test_a_slow_round_is_no_silence(tmp_path: Path):
    """A round of 3 s, in which nothing is silent for 2.4 s, and which would hang after 4 s."""
    with runs(tmp_path, beat_seconds=BEAT_SECONDS, scale=0.2) as fleet:
        first = fleet.start("--round-seconds", "3", prefix=ELSEWHERE)
        fleet.wait_ticks(1)
        second = fleet.start()
        fleet.wait_holder(second)
        first.wait(20)

        assert "done" == fleet.closing_line(first)["outcome"]


def test_a_round_that_hangs_ends_its_process_and_another_takes_over(tmp_path: Path):
    with runs(tmp_path, beat_seconds=BEAT_SECONDS) as fleet:
        first = fleet.start("--round-seconds", "30")
        exit_code = first.wait(20)
        second = fleet.start()
        fleet.wait_holder(second)

        assert os.EX_TEMPFAIL == exit_code
        assert [(1, second.pid)] == [(tick.number, tick.pid) for tick in fleet.ticks()][:1]


def test_a_run_that_is_asked_to_leave_leaves_the_lease_vacant(tmp_path: Path):
    with runs(tmp_path, beat_seconds=BEAT_SECONDS) as fleet:
        run = fleet.start()
        fleet.wait_ticks(1)
        run.terminate()

        assert 0 == run.wait(10)
        assert None is fleet.lease().holder
        assert ["done"] == [row["outcome"] for row in runs_table(fleet.store)]


def test_a_run_that_is_asked_to_leave_in_a_long_round_abandons_it(tmp_path: Path):
    with runs(tmp_path, beat_seconds=BEAT_SECONDS, scale=0.2) as fleet:
        run = fleet.start("--round-seconds", "3.5")
        fleet.wait_held()
        run.terminate()

        assert 0 == run.wait(10)
        assert [] == fleet.ticks()


@pytest.mark.parametrize("step_seconds", [7207, -7207])
def test_a_wall_clock_that_steps_neither_delays_nor_repeats_a_tick(tmp_path: Path, step_seconds: int):
    with runs(tmp_path, beat_seconds=BEAT_SECONDS) as fleet:
        fleet.start("--wall-step", str(step_seconds), "--wall-step-after", "1.5")
        fleet.wait_ticks(3)
        second = fleet.start()
        fleet.wait_holder(second)
        ticks = fleet.wait_ticks(len(fleet.ticks()) + 2)

        assert list(range(1, len(ticks) + 1)) == numbers(ticks)
        assert largest_gap_seconds(ticks) < BEAT_SECONDS + SLACK_SECONDS


def test_by_hand_asks_the_holder_for_a_tick_and_takes_nothing(tmp_path: Path):
    with runs(tmp_path, beat_seconds=30, scale=1) as fleet:
        holder = fleet.start()
        fleet.wait_ticks(1)
        by_hand = fleet.start(window=0)
        exit_code = by_hand.wait(20)
        said = by_hand.stdout.read().decode()

        assert 0 == exit_code
        assert f"collect: tick 2 of 1 instances in N s by {fleet.lease().holder}; problem: none\n" == re.sub(
            r"in \d+\.\d\d s", "in N s", said
        )
        assert [holder.pid, holder.pid] == [tick.pid for tick in fleet.ticks()]
        assert 1 == fleet.lease().token


def test_by_hand_ticks_itself_when_nobody_holds_the_baton(tmp_path: Path):
    with runs(tmp_path, beat_seconds=30) as fleet:
        by_hand = fleet.start(window=0)
        exit_code = by_hand.wait(20)

        assert 0 == exit_code
        assert "collect: tick 1 of 1 instances" in by_hand.stdout.read().decode()
        assert [by_hand.pid] == [tick.pid for tick in fleet.ticks()]
        assert None is fleet.lease().holder


def test_of_two_that_wait_only_the_last_announced_takes(tmp_path: Path):
    with runs(tmp_path, beat_seconds=8) as fleet:
        first = fleet.start()
        fleet.wait_ticks(1)
        second = fleet.start()
        fleet.wait_announced(second)
        third = fleet.start()
        fleet.wait_holder(third)

        assert [0, 0] == [first.wait(20), second.wait(20)]
        assert "superseded" == fleet.closing_line(second)["outcome"]
        assert second.pid not in {tick.pid for tick in fleet.ticks()}


def test_a_run_that_slept_through_its_ticks_makes_one_and_not_all_of_them(tmp_path: Path):
    with runs(tmp_path, beat_seconds=BEAT_SECONDS) as fleet:
        run = fleet.start()
        before = len(fleet.wait_ticks(2))
        os.kill(run.pid, signal.SIGSTOP)
        time.sleep(3.5 * BEAT_SECONDS)
        os.kill(run.pid, signal.SIGCONT)
        woken = fleet.wait_ticks(before + 3)[before:]

        assert woken[1].at - woken[0].at > BEAT_SECONDS / 2
