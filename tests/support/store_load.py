"""A store as a fleet fills it, by the real writer, faster than real time."""

import random
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator

import msgspec
from full_report import a_full_report

from agent.report import encode
from jobs.health.incident import Incident
from jobs.health.model import (
    Assessment,
    Connectivity,
    ConnectivityOutcome,
    Evidence,
    FailureClass,
    Instance,
    InstanceKey,
    ProbeOutcome,
    ProbeResult,
    Reason,
    Severity,
    Verdict,
)
from jobs.health.rollup import HOUR_MS, MINUTE_MS, Rollup
from jobs.store import writer
from jobs.store.connection import transaction
from jobs.store.rollups import add_to_minutes, put_hours
from jobs.store.writer import TickRow, record_inventory, record_tick

TICK_MS = 15_000
WEEK_MS = 7 * 24 * HOUR_MS

_REPORT = a_full_report()
_TIME = re.compile(rb"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ")
_NUMBER = re.compile(rb"(?<=:)(\d{2,}|\d+\.\d+)(?=[,}])")
_EVIDENCE = (
    Evidence("process_state", "Z", None, "", "report", 0),
    Evidence("qemu_healthy", value=False, limit=True),
)
_SICK = (Reason("QemuDead", FailureClass.QEMU, Severity.UNHEALTHY, _EVIDENCE),) * 2


class Load:
    """Instances named as a StatefulSet's pods are, and what they report; `seed` makes two runs alike."""

    def __init__(self, instances: int, *, seed: int = 4) -> None:
        self.keys = [InstanceKey(f"loco-emulators/loco-emulator-{ordinal}") for ordinal in range(instances)]
        self._random = random.Random(seed)
        self._bodies = {key: self._body(key) for key in self.keys}

    def rows(self, at_ms: int, sick: Iterable[int] = ()) -> list[TickRow]:
        """Return one tick of the fleet; every time and most numbers in a report are others each time."""
        sick = set(sick)
        return [self._row(key, at_ms, is_sick=ordinal in sick) for ordinal, key in enumerate(self.keys)]

    def start(self, connection: sqlite3.Connection) -> None:
        """Write the inventory."""
        with transaction(connection):
            instances = [
                Instance(key, f"instance-{n}", f"Instance {n}", f"http://10.1.0.{n}:8080/health", uid=f"{n:036}")
                for n, key in enumerate(self.keys)
            ]
            record_inventory(connection, instances, at_ms=0)

    def tick(self, connection: sqlite3.Connection, number: int, at_ms: int, sick: Iterable[int] = ()) -> None:
        """Write one tick."""
        rows = self.rows(at_ms, sick)
        with transaction(connection):
            record_tick(connection, number, rows)

    def minutes(self, connection: sqlite3.Connection, start_ms: int, end_ms: int) -> None:
        """Fill minutes with four ticks each."""
        for at_ms in range(start_ms, end_ms, MINUTE_MS):
            with transaction(connection):
                add_to_minutes(connection, self._rollups(at_ms, ticks=4))

    def hours(self, connection: sqlite3.Connection, start_ms: int, end_ms: int) -> None:
        """Fill hours with 240 ticks each."""
        for at_ms in range(start_ms, end_ms, HOUR_MS):
            with transaction(connection):
                put_hours(connection, self._rollups(at_ms, ticks=240))

    def past(self, connection: sqlite3.Connection, start_ms: int, end_ms: int) -> None:
        """Let each instance have had one incident a week, of four changes."""
        new = dict.fromkeys(self.keys, writer._Known(None, None))
        for tick, at_ms in enumerate(range(start_ms, end_ms, WEEK_MS // 4)):
            rows = self.rows(at_ms, sick=range(len(self.keys) * (tick % 2)))
            with transaction(connection):
                writer._write_changes(connection, tick, rows, new)
                for key in self.keys if tick % 4 == 0 else ():
                    writer._write_incident(connection, self._incident(key, tick, at_ms))

    def _incident(self, key: InstanceKey, tick: int, at_ms: int) -> Incident:
        """Return an incident that is over."""
        name = f"{self._random.getrandbits(48):012x}"
        codes = ("QemuDead", "VncUnavailable")
        ended_ms = at_ms + MINUTE_MS
        return Incident(name, key, at_ms, tick, FailureClass.QEMU, Verdict.UNHEALTHY, codes, _SICK, tick, ended_ms)

    def _rollups(self, at_ms: int, *, ticks: int) -> Iterator[tuple[InstanceKey, Rollup]]:
        """Yield one span of each instance, every twentieth with some trouble in it."""
        for key in self.keys:
            trouble = ("QemuDead", "VncUnavailable") if self._random.random() < 0.05 else ()
            values = [self._random.random() * ticks for _ in range(4)]
            sums = {"frame_rate_sum": values[0], "qemu_cpu_sum": values[1], "latency_sum": values[2]}
            counts = dict.fromkeys(("healthy", "frame_rate_count", "qemu_cpu_count", "latency_count"), ticks)
            yield key, Rollup(at_ms, codes=trouble, level_max=values[3], **sums, **counts)

    def _body(self, key: InstanceKey) -> bytes:
        """Return a report with the names that stay as they are for an instance's life."""
        uid, boot_id, picture = (f"{self._random.getrandbits(64):016x}" for _ in range(3))
        agent = msgspec.structs.replace(_REPORT.agent, pod=key.partition("/")[2], uid=uid * 2, boot_id=boot_id)
        screen = msgspec.structs.replace(_REPORT.screen, hash=picture)
        return encode(msgspec.structs.replace(_REPORT, agent=agent, screen=screen))

    def _row(self, key: InstanceKey, at_ms: int, *, is_sick: bool) -> TickRow:
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_ms / 1000))
        body = _TIME.sub(lambda _: f"{second}.{self._random.randrange(1000):03}Z".encode(), self._bodies[key])
        body = _NUMBER.sub(self._another, body)
        seconds, skew = self._random.random() / 50, self._random.random()
        probe = ProbeResult(key, ProbeOutcome.OK, at_ms, seconds, "", _REPORT, body, skew)
        assessment = Assessment(key, at_ms, Verdict.HEALTHY, FailureClass.NONE)
        if is_sick:
            assessment = Assessment(key, at_ms, Verdict.UNHEALTHY, FailureClass.QEMU, _SICK)
        return TickRow(probe, assessment, Connectivity(ConnectivityOutcome.OK, at_ms, self._random.random() / 100))

    def _another(self, number: re.Match[bytes]) -> bytes:
        return bytes(byte if byte == 0x2E else self._random.randrange(0x31, 0x3A) for byte in number[0])
