"""What one scrape of `/metrics` costs the API, of 1,000 instances of which a fifth is sick."""

import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from store_load import Load

from api.follower import Follower
from api.metrics import exposition
from api.volume import measure
from jobs.store.connection import open_store

INSTANCES = 1000
SCRAPES = 10


def main() -> None:
    """Print one row of the README's table."""
    with tempfile.TemporaryDirectory() as folder:
        store, load = Path(folder) / "loco.db", Load(INSTANCES)
        with closing(open_store(store)) as connection:
            load.start(connection)
            load.tick(connection, 1, int(time.time() * 1000), sick=range(0, INSTANCES, 5))
        follower = Follower(store, lambda: int(time.time() * 1000))
        fleet = follower.look()
        exposition(fleet, measure(store, None), is_open_metrics=True)
        began = time.process_time()
        for _ in range(SCRAPES):
            body, _ = exposition(fleet, measure(store, None), is_open_metrics=True)
        seconds = (time.process_time() - began) / SCRAPES
        follower.close()
    series = sum(not line.startswith(b"#") for line in body.splitlines())
    note = f"{series:,} series, {len(body) / 1e6:.1f} MB"
    print(f"| scrape of `/metrics`, {INSTANCES:,} instances | {seconds:.2f} s CPU | {note} |")


if __name__ == "__main__":
    main()
