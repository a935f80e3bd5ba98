"""SIGKILL at any statement of a hand-over: somebody ticks on, and no tick is made twice."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from handover import largest_gap_seconds
from killed import hand_over_with_a_death

# Statements of blocks that write. Successor: announcing 4, taking 4, a beat 3, a tick 6. Holder: a tick 6, leaving 6.
STATEMENTS = {"holder": range(1, 13), "successor": range(1, 18), "both": range(1, 13)}


def die_at_each(folder: Path, victim: str, statements: range, *, beat_seconds: float, scale: float, at_once: int):
    """Return what came of a death at each of the statements."""
    scenario = partial(hand_over_with_a_death, beat_seconds=beat_seconds, scale=scale)

    def one(statement: int):
        for attempt in ("first", "second"):
            own = folder / f"{statement}-{attempt}"
            own.mkdir()
            outcome = scenario(own, victim, statement)
            if outcome.deaths:
                break  # else a slow disk had the holder superseded before it came to its statement
        return outcome

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, statements))


def assert_promise(outcomes, *, limit_seconds: float, starts: int = 0) -> None:
    """Check that no scenario missed or repeated a tick, and that each one killed somebody.

    starts: how many processes may have to start within the limit, in the time that this machine needs for one.
    """
    assert sum(outcome.deaths > 0 for outcome in outcomes) == len(outcomes)
    for outcome in outcomes:
        assert [*range(1, len(outcome.ticks) + 1)] == [tick.number for tick in outcome.ticks]
    gaps_seconds = [largest_gap_seconds(outcome.ticks) for outcome in outcomes]
    start_seconds = max(outcome.start_seconds for outcome in outcomes)
    print(f"{len(outcomes)} deaths, largest gap {max(gaps_seconds):.1f} s, longest start {start_seconds:.1f} s")
    assert max(gaps_seconds) < limit_seconds + starts * start_seconds


@pytest.mark.parametrize("victim", STATEMENTS)
def test_a_death_at_a_sample_of_statements_is_made_good(tmp_path: Path, victim: str):
    """A beat of one second; the limit leaves a loaded machine three seconds, and two starts of a process."""
    outcomes = die_at_each(tmp_path, victim, STATEMENTS[victim][::3], beat_seconds=1, scale=1 / 15, at_once=2)

    assert_promise(outcomes, limit_seconds=26 / 15 + 3, starts=2)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("victim", STATEMENTS)
def test_a_death_at_any_statement_leaves_no_gap_over_26_seconds(tmp_path: Path, victim: str):
    """The real figures: a tick every 15 s."""
    outcomes = die_at_each(tmp_path, victim, STATEMENTS[victim], beat_seconds=15, scale=1, at_once=12)

    assert_promise(outcomes, limit_seconds=26)
