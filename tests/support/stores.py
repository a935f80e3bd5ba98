"""Real store files with a small fleet in them, judged by the real rules and written by the real writer."""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from full_report import a_full_report

from agent.report import HealthReport, encode
from jobs.health.classify import classify
from jobs.health.history import EMPTY, History, remember
from jobs.health.incident import Incident, advance
from jobs.health.model import Connectivity, ConnectivityOutcome, Instance, InstanceKey, ProbeOutcome, ProbeResult
from jobs.health.policy import Policy
from jobs.store import writer
from jobs.store.connection import open_store, transaction
from jobs.store.reader import Screen

TICK_MS = 15_000


def an_instance(ordinal: int = 0, *, name: str | None = None, expects: float | None = None) -> Instance:
    """Return one instance as `instances.json` of the demo names it."""
    public_id = f"instance-{ordinal}"
    return Instance(
        InstanceKey(f"static/{public_id}"),
        public_id,
        name or f"Decoy {ordinal}",
        f"http://10.55.{ordinal}.2:8080/health",
        "a 512-byte guest",
        ("10.55.0.2", 5901),
        expect_motion_seconds=expects,
        expect_sound_seconds=expects,
        fields={
            "id": public_id,
            "name": name or f"Decoy {ordinal}",
            "healthUrl": f"http://10.55.{ordinal}.2:8080",
            "vncUrl": f"10.55.{ordinal}.2:5901",
            "streamUrl": "",
            "colour": "red",
        },
    )


class Fleet:
    """Instances whose ticks are written one after the other, with the history that judging them needs."""

    def __init__(self, connection: sqlite3.Connection, instances: Iterable[Instance], *, at_ms: int) -> None:
        self.connection = connection
        self.instances = {instance.key: instance for instance in instances}
        self.tick = 0
        self.at_ms = at_ms
        self._history: dict[InstanceKey, History] = {}
        self._incidents: dict[InstanceKey, Incident | None] = {}
        with transaction(connection):
            writer.record_inventory(connection, self.instances.values(), at_ms=at_ms)
            writer.start_run(connection, "run-1", command="collect", holder="test:1", at_ms=at_ms)

    def ticks(
        self,
        count: int = 1,
        answers: dict[str, HealthReport | ProbeOutcome] | None = None,
        outside: dict[str, ConnectivityOutcome] | None = None,
    ) -> None:
        """Write `count` ticks, 15 s apart; an instance that `answers` doesn't name is healthy."""
        for _ in range(count):
            self.tick += 1
            self.at_ms += TICK_MS
            rows = [self._row(one, answers or {}, outside or {}) for one in self.instances.values()]
            with transaction(self.connection):
                writer.record_tick(self.connection, self.tick, rows)
                writer.tick_run(
                    self.connection, "run-1", at_ms=self.at_ms, instances=len(rows), duration_seconds=0.2, problem=None
                )

    def tick_now(self, answers: dict[str, HealthReport | ProbeOutcome] | None = None) -> None:
        """Write a tick of now: what is older than 45 s reads as unknown."""
        self.at_ms = max(int(time.time() * 1000) - TICK_MS, self.at_ms - TICK_MS + 1)
        self.ticks(1, answers)

    def picture(self, public_id: str, png: bytes) -> None:
        """Keep a screen picture."""
        with transaction(self.connection):
            key = InstanceKey(f"static/{public_id}")
            writer.record_screen(self.connection, key, Screen("5f3a9c0b1d2e4f60", self.at_ms, png))

    def _row(self, instance, answers, outside):
        probe = self._probe(instance, answers.get(instance.public_id, ProbeOutcome.OK))
        outcome = outside.get(instance.public_id, ConnectivityOutcome.OK)
        latency = 0.004 if outcome is ConnectivityOutcome.OK else None
        connectivity = Connectivity(outcome, self.at_ms, latency)
        key = instance.key
        history = self._history.get(key, EMPTY)
        assessment = classify(instance, probe, connectivity, history, Policy())
        self._history[key] = remember(history, probe, assessment, tick=self.tick)
        change = advance(self._incidents.get(key), self._history[key], assessment, tick=self.tick, policy=Policy())
        if change:
            self._incidents[key] = None if change.incident.closed_at_ms else change.incident
        return writer.TickRow(probe, assessment, connectivity, change)

    def _probe(self, instance, answer):
        if answer is ProbeOutcome.OK:
            answer = a_full_report(sequence=self.tick)
        if isinstance(answer, ProbeOutcome):
            return ProbeResult(instance.key, answer, self.at_ms, 0.004, "nothing listens at 10.55.0.2:8080")
        return ProbeResult(
            instance.key, ProbeOutcome.OK, self.at_ms, 0.004, report=answer, body=encode(answer), skew_seconds=0.001
        )


@contextmanager
def a_fleet(path: Path, instances: Iterable[Instance], *, at_ms: int) -> Iterator[Fleet]:
    """Yield a fleet in a new store file."""
    connection = open_store(path)
    try:
        yield Fleet(connection, instances, at_ms=at_ms)
    finally:
        connection.close()
