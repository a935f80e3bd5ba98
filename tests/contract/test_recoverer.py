"""One attempt from its claim to its outcome, on a real store in a world whose answers each test chooses."""

from contextlib import closing

import pytest
from attempts import Recovery, World, a_pod_instance, assert_no_act, deleting, ended
from ledgers import INCIDENT, KEY, WALL_MS, at, put_incident

from agent.report import Actions, Network
from jobs.errors import ClusterError
from jobs.health.causes import FLEET
from jobs.health.control import Stop
from jobs.health.model import InstanceKey
from jobs.health.recovery import Action, AttemptOutcome, AttemptState, Hold
from jobs.probe.actions import NO_KEY, Challenge, Done, Refused, Silent
from jobs.store import asked, ledger
from jobs.store.connection import transaction
from jobs.store.ledger import Ending


def said_without_sleep(world):
    """Return what was asked for up to the act, each once in its order."""
    return list(dict.fromkeys(one for one in world.said if one != "sleep"))


def test_an_attempt_that_helps_is_healed_and_says_so_everywhere(recovery, world):
    result = recovery.run()

    detail = "well 8 s after the act; the act took effect: the guest was reset"
    assert (AttemptOutcome.HEALED, detail) == (result.outcome, result.detail) == ended(recovery)
    assert 0 == result.exit_code
    assert 0.0 == recovery.row.session_seconds_lost
    assert recovery.row.has_evidence


def test_the_steps_come_in_the_order_of_the_architecture(recovery, world):
    recovery.run()

    assert ["switches", "pod", "look", "evidence", "challenge", "act", "after"] == said_without_sleep(world)


def test_the_agent_is_told_what_it_may_check(recovery, world):
    recovery.run()

    order = world.order
    assert ("reset-guest", "uid-1", recovery.id, INCIDENT) == (
        order.action,
        order.pod_uid,
        order.attempt,
        order.incident,
    )


def test_begin_act_is_written_before_the_act_and_after_the_challenge(recovery, world):
    seen = {}
    world.on["challenge"] = lambda: seen.update(challenge=recovery.row.acted_ms)
    world.on["act"] = lambda: seen.update(act=recovery.row.acted_ms)

    recovery.run()

    assert seen["challenge"] is None
    assert seen["act"] is not None


def test_the_fleet_is_looked_at_anew_at_once(recovery):
    recovery.run()

    assert asked.last_asked(recovery.connection, "collect")


def test_a_second_runner_gets_nothing(recovery, world):
    with transaction(recovery.connection):
        ledger.claim(recovery.connection, recovery.id, "another pod", now=at(950))

    result = recovery.run()

    assert AttemptOutcome.SUPERSEDED is result.outcome
    assert [] == world.said
    assert AttemptState.RUNNING is recovery.row.state


def test_an_attempt_of_another_store_is_not_ours(recovery, world):
    assert AttemptOutcome.SUPERSEDED is recovery.run(store="ffffff").outcome
    assert [] == world.said


def test_an_incident_that_is_over_by_then_ends_it_before_the_act(recovery, world):
    def close():
        with transaction(recovery.connection):
            put_incident(recovery.connection, closed_at_ms=WALL_MS)

    world.on["challenge"] = close
    recovery.run()

    assert_no_act(recovery, AttemptOutcome.SUPERSEDED, "the attempt was ended, or its incident is over")


def test_an_attempt_that_the_dispatcher_has_given_up_does_not_act(recovery, world):
    def give_up():
        with transaction(recovery.connection):
            ledger.end(recovery.connection, recovery.id, Ending(AttemptOutcome.UNKNOWN, "gone"), now=at(1300))

    world.on["challenge"] = give_up
    result = recovery.run()

    assert_no_act(recovery, AttemptOutcome.UNKNOWN, "gone")
    assert result.detail.endswith("the ledger had ended the attempt before")


def test_a_dry_run_does_nothing(recovery, world):
    result = recovery.run(is_dry_run=True)

    assert_no_act(recovery, AttemptOutcome.STOOD_DOWN, "DryRun: reset-guest would be done now")
    assert (0, []) == (result.exit_code, world.said)


def test_a_switch_that_is_off_stops_it(recovery, world):
    world.stops = Stop(Hold.KILL_SWITCH, "recovery is switched off in loco-control")
    result = recovery.run()

    assert_no_act(recovery, AttemptOutcome.STOOD_DOWN, "KillSwitch: recovery is switched off in loco-control")
    assert 0 == result.exit_code


def test_a_switch_that_is_set_while_evidence_is_kept_still_stops_it(recovery, world):
    world.on["evidence"] = lambda: setattr(world, "stops", Stop(Hold.KILL_SWITCH, "recovery is switched off"))
    recovery.run()

    assert_no_act(recovery, AttemptOutcome.STOOD_DOWN, "KillSwitch: recovery is switched off")


BRAKES = {
    FLEET: "FleetBrake: 1 instances were ill at once without a common cause, too many to act one by one",
    "common/node/node-a": "CommonCause: 1 instances on node node-a are ill",
}


@pytest.mark.parametrize(("cause", "detail"), BRAKES.items(), ids=BRAKES)
def test_a_brake_that_comes_on_after_the_plan_stops_it(recovery, world, cause, detail):
    def brake():
        with transaction(recovery.connection):
            put_incident(recovery.connection, "incident-9", key=InstanceKey(cause), members=(KEY,))

    world.on["challenge"] = brake
    recovery.run()

    assert_no_act(recovery, AttemptOutcome.STOOD_DOWN, detail)


@pytest.mark.parametrize("what", ["switches", "pod"])
def test_what_cannot_be_read_stops_it_and_is_worth_another_exit_code(recovery, world, what):
    def fail():
        raise ClusterError("GET /x failed: timed out")

    world.on[what] = fail
    result = recovery.run()

    detail = "nothing is done that can't be checked first: GET /x failed: timed out"
    assert_no_act(recovery, AttemptOutcome.STOOD_DOWN, detail)
    assert 75 == result.exit_code


GROUNDS = {
    "no pod": (lambda: None, "superseded", "there is no pod loco-instances/loco-emulator-0 any more"),
    "another pod": (
        lambda: a_pod_instance(uid="uid-2"),
        "superseded",
        "the pod is another one: its uid was uid-1 and is uid-2",
    ),
    "a pod without a uid": (
        lambda: a_pod_instance(uid=None),
        "superseded",
        "the pod is another one: its uid was uid-1 and is unknown",
    ),
    "a pod that is being ended": (lambda: deleting(a_pod_instance()), "superseded", "the pod is being ended"),
    "a container that restarted": (
        lambda: a_pod_instance(restarts=1),
        "superseded",
        "its containers have restarted by themselves: 0 restarts were known, now 1",
    ),
    "recovery off": (
        lambda: a_pod_instance(is_recovery_off=True),
        "stood-down",
        "Paused: the pod's annotations say that nothing is to be done",
    ),
    "monitoring off": (
        lambda: a_pod_instance(off_reason="mine", off_until_ms=WALL_MS + 10_000_000),
        "stood-down",
        "Paused: the pod's annotations say that nothing is to be done",
    ),
    "maintenance": (
        lambda: a_pod_instance(maintenance_until_ms=WALL_MS + 10_000_000),
        "stood-down",
        "Paused: the pod's annotations say that it is in maintenance",
    ),
}


@pytest.mark.parametrize(("found", "outcome", "detail"), GROUNDS.values(), ids=GROUNDS)
def test_a_pod_that_is_not_as_it_was_planned_for_is_left_alone(recovery, world, found, outcome, detail):
    world.found = found()
    recovery.run()

    assert_no_act(recovery, AttemptOutcome(outcome), detail)


def test_a_maintenance_that_is_over_forbids_nothing(recovery, world):
    world.found = a_pod_instance(maintenance_until_ms=WALL_MS)

    assert AttemptOutcome.HEALED is recovery.run().outcome


def test_a_fault_that_has_gone_by_itself_needs_no_act(recovery, world):
    world.codes = ()
    recovery.run()

    assert_no_act(recovery, AttemptOutcome.SUPERSEDED, "ScreenFrozen is gone")


def test_a_fault_that_nobody_can_see_is_not_called_gone(tmp_path, world):
    world.codes = ("BlockUnmeasured",)
    world.blocks = {"network": Network(bridge="loco-br", tap="tap0", error="no answer for 4 s, due within 2")}
    recovery = Recovery(tmp_path / "loco.db", world, codes=("TapDown",), action=Action.RESET_INTERFACE)
    with closing(recovery.connection):
        recovery.run()

        detail = "nobody can tell whether TapDown still holds: it wasn't measured"
        assert_no_act(recovery, AttemptOutcome.STOOD_DOWN, detail)


def test_a_report_that_stands_still_shows_no_fault_gone(recovery, world):
    world.codes = ("ReportStale",)
    recovery.run()

    detail = "nobody can tell whether ScreenFrozen still holds: it wasn't measured"
    assert_no_act(recovery, AttemptOutcome.STOOD_DOWN, detail)


def test_an_agent_that_says_beforehand_that_it_cannot_costs_no_budget(recovery, world):
    world.actions = Actions(cannot={"reset-guest": "no QMP socket is configured"})
    recovery.run()

    assert_no_act(recovery, AttemptOutcome.REFUSED, "the agent can't do it here: no QMP socket is configured")


def test_an_act_that_an_older_agent_does_not_know_costs_no_budget(recovery, world):
    world.actions = Actions(can=["reset-audio"])
    recovery.run()

    assert_no_act(recovery, AttemptOutcome.REFUSED, "the agent can't do it here: it doesn't know the act")


def test_an_agent_without_a_key_is_not_asked(recovery, world):
    world.actions = Actions(error="acts are off: no key file is set")
    recovery.run()

    assert_no_act(
        recovery, AttemptOutcome.STOOD_DOWN, "NoKey: the agent does no acts: acts are off: no key file is set"
    )


REFUSALS = {
    "no master key": (Refused(0, NO_KEY, "no master key"), "stood-down", "NoKey: no master key"),
    "a silent agent": (Silent("no answer within 5 s", has_reached=True), "stood-down",
                       "IdentityUnproven: the agent can't be asked: no answer within 5 s"),
    "an agent of before": (Refused(404, "", "the agent answered 404"), "refused", "the agent answered 404"),
    "a busy agent": (Refused(503, "", "too many requests"), "stood-down", "IdentityUnproven: too many requests"),
    "no challenge": (Refused(200, "", "no challenge"), "stood-down", "IdentityUnproven: no challenge"),
    "another pod's agent": (Challenge("c", "uid-9"), "stood-down",
                            "IdentityUnproven: the agent says uid-9, the pod's uid is uid-1"),
    "an agent of no pod": (Challenge("c", ""), "stood-down",
                           "IdentityUnproven: the agent says no uid, the pod's uid is uid-1"),
}  # fmt: skip


@pytest.mark.parametrize(("leave", "outcome", "detail"), REFUSALS.values(), ids=REFUSALS)
def test_without_the_right_challenge_nothing_is_begun(recovery, world, leave, outcome, detail):
    world.leave = leave
    recovery.run()

    assert_no_act(recovery, AttemptOutcome(outcome), detail)


ANSWERS = {
    "it can't": (Refused(422, "cannot", "no QMP"), "refused", "no QMP"),
    "not allowed": (Refused(403, "not-allowed", "LOCO_ACTIONS"), "refused", "LOCO_ACTIONS"),
    "bad signature": (Refused(401, "bad-signature", "not ours"), "stood-down", "NoKey: not ours"),
    "no signature": (Refused(401, "unsigned", "a proxy took it"), "stood-down", "NoKey: a proxy took it"),
    "no agent's word": (Refused(503, "", "too many"), "stood-down", "IdentityUnproven: too many"),
    "the run slept": (Refused(401, "challenge-expired", "older than 30 s"), "stood-down", "CoolDown: older than 30 s"),
    "another pod": (Refused(409, "other-pod", "this is pod b"), "superseded", "this is pod b"),
    "busy": (Refused(409, "busy", "another act"), "stood-down", "AttemptRunning: another act"),
    "quota": (Refused(409, "quota-spent", "3 acts"), "stood-down", "BudgetSpent: 3 acts"),
    "acts off": (Refused(403, "acts-off", "no key"), "stood-down", "NoKey: no key"),
    "gone": (Silent("connection refused", has_reached=False), "stood-down",
             "IdentityUnproven: the agent can't be asked: connection refused"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "outcome", "detail"), ANSWERS.values(), ids=ANSWERS)
def test_an_act_that_the_agent_refuses_is_not_verified(recovery, world, answer, outcome, detail):
    world.answer = answer
    recovery.run()

    assert (AttemptOutcome(outcome), detail) == ended(recovery)
    assert "act" == world.said[-1]


def test_what_an_agent_says_is_kept_without_what_looks_like_a_secret(recovery, world):
    world.answer = Refused(422, "cannot", "the command said: Authorization: Bearer canary-3f9c")
    recovery.run()

    assert (AttemptOutcome.REFUSED, "the command said: (redacted)") == ended(recovery)


def test_an_answer_that_got_lost_is_not_asked_for_again_but_looked_for(recovery, world):
    world.answer = Silent("reset by peer", has_reached=True)
    recovery.run()

    assert (AttemptOutcome.HEALED, "well 8 s after the act; its answer got lost: reset by peer") == ended(recovery)
    assert ["act"] == world.acts


def test_an_answer_that_got_lost_without_an_effect_is_unknown(recovery, world):
    world.answer, world.heals = Silent("reset by peer", has_reached=True), False
    result = recovery.run()

    assert AttemptOutcome.UNKNOWN is recovery.row.outcome
    assert 1 == result.exit_code


def test_an_act_without_an_effect_ends_at_its_deadline(recovery, world):
    world.heals = False
    result = recovery.run()

    detail = "ScreenFrozen holds 30 s after the act; the act took effect: the guest was reset"
    assert (AttemptOutcome.NO_EFFECT, detail) == ended(recovery)
    assert 1 == result.exit_code


def test_an_act_that_brought_something_worse_ends_the_ladder(tmp_path):
    world = World(codes=("AudioMuted",), answer=Done(held=None, detail="done"))
    recovery = Recovery(tmp_path / "loco.db", world, codes=("AudioMuted",), action=Action.RESET_AUDIO)
    world.on["act"] = lambda: setattr(world, "codes", ("QemuDead",))
    world.heals = False
    recovery.run()

    assert AttemptOutcome.WORSE is recovery.row.outcome


def test_a_pod_that_is_replaced_while_it_is_looked_at_says_nothing_of_the_act(recovery, world):
    world.heals = False
    world.on["act"] = lambda: setattr(world, "found", a_pod_instance(uid="uid-2"))
    recovery.run()

    assert (AttemptOutcome.SUPERSEDED, "the pod was replaced after the act") == ended(recovery)
    assert recovery.row.acted_ms is not None


def test_a_pod_that_cannot_be_read_after_the_act_is_looked_at_as_it_was(recovery, world):
    def fail():
        if world.has_acted:
            raise ClusterError("timed out")

    world.on["pod"] = fail

    assert AttemptOutcome.HEALED is recovery.run().outcome


def test_evidence_that_cannot_be_kept_stops_nothing_and_is_said(recovery, world):
    world.why_not_kept = "no space left"
    recovery.run()

    detail = "well 8 s after the act; the act took effect: the guest was reset; no evidence was kept: no space left"
    assert (AttemptOutcome.HEALED, detail) == ended(recovery)
    assert not recovery.row.has_evidence
