"""A notifier over a real store, whose rounds a test makes as a window would."""

import time
from pathlib import Path

from api_server import wait_for
from receivers import KEY

from jobs.notifier import Notifier
from jobs.notify.address import Links, parse_receiver
from jobs.notify.alertmanager import Alertmanager, alerts_address
from jobs.notify.posting import Line
from jobs.notify.secret import read_keys
from jobs.notify.webhook import Webhook
from jobs.store import deliveries
from jobs.store.connection import open_store, transaction

LINKS = Links("https://loco.example/base", "https://docs.example/runbooks")


def now_ms():
    """Return the wall clock."""
    return round(time.time() * 1000)


def a_webhook(receiver, folder, *, links=LINKS, clock=now_ms):
    """Return the destination of a receiver."""
    key = folder / "webhook-key"
    key.write_text(f"{KEY}\n")
    return Webhook(Line(parse_receiver("LOCO_WEBHOOK_URL", receiver.url)), read_keys("KEY", key), links, clock=clock)


def alertmanager_at(url, *, clock=now_ms, repeat_seconds=60.0, stand_seconds=1.0):
    """Return the destination of an Alertmanager; its alerts stand for as long as the test has patience."""
    address = alerts_address("LOCO_ALERTMANAGER_URL", parse_receiver("LOCO_ALERTMANAGER_URL", url))
    return Alertmanager(Line(address), LINKS, clock=clock, repeat_seconds=repeat_seconds, stand_seconds=stand_seconds)


class Telling:
    """Makes the rounds of one notifier, over a connection of its own. clock: Unix milliseconds."""

    def __init__(self, fleet, *destinations, clock=now_ms):
        self.connection = open_store(Path(fleet.connection.execute("PRAGMA database_list").fetchone()[2]))
        self.notifier = Notifier(destinations, clock=clock)
        self.problem = None
        self.go()

    def go(self, *, is_tick=False, is_killed=False):
        """Make one round. is_killed: it dies before it writes what it did."""
        observed = self.notifier.observe(self.connection, is_tick=is_tick)
        self.problem = observed.problem
        if observed.write and not is_killed:
            with transaction(self.connection):
                observed.write(self.connection)
        return observed

    def until(self, condition, *, seconds=20):
        """Make rounds until something is so."""

        def is_so():
            self.go()
            return condition()

        wait_for(is_so, seconds=seconds)

    def drain(self, *, seconds=20):
        """Make rounds until nothing waits."""
        self.until(lambda: not self.waiting(), seconds=seconds)

    def waiting(self):
        """Return how many deliveries wait."""
        return sum(queue.waiting for queue in deliveries.queues(self.connection).values())
