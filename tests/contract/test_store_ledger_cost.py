"""What a look at the ledger costs, counted in SQLite's own steps."""

from contextlib import closing

import pytest
from ledgers import KEY, an_adopted_store

from jobs.health.recovery import Limits
from jobs.store import attempts, ledger
from jobs.store.connection import transaction

LIMITS = Limits()
HOUR = 3600


@pytest.fixture
def connection(tmp_path):
    with closing(an_adopted_store(tmp_path / "loco.db")) as connection:
        yield connection


def _steps(connection, look):
    """Return how many hundreds of steps SQLite makes for a look."""
    steps = []
    connection.set_progress_handler(lambda: steps.append(1), 100)
    look()
    connection.set_progress_handler(None, 0)
    return len(steps)


@pytest.mark.parametrize(
    "look",
    [
        ledger.open_attempts,
        lambda connection: attempts.recent(connection, window_ms=HOUR * 1000),
        lambda connection: ledger.has_ended_since(connection, KEY, 0),
        lambda connection: ledger.refusal(connection, KEY, LIMITS, witnessed_ms=HOUR * 1000, is_forced=False),
    ],
    ids=["what is open", "what is recent", "the last end", "the budget"],
)
def test_what_is_long_over_costs_no_look_anything(connection, look):
    with transaction(connection):
        connection.executemany(
            "INSERT INTO attempts (key, number, action, codes, origin, requested_by, is_forced, state, booked_ms,"
            " spent_ms, ended_ms, booked_at_ms, outcome) VALUES (?, 1, 'reset-audio', '', 'policy', '', 0, 'ended',"
            " ?2, ?2, ?2, 0, 'healed')",
            [(KEY, -number) for number in range(1, 3000)],
        )
        connection.execute("UPDATE ledger SET witnessed_ms = ?", (HOUR * 1000,))

    assert 2 > _steps(connection, lambda: look(connection))
