"""What recovery acts on, simulated: pods and their agents, the API server's Jobs, stores that are lost; and the truth.

The agents' gate, signatures and challenges are the real ones. The world sees each act as it happens, in real time, and
holds it against the promises; it knows of no ledger but by reading its rows as anybody may.
"""

from __future__ import annotations

import random
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from interleaving import MINUTE_MS, Scheduler

from agent.actions import door, gate
from agent.actions.act import Act, Done, Work
from jobs.clock import Clock
from jobs.errors import ClusterError
from jobs.health.model import InstanceKey
from jobs.health.recovery import Action
from jobs.health.remedies import ORDER

HOUR_MS = 60 * MINUTE_MS
MOST_ACTS = 3
WALL_MS = 1_800_000_000_000

# ecosystem: an API client's own timeouts, 3 s to connect and 10 s for the answer; a request lies in no queue longer.
API_SECONDS_MS = 13_000

# Decision 0011: an act comes no later than so long after `begin_act`, and the switches are read right before that.
LATE_MS = 40_000

IDLE_OUTCOMES = ("superseded", "stood-down", "not-created", "name-collision")

_worlds = count()


class Broken(AssertionError):
    """A promise that was broken."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who asked for an act: the attempt, by its store's generation and id, and the pod that ran it."""

    generation: int
    attempt: int
    runner: str


@dataclass(frozen=True, slots=True)
class DoneAct:
    """One act as it happened, in real time."""

    key: InstanceKey
    action: Action
    began_ms: int
    ended_ms: int
    pod_uid: str
    sender: Sender


@dataclass(slots=True)
class SimPod:
    """One pod and its agent. is_sick: what its report says; busy_until_ms: of the act under way."""

    key: InstanceKey
    uid: str
    restarts: int = 0
    is_sick: bool = True
    sessions: int = 0
    busy_until_ms: int = 0
    sequence: int = 0
    door: door.Door | None = None


@dataclass(slots=True)
class SimJob:
    """One Job: its object as the API server keeps it, and the actors that are its pods."""

    body: dict[str, Any]
    pods: list[Any] = field(default_factory=list)
    is_over: bool = False

    @property
    def name(self) -> str:
        """Return its name."""
        return self.body["metadata"]["name"]


class Turnstile(gate.Turnstile):
    """The agent's own, in which an act lasts until the world's clock says that it is over."""

    def __init__(self, world: World, pod: SimPod, *, has_quota: bool) -> None:
        super().__init__(clock=lambda: world.scheduler.now_ms / 1000)
        self._world, self._pod = world, pod
        if not has_quota:  # so that the ledger alone keeps the promise
            self._begun = deque(maxlen=0)

    @contextmanager
    def enter(self) -> Iterator[Any]:
        """Refuse while the act before this one lasts."""
        if self._world.scheduler.now_ms < self._pod.busy_until_ms:
            raise gate.Busy("another act is under way")
        with super().enter() as give_back:
            yield give_back


class World:
    """All of it, and the record of what happened."""

    def __init__(self, scheduler: Scheduler, folder: Path, *, instances: int, has_quota: bool, faults: float) -> None:
        self.scheduler = scheduler
        self.chance: random.Random = scheduler.chance
        self.folder = folder
        self.faults = faults
        self.has_quota = has_quota
        self.wall_offset_ms = 0
        self.boots = 0
        self.booted_ms = 0
        self.generation = -1
        self._number = next(_worlds)
        self.serial = 0
        self.acts: list[DoneAct] = []
        self.jobs: dict[str, SimJob] = {}
        self.pods: dict[InstanceKey, SimPod] = {}
        self.sender: Sender | None = None
        self.is_stopped = False
        self._leave_ms: dict[Sender, int] = {}
        self.ladder: tuple[Action, ...] = ()
        self._readers: dict[int, sqlite3.Connection] = {}
        self.start_pods: Any = None
        for number in range(instances):
            self.replace_pod(InstanceKey(f"loco-instances/loco-emulator-{number}"))

    # Time

    def clock(self) -> Clock:
        """Return the clocks of a process that starts now."""
        booted_ms = self.booted_ms
        return Clock(
            boottime=lambda: (self.scheduler.now_ms - booted_ms) / 1000,
            monotonic=lambda: self.scheduler.now_ms / 1000,
            wall=lambda: (WALL_MS + self.scheduler.now_ms + self.wall_offset_ms) / 1000,
            boot_id=f"boot-{self.boots}",
        )

    def falls(self, share: float = 1.0) -> bool:
        """Tell whether something goes wrong here."""
        return self.chance.random() < self.faults * share

    # Pods and agents

    def replace_pod(self, key: InstanceKey) -> None:
        """Have a new pod of the same name, with an agent of its own; it is as sick as the one before."""
        self.serial += 1
        self.pods[key] = pod = SimPod(key, f"uid-{self.serial}")
        self.restart_agent(pod)

    def restart_agent(self, pod: SimPod) -> None:
        """Have a new agent process: challenges and quota of the old one are gone."""
        settings = SimpleNamespace(pod_uid=pod.uid, action_key_file=str(self.folder / "key"), actions=())
        scene = SimpleNamespace(settings=settings, report=lambda: None, pod=pod, world=self)
        pod.door = door.Door(scene, f"agent-{self.serial}")
        pod.door._challenges = gate.Challenges(f"agent-{self.serial}", clock=lambda: self.scheduler.now_ms / 1000)
        pod.door._turnstile = Turnstile(self, pod, has_quota=self.has_quota)

    def give_leave(self, sender: Sender) -> None:
        """Note that a runner has just read that no switch is set."""
        self._leave_ms[sender] = self.scheduler.now_ms

    def take_leave(self, sender: Sender) -> None:
        """Have what a runner read before say nothing any more."""
        self._leave_ms.pop(sender, None)

    def act(self, pod: SimPod, action: Action, seconds: float) -> None:
        """Note an act and hold it against what was promised."""
        began_ms = self.scheduler.now_ms
        if self.sender is None:
            raise Broken("an act that nobody asked for")
        done = DoneAct(pod.key, action, began_ms, began_ms + round(seconds * 1000), pod.uid, self.sender)
        self.scheduler.tell(
            f"ACT {action} on {pod.key} {pod.uid} for attempt {self.sender.attempt} of {self.sender.generation}"
        )
        before = [one for one in self.acts if one.key == pod.key]
        self.acts.append(done)
        if len(before) >= MOST_ACTS and began_ms - before[-MOST_ACTS].began_ms < HOUR_MS:
            minutes = (began_ms - before[-MOST_ACTS].began_ms) / MINUTE_MS
            raise Broken(f"{MOST_ACTS + 1} acts on {pod.key} within {minutes:.2f} minutes")
        if before and began_ms < before[-1].ended_ms:
            raise Broken(f"two acts on {pod.key} at once")
        if any(one.sender == self.sender for one in before):
            raise Broken(f"attempt {self.sender.attempt} acted twice")
        leave_ms = self._leave_ms.get(self.sender)
        if leave_ms is None or began_ms - leave_ms > LATE_MS:
            told = "never" if leave_ms is None else f"{(began_ms - leave_ms) / 1000:.0f} s ago"
            raise Broken(f"attempt {self.sender.attempt} acted, and the switches gave it leave {told}")
        self._check_row(done)
        self._check_rungs(done)
        if self.chance.random() < 0.2:
            pod.is_sick = False

    def _check_row(self, done: DoneAct) -> None:
        """Hold an act against the row that stood in its ledger, as committed."""
        row = self.row(done.sender)
        if row is None:
            raise Broken(f"attempt {done.sender.attempt} acted and is in no ledger")
        uid, runner, acted_ms, action = row
        if action != done.action:
            raise Broken(f"attempt {done.sender.attempt} for {action} did {done.action}")
        if uid != done.pod_uid:
            raise Broken(f"attempt {done.sender.attempt} for {uid} acted on {done.pod_uid}")
        if acted_ms is None:
            raise Broken(f"attempt {done.sender.attempt} acted and the ledger doesn't say so")
        if runner != done.sender.runner:
            raise Broken(f"attempt {done.sender.attempt} of {runner} was acted on by {done.sender.runner}")

    def _check_rungs(self, done: DoneAct) -> None:
        """Hold an act that the ladder chose against the rungs below it: each was tried in earnest in that incident.

        That is: an act was begun, or may have been under another store, or the agent couldn't do it.
        """
        below = [rung for rung in self.ladder if ORDER[rung] < ORDER[done.action]]
        for rung in below:
            query = (
                "SELECT origin <> 'policy' OR EXISTS (SELECT 1 FROM attempts AS lower WHERE lower.id < attempts.id"
                " AND lower.incident = attempts.incident AND lower.key = attempts.key AND lower.action = ?2"
                " AND (acted_ms IS NOT NULL OR spent_ms > ended_ms OR outcome = 'refused'))"
                " FROM attempts WHERE id = ?1"
            )
            if self.ask(done.sender.generation, query, done.sender.attempt, rung.value) == (0,):
                raise Broken(f"attempt {done.sender.attempt} for {done.action} came before any act of {rung}")

    def row(self, sender: Sender) -> tuple[str, str, int, str] | None:
        """Return uid, runner, moment of the act, and action of an attempt, as its ledger has it."""
        query = "SELECT uid, runner, acted_ms, action FROM attempts WHERE id = ?"
        return self.ask(sender.generation, query, sender.attempt)

    def ask(self, generation: int, query: str, *values: object) -> Any:
        """Return the first row that a store has committed."""
        return self.reader(generation).execute(query, values).fetchone()

    def reader(self, generation: int) -> sqlite3.Connection:
        """Return a connection to a store, that of an onlooker."""
        return self._readers[generation]

    def close(self) -> None:
        """Close every store."""
        for reader in self._readers.values():
            reader.close()

    # Stores: SQLite's own files in memory, with the locks of real ones (sqlite.org, memdb.c)

    def path(self, generation: int | None = None) -> str:
        """Return a store's name; of one that is lost, where those who have it open still find it."""
        generation = self.generation if generation is None else generation
        return f"file:/loco-{self._number}-{generation}?vfs=memdb"

    def put_store(self, source: sqlite3.Connection) -> sqlite3.Connection:
        """Have a copy of `source` be the store that whoever opens one from now on finds."""
        self.generation += 1
        store = sqlite3.connect(self.path(), uri=True, isolation_level=None, check_same_thread=False)
        source.backup(store)
        self._readers[self.generation] = store
        return store

    # The API server

    def request(self, what: str) -> None:
        """Stand before a request; it may not come through."""
        self.scheduler.hook(what, longest_pause_ms=API_SECONDS_MS)
        if self.falls():
            raise ClusterError(f"{what} failed: as the seed says", retry_seconds=self.chance.choice((0.0, 0.0, 5.0)))

    def lose_reply(self, what: str) -> None:
        """Lose the answer to what was done."""
        self.scheduler.hook(f"answer to {what}", longest_pause_ms=API_SECONDS_MS)
        if self.falls():
            raise ClusterError(f"{what} broke off: as the seed says")


def _perform(action: Action, scene: Any, _: Work) -> Done:
    """Act, as far as the world is concerned."""
    seconds = scene.world.chance.choice((0.1, 1.0, 5.0, 20.0))
    scene.world.act(scene.pod, action, seconds)
    scene.pod.busy_until_ms = scene.world.scheduler.now_ms + round(seconds * 1000)
    return Done(held=True, detail="as the world has it")


# The agent's; a pod is deleted by Kubernetes, see recovery_means.
ACTS = {
    action.value: Act(action.value, lambda *_: None, partial(_perform, action))
    for action in Action
    if action is not Action.DELETE_POD
}
