"""The processes of one schedule: collector, dispatchers, recovery pods, and fate, which breaks what they stand on."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

from interleaving import MINUTE_MS, Actor, Connection
from ledgers import put_incident
from recovery_means import CODE, REPORT, SICK, Agent, Eyes, Ground, Keeper, instance_of
from recovery_network import Api
from recovery_world import Sender, SimJob, World

from jobs.cluster.jobs import ClusterJobs
from jobs.health.ladder import Rung, next_rung
from jobs.health.model import InstanceKey
from jobs.health.policy import Policy
from jobs.health.recovery import Action, Attempt, Limits, Order, Origin, Plan
from jobs.health.situation import Leave, Situation, Wish
from jobs.recovery.launcher import Launcher
from jobs.recovery.means import Means, Pace, Patience
from jobs.recovery.recoverer import Recoverer
from jobs.store import ledger
from jobs.store.backup import back_up
from jobs.store.connection import backup_path, transaction
from jobs.store.ledger import Moment
from jobs.store.plans import put_plans
from jobs.template import ACTION, ATTEMPT, INSTANCE

LIMITS = Limits()
LEAVE = Leave(Policy(), may_delete_pod=True)

# Between two ticks: enough of them for an hour's budget to be spent, and few, as a schedule's cost is its rounds.
GAPS_MS = (60_000, 3 * MINUTE_MS, 8 * MINUTE_MS, 15 * MINUTE_MS)

_JOB_NAME = re.compile(r"recover-([0-9a-f]{6})-.*-(\d+)")


class Actors:
    """Starts and ends the processes of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.scheduler = world.scheduler
        self.chance = world.chance
        self.dispatchers: list[Actor] = []
        self.collector: Actor | None = None
        self.incidents = 0
        self.snapshot = sqlite3.connect(":memory:", check_same_thread=False)
        self.backup: Path | None = None
        world.start_pods = self.start_pods

    # The collector, as far as recovery sees it

    def collect(self) -> None:
        """Tick for ever, at gaps in which plans stay fresh or grow old."""
        clock, tick = self.world.clock(), 0
        connection = self.open()
        while True:
            tick += 1
            with transaction(connection):
                now = clock.moment()
                ledger.witness(connection, now)
                connection.execute(
                    "INSERT INTO leases (name, token, renewals, tick, slot_ms, boot_id)"
                    " VALUES ('collect', 1, 1, ?1, ?2, ?3)"
                    " ON CONFLICT (name) DO UPDATE SET tick = ?1, slot_ms = ?2, boot_id = ?3",
                    (tick, now.boottime_ms, now.boot_id),
                )
                self._plan(connection, now)
            self.scheduler.sleep(self.chance.choice(GAPS_MS))

    def _plan(self, connection: Connection, now: Moment) -> None:
        """Open and close incidents, and plan for what is sick."""
        at_ms = now.wall_ms
        rows = connection.execute("SELECT key, id FROM incidents WHERE closed_at_ms IS NULL").fetchall()
        incidents = {InstanceKey(key): name for key, name in rows}
        plans = []
        for key, pod in self.world.pods.items():
            if pod.is_sick and key not in incidents:
                self.incidents += 1
                incidents[key] = f"incident-{self.incidents}"
                put_incident(connection, incidents[key], key=key)
            elif not pod.is_sick and key in incidents:
                put_incident(connection, incidents[key], key=key, closed_at_ms=at_ms)
            if pod.is_sick and self._may_be_due(connection, key, now):
                action = self._next(connection, key, incidents[key], now)
                plans.extend([self._due(key, incidents[key], at_ms, action)] if action else [])
        put_plans(connection, plans)

    def _may_be_due(self, connection: Connection, key: InstanceKey, now: Moment) -> bool:
        """Tell what the ledger would say, or at times not: then nobody but the ledger holds back."""
        if self.chance.random() < 0.1:
            return True
        witnessed_ms = ledger.witnessed(connection, now)
        return ledger.refusal(connection, key, LIMITS, witnessed_ms=witnessed_ms, is_forced=False) is None

    def _next(self, connection: Connection, key: InstanceKey, incident: str, now: Moment) -> Action | None:
        """Return what is to be done next: as the ladder says, where the world has one; None where nothing is left."""
        if not self.world.ladder:
            return self.an_action()
        situation = Situation(
            instance=instance_of(self.world, key),
            assessment=SICK,
            report=REPORT,
            leave=LEAVE,
            now_ms=now.wall_ms,
            witnessed_ms=0,
            attempts=tuple(ledger.of_incident(connection, incident)),
            wish=Wish(),
        )
        rung = next_rung(situation)
        return rung.action if isinstance(rung, Rung) else None

    def _due(self, key: InstanceKey, incident: str, at_ms: int, action: Action) -> Plan:
        pod = self.world.pods[key]
        return Plan(
            incident=incident,
            key=key,
            decided_at_ms=at_ms,
            action=action,
            uid=pod.uid,
            restarts=pod.restarts,
            codes=(CODE,),
        )

    def an_action(self) -> Action:
        """Return what a person may want, and who knows no ladder."""
        return self.chance.choice((Action.RESET_AUDIO, Action.RESET_AUDIO, Action.RESET_GUEST, Action.DELETE_POD))

    # Dispatchers

    def dispatch(self) -> None:
        """Make rounds as the window does, but without its baton, so that doubles meet at every statement."""
        clock, generation = self.world.clock(), self.world.generation
        connection = self.open()
        api = Api(self.world, generation)
        launcher = Launcher(ClusterJobs("loco-health", lambda: api), clock=clock, limits=LIMITS)
        while True:
            observed = launcher.observe(connection)
            if observed.write:
                with transaction(connection):
                    observed.write(connection)
            self.scheduler.sleep(self.chance.choice((1000, 5000, 12_000)) if observed.write else self._idle(launcher))

    def _idle(self, launcher: Launcher) -> int:
        """Return for how long hardly anything would move: rounds that find nothing are left out."""
        until_tick = max(self.scheduler.wakes_at(self.collector) - self.scheduler.now_ms, 0) + 200
        has_open = launcher._wake_at < inf
        return min(until_tick, self.chance.choice((20_000, 75_000)) if has_open else 5 * MINUTE_MS)

    # Recovery pods

    def start_pods(self, job: SimJob) -> None:
        """Start a Job's pod, sometimes twice; a kubelet ends it at the deadline, where it can."""
        for _ in range(2 if self.world.falls() else 1):
            self.world.serial += 1
            runner = f"pod-{self.world.serial}"
            is_frozen = self.world.falls(3)
            pod = self.scheduler.spawn(
                runner,
                partial(self.recover, job, runner),
                after_ms=self.chance.choice((500, 3000, 15_000, 65_000)),
                is_frozen=is_frozen,
            )
            job.pods.append(pod)
        self.scheduler.after(300_000, partial(self.end_pods, job))

    def end_pods(self, job: SimJob) -> None:
        """End a Job's pods where the kubelet can."""
        job.is_over = True
        for pod in job.pods:
            if not pod.is_frozen:
                self.scheduler.kill(pod)

    def recover(self, job: SimJob, runner: str) -> None:
        """Run a Job's attempt, or for a Job that a person made, book one first; as `python -m jobs recover` does."""
        clock, generation = self.world.clock(), self.world.generation
        connection = self.open()
        told = job.body["metadata"]["annotations"]
        key = InstanceKey(f"loco-instances/loco-emulator-{told[INSTANCE].rpartition('-')[2]}")
        store = None
        if ATTEMPT in told:
            attempt_id, store = int(told[ATTEMPT]), _JOB_NAME.fullmatch(job.name)[1]
        else:
            booked = self._book(connection, clock, key, job)
            if not isinstance(booked, Attempt):
                return
            attempt_id = booked.id
        sender = Sender(generation, attempt_id, runner)
        recoverer = Recoverer(connection, self._means(key, sender), self._patience(), self._pace(clock))
        recoverer.run(attempt_id, runner, store=store, job=job.name)

    def _book(self, connection: Connection, clock: Any, key: InstanceKey, job: SimJob) -> Any:
        pod = self.world.pods[key]
        order = Order(
            key=key,
            action=Action(job.body["metadata"]["annotations"].get(ACTION, "reset-audio")),
            uid=pod.uid,
            restarts=pod.restarts,
            codes=(CODE,),
            origin=Origin.REQUEST,
            is_forced=self.chance.random() < 0.5,
        )
        with transaction(connection):
            booked = ledger.book(connection, order, LIMITS, now=clock.moment())
            if isinstance(booked, Attempt):
                ledger.name_job(connection, booked.id, job.name)
        return booked

    def _means(self, key: InstanceKey, sender: Sender) -> Means:
        return Means(
            ground=Ground(self.world, key, sender),
            agent=Agent(self.world, key, sender),
            eyes=Eyes(self.world, key),
            keeper=Keeper(self.world),
        )

    def _patience(self) -> Patience:
        return Patience(
            total_seconds=240.0,
            users_seconds=lambda _: 20.0,
            act_seconds=20.0,
            verify_seconds=lambda _: 15.0,
            look_seconds=5.0,
        )

    def _pace(self, clock: Any) -> Pace:
        leaves_at = self.scheduler.now_ms + self.chance.randrange(60_000) if self.world.falls(0.5) else 1 << 60

        def sleep(seconds: float) -> None:
            self.scheduler.sleep(round(seconds * 1000))

        return Pace(
            clock=clock,
            sleep=sleep,
            rest=sleep,
            is_leaving=lambda: self.scheduler.now_ms > leaves_at,
        )

    def ask(self, key: InstanceKey) -> None:
        """Have a person make a Job of the template, as `kubectl create job --from` does."""
        self.world.serial += 1
        name = f"recover-instance-{key.rpartition('-')[2]}-{self.world.serial}"
        told = {INSTANCE: f"instance-{key.rpartition('-')[2]}", ACTION: self.an_action().value}
        self.world.jobs[name] = job = SimJob({"metadata": {"name": name, "annotations": told}})
        self.start_pods(job)

    # Stores and machines

    def open(self) -> Connection:
        """Open the store of now."""
        return self.scheduler.connect(self.world.path())

    def start(self, dispatchers: int) -> None:
        """Start what CronJobs start."""
        self.collector = self.scheduler.spawn("collect", self.collect, after_ms=200)
        for number in range(dispatchers):
            self.dispatchers.append(self.scheduler.spawn(f"dispatch-{number}", self.dispatch, after_ms=100 * number))

    def stop(self) -> None:
        """End what CronJobs started."""
        for actor in (*self.dispatchers, self.collector):
            if actor:
                self.scheduler.kill(actor)
        self.dispatchers.clear()

    def reboot(self) -> None:
        """End every process of the machine, and boot it."""
        self.stop()
        for job in self.world.jobs.values():
            for pod in job.pods:
                self.scheduler.kill(pod)
        self.world.boots += 1
        self.world.booted_ms = self.scheduler.now_ms
        for pod in self.world.pods.values():
            pod.restarts += 1
            self.world.serial += 1
            self.world.restart_agent(pod)

    def lose_store(self, template: sqlite3.Connection) -> None:
        """Have the store be gone and a new one made; who has the old one open still writes there."""
        ledger.disown(self.world.put_store(template))

    def keep(self) -> None:
        """Copy the store in both ways that there are: as a disk's snapshot does, and as `compact` does."""
        store = self.world.reader(self.world.generation)
        store.backup(self.snapshot)
        path = self.world.folder / "kept.db"
        path.touch()
        back_up(store, path)
        self.backup = backup_path(path)

    def restore(self, *, is_backup: bool) -> None:
        """Stop the jobs, and put back what was kept."""
        if self.backup is None:
            return
        self.stop()
        if not is_backup:
            self.world.put_store(self.snapshot)
            return
        with closing(sqlite3.connect(self.backup)) as kept:
            self.world.put_store(kept)
