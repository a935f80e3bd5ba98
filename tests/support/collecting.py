"""A collector whose rounds a test makes, and agents for it to ask."""

from contextlib import ExitStack, closing, contextmanager

from full_report import a_full_report
from servers import http, read_request, serving

from agent.report import encode
from jobs.clock import Clock
from jobs.collector import CONNECTIVITY, REPORTS, Collector
from jobs.health.model import Instance, InstanceKey
from jobs.health.policy import Policy
from jobs.health.situation import Leave
from jobs.planner import Recovery
from jobs.store import reader
from jobs.store.connection import open_store, transaction
from jobs.store.writer import record_inventory


class Rounds:
    """Makes the rounds of one collector as a window would, one after the other."""

    def __init__(self, connection, *, control=None):
        self.connection = connection
        self.tick = 0
        self.recovery = Recovery(Leave(Policy()), control)
        self.bounds = self.recovery.leave.policy.recovery
        self.clock = Clock()
        self.collector = Collector(self.recovery, clock=self.clock)
        self.collector.resume(connection)

    def close(self):
        """End the collector."""
        self.collector.close()

    def now(self):
        """Return a reading of the clocks."""
        return self.clock.moment()

    def discover(self, *instances):
        """Be the discoverer."""
        with transaction(self.connection):
            record_inventory(self.connection, instances, at_ms=1)

    def reports(self):
        """Make one numbered tick."""
        self._round(REPORTS)
        self.tick += 1

    def connectivity(self):
        """Make one round between two ticks."""
        self._round(CONNECTIVITY)

    def _round(self, beat):
        observed = self.collector.observe(beat, self.tick + 1)
        with transaction(self.connection):
            observed.write(self.connection)

    def latest(self, name):
        """Return what the store says of one instance."""
        return reader.latest(self.connection).get(InstanceKey(f"static/{name}"))


@contextmanager
def a_collector(store, *, control=None):
    """Yield the rounds of a collector over a new store at that path."""
    with closing(open_store(store)) as connection:
        rounds = Rounds(connection, control=control)
        with closing(rounds):
            yield rounds


def an_instance(name, server, *, vnc_port=None):
    address = ("127.0.0.1", vnc_port) if vnc_port else None
    return Instance(InstanceKey(f"static/{name}"), name, name, server.url, vnc_address=address)


@contextmanager
def agents(*scripts):
    with ExitStack() as stack:
        yield [stack.enter_context(serving(script)) for script in scripts]


class Agent:
    """A well-behaved agent whose answers a test may change; its sequence counts requests."""

    def __init__(self):
        self.sequence = 0
        self.screen_hash = "first"
        self.png = b"\x89PNG\r\n\x1a\none"
        self.is_well = True
        self.uid = None

    def serve(self, connection):
        """Answer reports and pictures."""
        while head := read_request(connection):
            self.sequence += 1
            if not self.is_well:
                connection.sendall(http(b"<html>", content_type="text/html"))
            elif head.startswith(b"GET /screen.png "):
                connection.sendall(http(self.png, content_type="image/png"))
            else:
                report = a_full_report(uid=self.uid, sequence=self.sequence, screen_hash=self.screen_hash)
                connection.sendall(http(encode(report)))
