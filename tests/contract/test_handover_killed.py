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
        own = folder / str(statement)
        own.mkdir()
        return scenario(own, victim, statement)

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, statements))


def assert_promise(outcomes, *, limit_seconds: float) -> None:
    """Check that no scenario missed or repeated a tick, and that each one killed somebody."""
    assert sum(outcome.deaths > 0 for outcome in outcomes) == len(outcomes)
    for outcome in outcomes:
        assert [*range(1, len(outcome.ticks) + 1)] == [tick.number for tick in outcome.ticks]
    gap_seconds = max(largest_gap_seconds(outcome.ticks) for outcome in outcomes)
    print(f"{len(outcomes)} deaths, largest gap {gap_seconds:.1f} s")
    assert gap_seconds < limit_seconds


@pytest.mark.parametrize("victim", STATEMENTS)
def test_a_death_at_a_sample_of_statements_is_made_good(tmp_path: Path, victim: str):
    """A beat of one second; the limit leaves a loaded machine three seconds to start processes in."""
    outcomes = die_at_each(tmp_path, victim, STATEMENTS[victim][::3], beat_seconds=1, scale=1 / 15, at_once=6)

    assert_promise(outcomes, limit_seconds=26 / 15 + 3)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("victim", STATEMENTS)
def test_a_death_at_any_statement_leaves_no_gap_over_26_seconds(tmp_path: Path, victim: str):
    """The real figures: a tick every 15 s."""
    outcomes = die_at_each(tmp_path, victim, STATEMENTS[victim], beat_seconds=15, scale=1, at_once=12)

    assert_promise(outcomes, limit_seconds=26)
