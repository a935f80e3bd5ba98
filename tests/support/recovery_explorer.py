"""One schedule from one number, and many of them; `python tests/support/recovery_explorer.py SEED` tells one."""

from __future__ import annotations

import logging
import random
import sqlite3
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from interleaving import MINUTE_MS, Chaos, Scheduler
from recovery_actors import Actors
from recovery_means import CODE, KEY, instance_of
from recovery_world import ACTS, HOUR_MS, IDLE_OUTCOMES, Broken, World

from agent.actions import door
from jobs.audit import audit
from jobs.health.model import InstanceKey
from jobs.health.recovery import Action
from jobs.health.remedies import REMEDIES
from jobs.store import backup, ledger
from jobs.store.connection import open_store, transaction
from jobs.store.writer import record_inventory

# Short ones for what meets within one attempt, long ones for what an hour's budget is counted over.
LENGTHS_MS = (*[12 * MINUTE_MS] * 4, 70 * MINUTE_MS)
QUIET_MS = 9 * MINUTE_MS
DISASTERS = (
    "reboot",
    "wall",
    "pod",
    "container",
    "store",
    "backup",
    "snapshot",
    "kill",
    "job",
    "ask",
    "heal",
    "switch",
)


@dataclass(frozen=True, slots=True)
class Told:
    """What one schedule came to. broken: the promise, empty where all were kept."""

    seed: int
    acts: int
    deletions: int
    attempts: int
    broken: str = ""
    story: tuple[str, ...] = ()


def explore(seed: int, folder: Path, template: sqlite3.Connection, *, is_told: bool = False) -> Told:
    """Run one schedule. is_told: with its story."""
    schedule = Schedule(seed, folder, template)
    if is_told:
        schedule.scheduler.story = []
    broken = ""
    try:
        schedule.run()
    except AssertionError as error:
        broken = str(error) or "an assertion"
    finally:
        schedule.scheduler.stop()
        schedule.world.close()
        schedule.actors.snapshot.close()
    acts = schedule.world.acts
    deletions = sum(act.action is Action.DELETE_POD for act in acts)
    return Told(seed, len(acts), deletions, schedule.attempts, broken, tuple(schedule.scheduler.story or ()))


class Schedule:
    """What a seed makes of a world."""

    def __init__(self, seed: int, folder: Path, template: sqlite3.Connection) -> None:
        self.chance = chance = random.Random(seed)
        self.template = template
        chaos = Chaos(
            kill=chance.choice((0.0, 0.001, 0.005)),
            pause=chance.choice((0.0, 0.002, 0.01)),
            overtake=chance.choice((0.0, 0.05, 0.2)),
            slow=chance.choice((0.0, 0.02)),
        )
        self.scheduler = Scheduler(chance, chaos)
        self.world = World(
            self.scheduler,
            folder,
            instances=chance.choice((1, 1, 1, 2)),
            has_quota=chance.random() < 0.2,
            faults=chance.choice((0.0, 0.03, 0.1)),
        )
        if chance.random() < 0.2:  # the others climb at random, which meets more
            self.world.ladder = REMEDIES[CODE]
        self.actors = Actors(self.world)
        self.disasters = chance.sample(DISASTERS, chance.randrange(2, 6))
        if "snapshot" in self.disasters:  # an old state doesn't show where only a person's Jobs could tell of it
            self.disasters = [one for one in self.disasters if one != "ask"]
        self.attempts = 0
        self.world.put_store(template)

    def run(self) -> None:
        """Let it all happen, then be quiet for a while, and look at what is left."""
        self.actors.start(self.chance.choice((1, 1, 2)))
        fate = self.scheduler.spawn("fate", self._fate)
        self.scheduler.run(self.chance.choice(LENGTHS_MS))
        self.scheduler.kill(fate)
        self._be_quiet()
        self._judge()

    def _fate(self) -> None:
        while True:
            self.scheduler.sleep(self.chance.choice((20_000, 3 * MINUTE_MS, 12 * MINUTE_MS)))
            self._strike(self.chance.choice(self.disasters))

    def _strike(self, disaster: str) -> None:
        self.scheduler.tell(f"FATE: {disaster}")
        key = self.chance.choice(list(self.world.pods))
        getattr(self, f"_{disaster}")(key)

    def _reboot(self, _: InstanceKey) -> None:
        self.actors.reboot()
        self.scheduler.sleep(self.chance.choice((20_000, 20 * MINUTE_MS)))
        self.actors.start(1)

    def _wall(self, _: InstanceKey) -> None:
        self.world.wall_offset_ms += self.chance.choice((-2, 2)) * HOUR_MS

    def _pod(self, key: InstanceKey) -> None:
        self.world.replace_pod(key)

    def _container(self, key: InstanceKey) -> None:
        self.world.pods[key].restarts += 1
        self.world.pods[key].is_sick = self.chance.random() < 0.7

    def _heal(self, key: InstanceKey) -> None:
        self.world.pods[key].is_sick = not self.world.pods[key].is_sick

    def _ask(self, key: InstanceKey) -> None:
        self.actors.ask(key)

    def _switch(self, _: InstanceKey) -> None:
        """Set the kill switch, whatever is under way, and lift it later."""
        self.world.is_stopped = True
        self.scheduler.sleep(self.chance.choice((20_000, 5 * MINUTE_MS)))
        self.world.is_stopped = False

    def _kill(self, _: InstanceKey) -> None:
        self.actors.stop()
        self.actors.start(self.chance.choice((1, 2)))

    def _store(self, _: InstanceKey) -> None:
        if self.chance.random() < 0.7:
            self.actors.stop()
        self.actors.lose_store(self.template)
        self.actors.start(1)

    def _backup(self, _: InstanceKey) -> None:
        self._keep_or_restore(is_backup=True)

    def _snapshot(self, _: InstanceKey) -> None:
        self._keep_or_restore(is_backup=False)

    def _keep_or_restore(self, *, is_backup: bool) -> None:
        if self.chance.random() < 0.5:
            self.actors.keep()
        else:
            self.actors.restore(is_backup=is_backup)
            self.actors.start(1)

    def _job(self, _: InstanceKey) -> None:
        """Delete a Job, its pod ends where the kubelet can; not where an earlier store is to be told of it."""
        running = [job for job in self.world.jobs.values() if not job.is_over]
        if not running or {"store", "backup", "snapshot"} & set(self.disasters):
            return
        job = self.chance.choice(running)
        del self.world.jobs[job.name]
        self.actors.end_pods(job)

    def _be_quiet(self) -> None:
        """Have nothing more go wrong, everything be well, and time pass for what is left to end."""
        self.scheduler.set_chaos(Chaos())
        self.world.faults = 0.0
        self.world.is_stopped = False
        self.actors.stop()
        for pod in self.world.pods.values():
            pod.is_sick = False
        self.actors.start(1)
        self.scheduler.run(self.scheduler.now_ms + QUIET_MS)

    def _judge(self) -> None:
        attempts = ledger.every(self.world.reader(self.world.generation))
        self.attempts = len(attempts)
        for attempt in attempts:
            if attempt.outcome is None:
                raise Broken(f"attempt {attempt.id} has no outcome, it is {attempt.state}")
        for act in self.world.acts:
            outcome = self._outcome(act.sender.generation, act.sender.attempt)
            if outcome in IDLE_OUTCOMES and outcome != "superseded":
                raise Broken(f"attempt {act.sender.attempt} acted and ended {outcome}")
        breaches = audit(attempts).breaches
        if breaches:
            raise Broken(f"audit: {breaches}")

    def _outcome(self, generation: int, attempt: int) -> str | None:
        row = self.world.ask(generation, "SELECT outcome FROM attempts WHERE id = ?", attempt)
        return row and row[0]


def make_template(folder: Path) -> sqlite3.Connection:
    """Return a store with an inventory, in memory, and put the agents' key into the folder."""
    world = World(Scheduler(random.Random(0), Chaos()), folder, instances=2, has_quota=False, faults=0.0)
    template = sqlite3.connect(":memory:", check_same_thread=False)
    with closing(open_store(folder / "template.db")) as connection:
        with transaction(connection):
            record_inventory(connection, [instance_of(world, key) for key in world.pods], at_ms=0)
        connection.backup(template)
    (folder / "key").write_text(KEY.hex())
    return template


def explore_all(seeds: Iterable[int], *, is_told: bool = False) -> list[Told]:
    """Run schedules in this process, until one breaks a promise; that one is told."""
    found: list[Told] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loco-model-", dir=_tmpfs())))
        stack.enter_context(patch.object(door, "ACTS", ACTS))
        stack.enter_context(patch.object(backup, "PAUSE_SECONDS", 0))
        logging.disable(logging.CRITICAL)
        stack.callback(logging.disable, logging.NOTSET)
        template = stack.enter_context(closing(make_template(folder)))
        for seed in seeds:
            told = explore(seed, folder, template, is_told=is_told)
            if told.broken:
                found.append(explore(seed, folder, template, is_told=True))
                break
            found.append(told)
    return found


def _tmpfs() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


if __name__ == "__main__":
    (one,) = explore_all([int(sys.argv[1])], is_told=True)
    print("\n".join(one.story))
    print(one.broken or f"kept: {one.attempts} attempts in the last store, {one.acts} acts")
