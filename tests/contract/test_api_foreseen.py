"""What a dry run tells is what the run itself would plan, on the same store, whatever there is in the way."""

import time
from contextlib import closing

import pytest
from full_report import a_full_report
from stores import TICK_MS, a_fleet, an_instance

from agent.report import Actions
from api.follower import Follower
from api.foreseen import foresee
from api.problem import Problem
from api.recovery import Bounds
from jobs.clock import Clock
from jobs.health.causes import FLEET
from jobs.health.incident import ChangeKind, Incident, IncidentChange
from jobs.health.model import FailureClass, InstanceKey, Verdict
from jobs.health.recovery import Action, AttemptOutcome, Hold, Limits, Order
from jobs.health.situation import Wish
from jobs.planner import Recovery, plan_one
from jobs.store import ledger, reader, writer
from jobs.store.connection import transaction
from jobs.store.ledger import Ending

KEY = InstanceKey("static/instance-0")


def a_muted_report(sequence):
    """Return a report of a sink that is muted, by an agent that does acts."""
    report = a_full_report(sequence=sequence)
    audio = replace_fields(report.audio, muted=True, estimated_level=0.0)
    qemu = replace_fields(report.qemu, uptime_seconds=600.0)
    return replace_fields(report, audio=audio, qemu=qemu, actions=Actions(can=[*Action]))


def replace_fields(struct, **changes):
    """Return the struct with other values."""
    return type(struct)(**{name: changes.get(name, getattr(struct, name)) for name in struct.__struct_fields__})


class Scene:
    """A store with one instance whose sink is muted, and the API's eye on it."""

    def __init__(self, fleet, path):
        self.fleet = fleet
        self.connection = fleet.connection
        self.bounds = Bounds()
        self.path = path
        with transaction(self.connection):
            ledger.adopt(self.connection, [], now=Clock().moment())

    def mute(self):
        """Let the last ticks until now find it muted."""
        for _ in range(4):
            self.fleet.ticks(1, {"instance-0": a_muted_report(self.fleet.tick + 1)})

    def attempt(self):
        """Let one attempt come to nothing, just now."""
        (incident,) = reader.open_incidents(self.connection).values()
        now = Clock().moment()
        order = Order(key=KEY, action=Action.RESET_AUDIO, incident=incident.id, codes=("AudioMuted",))
        with transaction(self.connection):
            booked = ledger.book(self.connection, order, Limits(), now=now)
            ledger.claim(self.connection, booked.id, "r", now=now)
            ledger.end(self.connection, booked.id, Ending(AttemptOutcome.STOOD_DOWN, "so it was"), now=now, runner="r")

    def foreseen(self, *, is_forced=False):
        """Return what the API foresees, and what the run would plan."""
        with closing(Follower(self.path, lambda: time.time_ns() // 1_000_000, bounds=self.bounds)) as follower:
            fleet = follower.look()
            told = foresee(fleet, fleet.standings["instance-0"], follower, is_forced=is_forced)
        recovery = Recovery(self.bounds.leave, self.bounds.control)
        with transaction(self.connection):
            wish = Wish(is_forced=is_forced)
            planned = plan_one(self.connection, recovery, KEY, now=Clock().moment(), wish=wish)
        return told, planned


@pytest.fixture
def scene(tmp_path):
    at_ms = int(time.time() * 1000) - 6 * TICK_MS
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=at_ms) as fleet:
        fleet.ticks(2)
        yield Scene(fleet, tmp_path / "loco.db")


def same(told, planned):
    """Tell whether two plans that were made within seconds say the same but for clocks."""
    return (told.action, told.hold, told.codes, told.incident, told.is_cutting) == (
        planned.action,
        planned.hold,
        planned.codes,
        planned.incident,
        planned.is_cutting,
    )


def test_a_fault_that_an_act_answers_is_due(scene):
    scene.mute()

    told, planned = scene.foreseen()

    assert (Action.RESET_AUDIO, None, ("AudioMuted",)) == (told.action, told.hold, told.codes)
    assert same(told, planned)


def test_nothing_wrong_is_nothing_to_do(scene):
    told, planned = scene.foreseen()

    assert (None, Hold.NOT_ACTIONABLE) == (told.action, told.hold)
    assert same(told, planned)


def test_the_cool_down_holds_and_force_skips_it(scene):
    scene.mute()
    scene.attempt()

    assert [Hold.COOL_DOWN, None] == [scene.foreseen()[0].hold, scene.foreseen(is_forced=True)[0].hold]
    assert same(*scene.foreseen())


def test_a_switch_and_a_dry_run_hold(scene, tmp_path):
    scene.mute()
    (tmp_path / "control").mkdir()
    scene.bounds = Bounds(is_dry_run=True, control=tmp_path / "control")
    assert Hold.DRY_RUN is scene.foreseen()[0].hold

    (tmp_path / "control" / "recovery").write_text("off\n")
    told, planned = scene.foreseen()
    assert Hold.KILL_SWITCH is told.hold
    assert same(told, planned)


def test_a_brake_holds_its_members(scene):
    scene.mute()
    now_ms = scene.fleet.at_ms
    brake = Incident("b", FLEET, now_ms, 1, FailureClass.QEMU, Verdict.DEGRADED, (), (), 1, members=(KEY,))
    with transaction(scene.connection):
        writer.record_brakes(scene.connection, [IncidentChange(ChangeKind.OPENED, brake)], at_ms=now_ms)

    told, planned = scene.foreseen()

    assert Hold.FLEET_BRAKE is told.hold
    assert same(told, planned)


def test_foreseeing_writes_nothing(scene):
    scene.mute()
    before = scene.path.read_bytes()
    with closing(Follower(scene.path, lambda: scene.fleet.at_ms, bounds=scene.bounds)) as follower:
        fleet = follower.look()
        foresee(fleet, fleet.standings["instance-0"], follower, is_forced=True)

    assert before == scene.path.read_bytes()


def test_a_store_that_is_gone_meanwhile_is_said(scene):
    with closing(Follower(scene.path, lambda: scene.fleet.at_ms, bounds=scene.bounds)) as follower:
        fleet = follower.look()
        scene.path.unlink()

        with pytest.raises(Problem, match="nothing was started"):
            foresee(fleet, fleet.standings["instance-0"], follower, is_forced=False)
