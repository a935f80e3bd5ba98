import pytest
from builders import a_legacy_report, a_probe, a_report, an_assessment

from jobs.health.history import EMPTY, HISTORY_TICKS, MAX_GAP_MS, remember, total


def remembered(*at_ms):
    history = EMPTY
    for tick, at in enumerate(at_ms, start=1):
        history = remember(history, a_probe(at_ms=at), an_assessment(at_ms=at), tick=tick)
    return history


def test_only_the_last_ticks_are_kept_oldest_first():
    history = remembered(*range(0, 15_000 * 30, 15_000))

    assert list(range(31 - HISTORY_TICKS, 31)) == [one.tick for one in history.observations]


def test_a_gap_forgets_what_was_and_missed_ticks_do_not():
    assert [2] == [one.tick for one in remembered(0, MAX_GAP_MS + 1).observations]
    assert [1, 2] == [one.tick for one in remembered(0, MAX_GAP_MS).observations]


def test_a_clock_that_jumps_back_forgets_nothing():
    assert [1, 2] == [one.tick for one in remembered(7_200_000, 0).observations]


def test_a_reason_keeps_its_beginning_while_it_holds():
    history = EMPTY
    for tick, codes in enumerate([["TapDown"], ["TapDown", "AudioMuted"], ["AudioMuted"]], start=1):
        history = remember(history, a_probe(at_ms=tick), an_assessment(*codes, at_ms=tick), tick=tick)

    assert {"AudioMuted": 2} == history.since_ms


@pytest.mark.parametrize("jump_ms", [MAX_GAP_MS + 1, 7_200_000, -7_200_000])
def test_a_reason_begins_anew_after_a_gap_and_after_a_clock_that_jumped(jump_ms):
    history = EMPTY
    for tick, at_ms in enumerate([0, 15_000, 15_000 + jump_ms], start=1):
        history = remember(history, a_probe(at_ms=at_ms), an_assessment("TapDown", at_ms=at_ms), tick=tick)

    assert {"TapDown": 15_000 + jump_ms} == history.since_ms


def test_an_observation_holds_what_rules_look_back_at():
    probe = a_probe(a_report(sequence=41, network={"rx_dropped": 3}), at_ms=9)
    seen = remember(EMPTY, probe, an_assessment("TapDown", suspected=("HighCpu",)), tick=5).observations[0]

    assert (5, 9, ("TapDown",), ("HighCpu",)) == (seen.tick, seen.received_at_ms, seen.codes, seen.suspected)
    assert ("b-1", 41, "4711", 3600.0) == (seen.boot_id, seen.sequence, seen.qemu_pid, seen.qemu_uptime_seconds)
    assert 0 == seen.errors_total


def test_a_legacy_report_leaves_its_pid_and_its_counters():
    report = a_legacy_report(network={"tx_errors": 2}, performance={"qemu_pid": 1234})
    seen = remember(EMPTY, a_probe(report), an_assessment(), tick=1).observations[0]

    assert (None, None, "1234", None) == (seen.boot_id, seen.sequence, seen.qemu_pid, seen.qemu_uptime_seconds)
    assert 2 == seen.errors_total


def test_a_report_without_blocks_leaves_nothing_measured():
    report = a_report(agent=None, qemu=None, network=None, performance=None)
    seen = remember(EMPTY, a_probe(report), an_assessment(), tick=1).observations[0]

    assert {None} == {seen.boot_id, seen.qemu_pid, seen.qemu_uptime_seconds, seen.errors_total}


@pytest.mark.parametrize(("received", "sent", "expected"), [(1, 2, 3), (None, 2, None), (1, None, None), (0, 0, 0)])
def test_a_total_needs_both_directions(received, sent, expected):
    assert expected == total(received, sent)
