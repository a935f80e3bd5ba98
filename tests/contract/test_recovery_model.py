"""Recovery's promises under schedules that a seed makes: kills, pauses, doubles, lost replies, clocks, lost stores.

The ledger, launcher, recoverer and the agents' gate are the real code on real SQLite; the cluster around them is a
world of its own, which sees every act in real time. `python tests/support/recovery_explorer.py SEED` tells one of them.
"""

import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from recovery_explorer import explore_all
from recovery_plants import PLANTS

PROCESSES = 2
CHUNK = 250


def _explore(first, count):
    """Run schedules in two processes; return what each came to, up to a broken one of each chunk."""
    chunks = [range(start, min(start + CHUNK, first + count)) for start in range(first, first + count, CHUNK)]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        return [told for chunk in pool.map(explore_all, chunks) for told in chunk]


def _assert_kept(told):
    broken = [one for one in told if one.broken]
    for one in broken[:1]:
        print("\n".join(one.story))
    assert [] == [f"seed {one.seed}: {one.broken}" for one in broken]


@pytest.mark.timeout(900)
def test_ten_thousand_schedules_break_no_promise():
    told = _explore(0, 10_000)

    _assert_kept(told)
    assert 10_000 == len(told)
    # A world in which nothing happens keeps every promise.
    assert 12_000 < sum(one.acts for one in told)
    assert 500 < sum(one.acts > 3 for one in told)
    assert 3000 < sum(one.deletions for one in told)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_other_schedules_break_no_promise():
    first = random.SystemRandom().randrange(1 << 40)
    print(f"seeds from {first}")

    _assert_kept(_explore(first, 100_000))


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_bug_is_found(plant):
    with PLANTS[plant]():
        told = explore_all(range(2000))

    assert told[-1].broken


def test_a_schedule_is_the_same_each_time():
    first, second = ([(one.acts, one.attempts, one.broken) for one in explore_all(range(40))] for _ in range(2))

    assert first == second
