"""One attempt in a real store, and means for it whose answers a test chooses and that note what was asked of them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import msgspec
from builders import a_report, an_assessment
from ledgers import KEY, WALL_MS, an_adopted_store, an_order, at

from agent.report import Actions
from jobs.clock import Clock
from jobs.health.control import Stop
from jobs.health.model import Instance, Pod
from jobs.health.recovery import Action, Attempt, AttemptOutcome, AttemptState, Limits
from jobs.probe.actions import Challenge, Done
from jobs.probe.verify import Look
from jobs.recovery.means import Means, Pace, Patience
from jobs.recovery.recoverer import Recoverer, Result
from jobs.store import ledger
from jobs.store.connection import transaction

RUNNER = "pod-of-the-job"


def a_pod_instance(*, uid: str = "uid-1", **fields) -> Instance:
    """Return an instance as its pod; fields: of the pod."""
    defaults = {"namespace": "loco-instances", "name": "loco-emulator-0", "phase": "Running", "restarts": 0}
    return Instance(KEY, "instance-0", "instance-0", "http://10.0.0.7:8080/health", uid=uid,
                    pod=Pod(**{**defaults, **fields}))  # fmt: skip


@dataclass
class World:
    """Everything outside of the store, and its time: sleeping is what lets it pass.

    codes: what holds before the act. heals: whether it is gone after it. people: connected before the act.
    blocks: of each report, to change. answers: what the agent says to the act.
    on: called before the event of that name is answered.
    """

    codes: tuple[str, ...] = ("ScreenFrozen",)
    blocks: dict[str, object] = field(default_factory=dict)
    heals: bool = True
    people: int | None = 0
    found: Instance | None = field(default_factory=a_pod_instance)
    stops: Stop | None = None
    leave: object = Challenge("challenge-1", "uid-1")
    answer: object = Done(held=True, detail="the guest was reset")
    why_not_kept: str = ""
    actions: Actions = field(default_factory=lambda: Actions(can=[*Action]))
    on: dict[str, Callable[[], None]] = field(default_factory=dict)
    seconds: float = 1000.0
    said: list[str] = field(default_factory=list)
    has_acted: bool = False
    is_leaving: bool = False

    def _told(self, event: str) -> None:
        self.said.append(event)
        self.on.get(event, lambda: None)()

    def stop(self):
        """Answer as the switches."""
        self._told("switches")
        return self.stops

    def instance(self):
        """Answer as the API server."""
        self._told("pod")
        return self.found

    def delete_pod(self, uid):
        """Delete the pod; the next one is there at once."""
        self._told(f"delete {uid}")
        self.has_acted = True
        self.found = a_pod_instance(uid="uid-2")

    def challenge(self, instance):  # noqa: ARG002 - the protocol's signature
        """Answer as the agent."""
        self._told("challenge")
        return self.leave

    def act(self, instance, order, challenge):  # noqa: ARG002 - the protocol's signature
        """Act as the agent."""
        self._told("act")
        self.has_acted = True
        self.order = order
        return self.answer

    def look(self, instance):
        """Look: well after the act, if it heals."""
        self._told("look")
        codes = () if self.has_acted and self.heals else self.codes
        report = a_report(
            sequence=round(self.seconds * 10),
            sessions=None if self.people is None else {"count": self.people, "sessions": []},
            **self.blocks,
        )
        return Look(self.seconds, instance, an_assessment(*codes), with_actions(report, self.actions))

    def keep(self, attempt, look):  # noqa: ARG002 - the protocol's signature
        """Keep evidence nowhere."""
        self._told("evidence")
        return self.why_not_kept

    def add_after(self, attempt, look):  # noqa: ARG002 - the protocol's signature
        """Keep nowhere what came of it, which takes a moment."""
        self._told("after")
        self.seconds += 0.9
        return ""

    def sleep(self, seconds):
        """Let time pass."""
        self.seconds += seconds
        self.said.append("sleep")
        self.on.get("sleep", lambda: None)()

    def rest(self, seconds):
        """Let time pass before what is written once more."""
        self.seconds += seconds
        self._told("rest")

    def clock(self) -> Clock:
        """Return the world's clocks; they all go alike."""
        return Clock(
            boottime=lambda: self.seconds,
            monotonic=lambda: self.seconds,
            wall=lambda: WALL_MS / 1000 + self.seconds,
            boot_id="boot-1",
        )

    @property
    def acts(self) -> list[str]:
        """Return the acts that were asked for."""
        return [one for one in self.said if one.startswith(("act", "delete"))]


def with_actions(report, actions):
    """Return the report as an agent that does acts sends it."""
    return msgspec.structs.replace(report, actions=actions)


class Recovery:
    """A store with one booked attempt, and its runs in a world. order: fields of the order to change."""

    def __init__(self, path, world: World, *, codes=("ScreenFrozen",), **order) -> None:
        self.world = world
        self.path = path
        self.connection = an_adopted_store(path)
        with transaction(self.connection):
            booked = ledger.book(self.connection, an_order(codes=codes, **order), Limits(), now=at(900))
        assert isinstance(booked, Attempt), booked
        self.id = booked.id

    def run(self, *, patience: Patience | None = None, runner: str = RUNNER, **how) -> Result:
        """Run the attempt once."""
        world = self.world
        pace = Pace(clock=world.clock(), sleep=world.sleep, rest=world.rest, is_leaving=lambda: world.is_leaving)
        means = Means(world, world, world, world)
        patience = patience or Patience(verify_seconds=lambda _: 30.0)
        return Recoverer(self.connection, means, patience, pace).run(self.id, runner, **how)

    @property
    def row(self) -> Attempt:
        """Return the attempt as the ledger has it now."""
        found = ledger.find(self.connection, self.id)
        assert found is not None
        return found


def deleting(instance: Instance) -> Instance:
    """Return the instance while its pod is being ended."""
    assert instance.pod is not None
    return replace(instance, pod=replace(instance.pod, reason="Terminating"))


def ended(recovery: Recovery) -> tuple[AttemptOutcome | None, str]:
    """Return outcome and detail of the ledger's row."""
    row = recovery.row
    assert AttemptState.ENDED is row.state
    return row.outcome, row.detail


def assert_no_act(recovery: Recovery, outcome: AttemptOutcome, detail: str) -> None:
    """Assert that nothing was done, that the ledger says so, and that it cost no budget."""
    assert (outcome, detail) == ended(recovery)
    assert [] == recovery.world.acts
    assert recovery.row.acted_ms is None
