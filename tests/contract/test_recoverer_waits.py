"""Attempts that wait for people, delete a pod, or lose their process; a world whose answers each test chooses."""

import re
from contextlib import closing
from pathlib import Path

import pytest
from attempts import RUNNER, Recovery, World, a_pod_instance, assert_no_act, ended
from ledgers import at

from jobs.commands.recover import LONGEST_SECONDS
from jobs.errors import ClusterError, Conflict, Forbidden, NotFound
from jobs.health.bounds import VERIFY_SECONDS
from jobs.health.control import Stop
from jobs.health.recovery import Action, AttemptOutcome, Hold
from jobs.probe.actions import CONNECT_SECONDS
from jobs.recovery.means import Patience
from jobs.recovery.recoverer import LEAVE_SECONDS, WRITE_SECONDS
from jobs.store import ledger
from jobs.store.connection import BUSY_TIMEOUT_SECONDS, open_store, transaction
from jobs.store.ledger import Ending


def patience(seconds, **fields):
    return Patience(users_seconds=lambda _: seconds, verify_seconds=lambda _: 30.0, **fields)


@pytest.mark.parametrize("people", [1, None])
def test_while_somebody_is_or_may_be_connected_nobody_is_cut_off(recovery, world, people):
    world.people = people
    result = recovery.run(patience=patience(1000.0))

    there = "1 connected" if people else "nobody can tell whether somebody is connected"
    assert_no_act(recovery, AttemptOutcome.STOOD_DOWN, f"UserConnected: {there}")
    assert 0 == result.exit_code
    assert 1180 <= world.seconds < 1185, "it waited as long as act and proof leave time"


def test_the_act_goes_ahead_at_once_when_they_leave(recovery, world):
    world.people = 1
    world.on["sleep"] = lambda: setattr(world, "people", 0 if world.seconds > 1020 else 1)
    began = {}
    world.on["act"] = lambda: began.update(at=world.seconds)

    assert AttemptOutcome.HEALED is recovery.run(patience=patience(1000.0)).outcome
    assert 1020 < began["at"] < 1025


def test_after_the_rest_of_the_wait_they_are_cut_off_and_it_is_counted(recovery, world):
    world.people = 1
    world.on["act"] = lambda: setattr(world, "people", 0)
    recovery.run(patience=patience(30.0))

    row = recovery.row
    assert AttemptOutcome.HEALED is row.outcome
    assert 7.5 == row.session_seconds_lost


def test_an_act_that_cuts_nobody_off_waits_for_nobody(tmp_path):
    world = World(codes=("AudioMuted",), people=3)
    recovery = Recovery(tmp_path / "loco.db", world, codes=("AudioMuted",), action=Action.RESET_AUDIO)

    assert AttemptOutcome.HEALED is recovery.run(patience=patience(1000.0)).outcome
    assert world.said.index("act") < world.said.index("sleep")


def test_force_waits_for_nobody_and_still_keeps_the_identity(tmp_path):
    world = World(people=3)
    forced = Recovery(tmp_path / "loco.db", world, action=Action.RESET_GUEST, is_forced=True)

    assert AttemptOutcome.HEALED is forced.run(patience=patience(1000.0)).outcome

    world = World(found=a_pod_instance(uid="uid-2"))
    forced = Recovery(tmp_path / "other.db", world, action=Action.RESET_GUEST, is_forced=True)

    assert AttemptOutcome.SUPERSEDED is forced.run(patience=patience(1000.0)).outcome
    assert [] == world.acts


def test_a_switch_is_read_anew_while_people_are_waited_for(recovery, world):
    world.people = 1
    world.on["sleep"] = lambda: setattr(world, "stops", Stop(Hold.PAUSED, "paused") if world.seconds > 1030 else None)
    recovery.run(patience=patience(1000.0))

    assert_no_act(recovery, AttemptOutcome.STOOD_DOWN, "Paused: paused")


# The pod itself


@pytest.fixture
def deletion(tmp_path):
    world = World(codes=("QemuDead",))
    made = Recovery(tmp_path / "loco.db", world, codes=("QemuDead",), action=Action.DELETE_POD)
    with closing(made.connection):
        yield made


def test_a_pod_is_deleted_by_its_uid_and_its_successor_proves_it(deletion):
    deletion.run()

    assert ["delete uid-1"] == deletion.world.acts
    assert AttemptOutcome.HEALED is deletion.row.outcome
    assert "challenge" not in deletion.world.said


DELETIONS = {
    "another pod": (Conflict("the uid differs"), "superseded"),
    "no pod": (NotFound("no such pod"), "superseded"),
    "no right": (Forbidden("pods may not be deleted"), "refused"),
    "no answer": (ClusterError("timed out"), "unknown-outcome"),
}


@pytest.mark.parametrize(("error", "outcome"), DELETIONS.values(), ids=DELETIONS)
def test_a_pod_that_is_not_deleted_has_its_reason(deletion, error, outcome):
    def fail():
        raise error

    deletion.world.on["delete uid-1"] = fail
    deletion.run()

    assert AttemptOutcome(outcome) is deletion.row.outcome


# The end of the process


def test_a_run_that_is_to_end_before_its_act_stands_down(recovery, world):
    world.people = 1
    world.on["sleep"] = lambda: setattr(world, "is_leaving", True)
    recovery.run(patience=patience(1000.0))

    assert_no_act(recovery, AttemptOutcome.STOOD_DOWN, "the process was asked to end before the act")


@pytest.mark.parametrize("event", ["look", "evidence", "challenge"])
def test_a_run_that_is_to_end_at_the_last_moment_stands_down_too(recovery, world, event):
    world.on[event] = lambda: setattr(world, "is_leaving", True)
    recovery.run()

    assert_no_act(recovery, AttemptOutcome.STOOD_DOWN, "the process was asked to end before the act")


def test_a_run_that_is_to_end_after_its_act_says_that_the_outcome_is_unknown(recovery, world):
    world.on["sleep"] = lambda: setattr(world, "is_leaving", True)
    recovery.run()

    outcome, detail = ended(recovery)
    assert AttemptOutcome.UNKNOWN is outcome
    assert detail.startswith("the process was asked to end; ")


class Killed(BaseException):
    """The end of a process, at a place where it can't help it."""


EVENTS = ["switches", "pod", "look", "evidence", "challenge", "act"]


@pytest.mark.parametrize("event", EVENTS)
def test_a_run_that_dies_is_not_run_again_by_another(recovery, world, event):
    def die():
        raise Killed

    world.on[event] = die
    with pytest.raises(Killed):
        recovery.run()
    del world.on[event]
    before = list(world.said)

    assert AttemptOutcome.SUPERSEDED is recovery.run(runner="the pod that Kubernetes started twice").outcome
    assert before == world.said
    with closing(open_store(recovery.path)) as dispatcher, transaction(dispatcher):
        ledger.end(dispatcher, recovery.id, Ending(AttemptOutcome.UNKNOWN, "OOMKilled"), now=at(1300))
    assert (RUNNER, AttemptOutcome.UNKNOWN) == (recovery.row.runner, recovery.row.outcome)
    assert (event == "act") is (recovery.row.acted_ms is not None)


def test_a_run_ends_by_itself_before_its_job_is_ended():
    manifest = (Path(__file__).parents[2] / "manifests" / "recover-cronjob.yaml").read_text()
    deadline_seconds = int(re.search(r"activeDeadlineSeconds: (\d+)", manifest)[1])
    grace_seconds = int(re.search(r"terminationGracePeriodSeconds: (\d+)", manifest)[1])

    assert LONGEST_SECONDS == deadline_seconds
    assert Patience().total_seconds <= deadline_seconds - grace_seconds
    assert Patience().act_seconds + CONNECT_SECONDS <= grace_seconds, "SIGTERM waits for the act's answer"
    assert Patience().total_seconds + WRITE_SECONDS + BUSY_TIMEOUT_SECONDS < deadline_seconds
    assert LEAVE_SECONDS + BUSY_TIMEOUT_SECONDS < grace_seconds
    longest = max(VERIFY_SECONDS.values()) + Patience().act_seconds

    assert longest < Patience().total_seconds
