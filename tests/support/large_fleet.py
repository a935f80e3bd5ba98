"""A store with a large fleet in it: an hour of minutes, a day of hours, the latest ticks, a picture of each."""

import random
import time
from contextlib import contextmanager

from store_load import HOUR_MS, MINUTE_MS, TICK_MS, Load

from agent.png import Picture, encode_png
from jobs.store import writer
from jobs.store.connection import open_store, transaction
from jobs.store.reader import Screen

SICK = (3, 77, 78, 500, 777, 901)


def a_screen(seed, width=64, height=40):
    """Return a PNG of plausible size: stripes of a few colours."""
    colours = [bytes(random.Random(seed * 9 + n).randrange(256) for _ in range(3)) for n in range(4)]
    rows = [b"".join(colours[(x // 8 + y // 5) % 4] for x in range(width)) for y in range(height)]
    return encode_png(Picture(width, height, b"".join(rows)))


class LargeFleet:
    """The store's writer, for ticks that come later."""

    def __init__(self, connection, load):
        self.connection, self.load, self.number = connection, load, 0

    def tick(self, *, at_ms=None, sick=SICK):
        """Write one tick, by default of now."""
        at_ms = at_ms or int(time.time() * 1000)
        self.number += 1
        self.load.tick(self.connection, self.number, at_ms, sick)
        with transaction(self.connection):
            writer.tick_run(
                self.connection, "run-1", at_ms=at_ms, instances=len(self.load.keys), duration_seconds=0.2, problem=None
            )


@contextmanager
def a_large_fleet(path, instances=1000):
    """Yield a fleet in a new store file, its last tick of now."""
    now_ms = int(time.time() * 1000)
    connection = open_store(path)
    try:
        load = Load(instances)
        load.start(connection)
        load.hours(connection, now_ms // HOUR_MS * HOUR_MS - 24 * HOUR_MS, now_ms // HOUR_MS * HOUR_MS)
        load.minutes(connection, now_ms // MINUTE_MS * MINUTE_MS - HOUR_MS, now_ms // MINUTE_MS * MINUTE_MS)
        with transaction(connection):
            writer.start_run(connection, "run-1", command="collect", holder="test:1", at_ms=now_ms - 4 * TICK_MS)
            for number, key in enumerate(load.keys):
                writer.record_screen(connection, key, Screen(f"{number:016x}", now_ms, a_screen(number)))
        fleet = LargeFleet(connection, load)
        for back in (3, 2, 1, 0):
            fleet.tick(at_ms=int(time.time() * 1000) - back * TICK_MS)
        yield fleet
    finally:
        connection.close()
