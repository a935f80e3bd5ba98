"""A store that may act, and runs of `python -m jobs recover` on it."""

import json
import subprocess
import sys
from types import SimpleNamespace

from collecting import Rounds

from jobs.clock import Clock
from jobs.collector import Collector
from jobs.health.policy import Policy
from jobs.health.recovery import Action, Attempt, AttemptOutcome, Limits, Order
from jobs.health.situation import Leave
from jobs.planner import Recovery
from jobs.store import ledger
from jobs.store.connection import open_store, reading, transaction
from jobs.template import attempt_job_name


class Store:
    """A store that may act, with a collector whose rounds a test makes."""

    def __init__(self, path):
        self.path = path
        self.connection = open_store(path)
        self.rounds = Rounds(self.connection)
        self.rounds.collector.close()
        # A decoy is up within seconds, and its faults are to be seen then.
        self.rounds.collector = Collector(Recovery(Leave(Policy(boot_grace_seconds=1.0))), clock=Clock())
        self.rounds.collector.resume(self.connection)
        with transaction(self.connection):
            ledger.adopt(self.connection, (), now=Clock().moment())

    def close(self):
        """Close it all."""
        self.rounds.collector.close()
        self.connection.close()

    def book(self, instance, action, *codes):
        """Book an attempt as the dispatcher does; its incident is none, so that the test needs no two ticks."""
        order = Order(key=instance.key, action=action, uid=instance.uid, codes=codes)
        with transaction(self.connection):
            booked = ledger.book(self.connection, order, Limits(), now=Clock().moment())
        assert isinstance(booked, Attempt), booked
        return booked.id

    def spend_budget(self, instance):
        """Act three times, as far apart as the ledger wants, by a clock that goes ahead of the machine's."""
        for number in range(3):
            real = Clock().moment()
            now = ledger.Moment(real.boot_id, real.boottime_ms + (number + 1) * 100_000, real.wall_ms)
            with transaction(self.connection):
                order = Order(key=instance.key, action=Action.RESET_AUDIO)
                booked = ledger.book(self.connection, order, Limits(), now=now)
                assert isinstance(booked, Attempt), booked
                ledger.claim(self.connection, booked.id, "runner", now=now)
                ledger.begin_act(self.connection, booked.id, "runner", now=now)
                ledger.end(
                    self.connection, booked.id, ledger.Ending(AttemptOutcome.HEALED, "well"), now=now, runner="runner"
                )

    def job(self, attempt_id, public_id):
        """Return the name of an attempt's Job."""
        return attempt_job_name(ledger.store_name(self.connection), public_id, attempt_id)

    def row(self, attempt_id):
        """Return an attempt as the ledger has it."""
        with reading(self.connection):
            return ledger.find(self.connection, attempt_id)

    def command(self, *words):
        """Return the command line of one recovery."""
        return [sys.executable, "-m", "jobs", "recover", "--store", str(self.path), *(str(word) for word in words)]

    def recover(self, *words):
        """Run one recovery to its end; return its exit code, the line that it says, and its log."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        said = json.loads(done.stdout) if done.stdout else None
        return SimpleNamespace(exit_code=done.returncode, said=said, log=done.stderr)

    def recover_booked(self, attempt_id, *words, public_id="instance-0"):
        """Run a booked attempt."""
        return self.recover("--attempt", attempt_id, "--job-name", self.job(attempt_id, public_id), *words)
