"""The size that architecture section 7 promises: 200 instances over 90 days in less than 200 MB."""

from contextlib import closing

import pytest
from store_load import TICK_MS, Load

from jobs.health.rollup import HOUR_MS
from jobs.store import reader
from jobs.store.connection import open_store
from jobs.store.writer import RAW_TICKS

NOW_MS = 1_795_550_400_000
DAY_MS = 24 * HOUR_MS


@pytest.mark.soak
def test_two_hundred_instances_over_ninety_days_fit_in_200_mb(tmp_path):
    """As the file stands just before an upkeep, with an hour more of minutes than is kept.

    Each instance had an incident of four changes in each week.
    """
    path = tmp_path / "loco.db"
    load = Load(200)
    with closing(open_store(path)) as connection:
        load.start(connection)
        load.past(connection, NOW_MS - 90 * DAY_MS, NOW_MS)
        load.hours(connection, NOW_MS - 90 * DAY_MS, NOW_MS - HOUR_MS)
        load.minutes(connection, NOW_MS - 49 * HOUR_MS, NOW_MS)
        for tick in range(1, RAW_TICKS + 2):
            load.tick(connection, tick, NOW_MS + (tick - RAW_TICKS) * TICK_MS)

        assert RAW_TICKS == len(reader.recent(connection, 1000)[load.keys[0]])
    assert path.stat().st_size < 200e6
