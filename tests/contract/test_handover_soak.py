"""Ten hand-overs of the real collect under `local`, at the real figures."""

import json
import subprocess
import sys
import time
from contextlib import closing
from itertools import pairwise

import pytest

from jobs.store.connection import open_reader

WINDOW_SECONDS = 30
HAND_OVERS = 10


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_ten_hand_overs_leave_no_gap_over_16_seconds(tmp_path):
    store, instances = tmp_path / "loco.db", tmp_path / "instances.json"
    instances.write_text(json.dumps([{"id": "a", "healthUrl": "http://127.0.0.1:1"}]))
    arguments = ("--instances", instances, "--store", store, "--window", str(WINDOW_SECONDS))
    with subprocess.Popen([sys.executable, "-m", "jobs", "local", *arguments], stdin=subprocess.DEVNULL) as process:
        time.sleep((HAND_OVERS + 1.5) * WINDOW_SECONDS)
        process.terminate()
    with closing(open_reader(store)) as connection:
        ticks = connection.execute("SELECT tick, received_at_ms FROM reports ORDER BY received_at_ms").fetchall()
        ran = connection.execute("SELECT outcome, ticks FROM runs WHERE command = 'collect' AND ticks > 0").fetchall()
    gaps_seconds = [(later - earlier) / 1000 for (_, earlier), (_, later) in pairwise(ticks)]
    numbers = [tick for tick, _ in ticks]
    print(f"hand-overs {len(ran) - 1}, ticks {len(ticks)}, gaps {sorted(gaps_seconds)[-5:]} s")

    assert len(ran) > HAND_OVERS
    assert ["done"] * len(ran) == [outcome for outcome, _ in ran]
    assert list(range(numbers[0], numbers[0] + len(numbers))) == numbers
    assert max(gaps_seconds) <= 16
