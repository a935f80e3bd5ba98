"""A store with a due plan, and launchers that make of it Jobs at a small API server, round by round."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import yaml
from ledgers import INCIDENT, KEY, WALL_MS, put_incident
from object_server import Objects
from pods import a_pod, a_pods_instance

from jobs.clock import Clock
from jobs.cluster.jobs import ClusterJobs
from jobs.health.control import Stop
from jobs.health.model import InstanceKey
from jobs.health.recovery import Action, Attempt, Limits, Plan
from jobs.recovery.launcher import Launcher
from jobs.store import ledger, writer
from jobs.store.connection import open_store, transaction
from jobs.store.plans import put_plans

MANIFEST = Path(__file__).resolve().parents[2] / "manifests" / "recover-cronjob.yaml"
NAMESPACE = "loco-health"
CRONJOB = f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs/recover"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
BOOT = "boot-1"


class Time:
    """A clock that a test sets; all its readings move together but for the wall's."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.wall_ms = WALL_MS
        self.clock = Clock(lambda: self.seconds, lambda: self.seconds, lambda: self.wall_ms / 1000, BOOT)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds
        self.wall_ms += round(seconds * 1000)


class Fleet:
    """One instance, or more, with an open incident each, in a store that collect has just ticked on."""

    def __init__(self, path: Path, time: Time, *, instances: int = 1, is_adopted: bool = True) -> None:
        self.path, self.time = path, time
        self.keys = [KEY] + [InstanceKey(f"loco-instances/loco-emulator-{n}") for n in range(1, instances)]
        is_new = not path.exists()
        self.connection = open_store(path)
        if is_new:
            self._fill(is_adopted=is_adopted)

    def _fill(self, *, is_adopted: bool) -> None:
        with transaction(self.connection):
            known = [
                replace(
                    a_pods_instance(a_pod(namespace="loco-instances", name=key.rpartition("/")[2])),
                    uid=f"uid-{n}",
                    public_id=f"instance-{n}",
                )
                for n, key in enumerate(self.keys)
            ]
            writer.record_inventory(self.connection, known, at_ms=WALL_MS)
            for n, key in enumerate(self.keys):
                put_incident(self.connection, f"incident-{n}", key=key)
            if is_adopted:
                ledger.adopt(self.connection, (), now=self.time.clock.moment())

    def tick(self, **fields: object) -> None:
        """Let collect make one tick, with a due plan for each instance."""
        with transaction(self.connection):
            self.connection.execute(
                "INSERT INTO leases (name, slot_ms, boot_id) VALUES ('collect', ?1, ?2)"
                " ON CONFLICT (name) DO UPDATE SET slot_ms = ?1, boot_id = ?2, tick = tick + 1",
                (self.time.clock.boottime_ms(), BOOT),
            )
            put_plans(
                self.connection,
                [
                    replace(a_plan(), key=key, incident=f"incident-{n}", decided_at_ms=self.time.wall_ms, **fields)
                    for n, key in enumerate(self.keys)
                ],
            )

    def attempts(self) -> list[Attempt]:
        """Return all attempts."""
        return ledger.every(self.connection)

    def store(self) -> str:
        """Return the ledger's name."""
        return ledger.store_name(self.connection)


def a_plan() -> Plan:
    """Return a due plan."""
    return Plan(
        incident=INCIDENT,
        key=KEY,
        decided_at_ms=WALL_MS,
        action=Action.RESET_AUDIO,
        uid="uid-0",
        restarts=0,
        codes=("AudioMuted",),
    )


class Dispatch:
    """One dispatcher's launcher, with a connection of its own, making rounds as a window would."""

    def __init__(self, fleet: Fleet, jobs: ClusterJobs, limits: Limits | None = None) -> None:
        self.connection: sqlite3.Connection = open_store(fleet.path)
        self.stop: Stop | None = None
        self.launcher = Launcher(jobs, clock=fleet.time.clock, limits=limits or Limits(), stop=lambda: self.stop)
        self._time = fleet.time

    def go(self, rounds: int = 1, *, is_killed: bool = False) -> str | None:
        """Make rounds, a second apart; return the last one's problem. is_killed: it dies before it writes."""
        problem = None
        for _ in range(rounds):
            observed = self.launcher.observe(self.connection)
            if observed.write and not is_killed:
                with transaction(self.connection):
                    observed.write(self.connection)
            self._time.wait(1)
            problem = observed.problem
        return problem


@contextmanager
def a_fleet(path: Path, **options: object) -> Iterator[Fleet]:
    """Yield a fleet in a new store file."""
    fleet = Fleet(path, Time(), **options)
    with closing(fleet.connection):
        yield fleet


def put_template(objects: Objects) -> None:
    """Have the API server keep the template as the manifests have it."""
    cronjob = yaml.safe_load(MANIFEST.read_text())
    cronjob["metadata"]["uid"] = "uid-of-recover"
    objects.kept[CRONJOB] = cronjob


def jobs_of(objects: Objects) -> list[dict]:
    """Return the Jobs at the API server."""
    return [one for path, one in objects.kept.items() if path.startswith(f"{JOBS}/")]


def cluster_jobs(connect) -> ClusterJobs:
    """Return the Jobs of the API server's namespace."""
    client = connect()
    return ClusterJobs(NAMESPACE, lambda: client)


def finish(job: dict, kind: str = "Failed", reason: str = "BackoffLimitExceeded") -> None:
    """Have a Job end."""
    job["status"] = {"conditions": [{"type": kind, "status": "True", "reason": reason}]}


def copy_of(job: dict) -> dict:
    """Return a Job's copy, to be changed."""
    return json.loads(json.dumps(job))


def only(fleet: Fleet) -> Attempt:
    """Return the one attempt there is."""
    (attempt,) = fleet.attempts()
    return attempt
