"""What is to be done next: the rung, or why there is none."""

from dataclasses import replace

import pytest
from situations import ACTS, WITNESSED_MS, a_situation, acting_report, an_attempt, lasting

from agent.report import Actions
from jobs.health.ladder import FROZEN, next_rung
from jobs.health.policyfile import parse_policy
from jobs.health.recovery import Action, AttemptOutcome
from jobs.health.remedies import REMEDIES
from jobs.health.rules import BY_CODE
from jobs.health.situation import Leave, Wish

DELETE_POD = Leave(parse_policy("", "p"), may_delete_pod=True)


def rung(*codes, **fields):
    """Return the action, or the hold, of a situation."""
    found = next_rung(a_situation(*codes, **fields))
    return (found.action if hasattr(found, "action") else found.hold).value


def held(*codes, **fields):
    return next_rung(a_situation(*codes, **fields)).detail


@pytest.mark.parametrize("code", sorted(REMEDIES))
def test_a_fault_begins_at_the_least_act_that_can_help(code):
    assert REMEDIES[code][0].value == rung(code, leave=DELETE_POD)


def test_a_fault_without_a_remedy_is_nobodys_to_act_on():
    assert "no act answers HighCpu" == held("HighCpu")
    assert "nothing is wrong at this tick" == held() == held("HostBusy")
    assert "NotActionable" == rung("AgentTimeout")


def test_an_instance_that_nobody_has_looked_at_now_is_left_alone():
    assert "nobody has looked at the instance at this tick" == held(assessment=None)


def test_a_policy_may_take_a_remedy_away():
    policy = parse_policy("[remedies]\nTapDown = []", "p")

    assert "NotActionable" == rung("TapDown", policy=policy)


@pytest.mark.parametrize("code", sorted(FROZEN))
def test_what_somebody_planned_is_never_acted_on_whatever_else_is_wrong(code):
    expected = FROZEN[code].value

    assert expected == rung("TapDown", code) == rung("TapDown", code, wish=Wish())
    assert f"{code} holds, and nothing is done while it does" == held("TapDown", code)


def test_frozen_codes_are_codes():
    assert set(FROZEN) <= set(BY_CODE)


def test_one_observation_is_not_acted_on():
    fresh = lasting("TapDown", seconds=0)

    assert "TapDown was seen at one tick only, two are needed" == held(assessment=fresh)
    assert "reset-interface" == rung(assessment=lasting("TapDown", seconds=15))
    assert "reset-interface" == rung(assessment=fresh, wish=Wish())


def test_a_reason_that_does_not_say_since_when_is_as_good_as_new():
    made = lasting("TapDown")

    assert "NotActionable" == rung(assessment=replace(made, reasons=(replace(made.reasons[0], evidence=()),)))


def test_a_dead_qemu_is_given_the_time_that_its_container_takes():
    found = next_rung(a_situation(assessment=lasting("QemuDead", seconds=30), leave=DELETE_POD))

    assert ("SelfHealing", 15.0) == (found.hold.value, found.wait_seconds)
    assert "SelfHealing" == rung(assessment=lasting("QemuDead", seconds=0), leave=DELETE_POD)
    assert "delete-pod" == rung(assessment=lasting("QemuDead", seconds=45), leave=DELETE_POD)
    assert "delete-pod" == rung(assessment=lasting("QemuDead", seconds=0), leave=DELETE_POD, wish=Wish())


def test_what_may_heal_by_itself_holds_up_no_other_fault():
    assert "rebuild-bridge" == rung(assessment=lasting("QemuDead", "BridgeDown", seconds=30))


def test_faults_of_several_classes_climb_one_ladder_network_first():
    found = next_rung(a_situation("ScreenFrozen", "TapDown"))

    assert ("reset-interface", ("TapDown",)) == (found.action, found.codes)
    failed = [an_attempt(one, "no-effect", codes=("TapDown",)) for one in ("reset-interface", "rebuild-bridge")]
    assert "reset-guest" == rung("ScreenFrozen", "TapDown", attempts=tuple(failed))


def test_a_client_counts_only_where_nothing_else_is_at_fault():
    assert "restart-stream" == rung("ClientError")
    assert "reset-audio" == rung("ClientError", "AudioMuted")
    tried = (an_attempt("reset-interface", "no-effect", codes=("InterfaceErrors",)),)
    assert "NeedsHuman" == rung("ClientError", "InterfaceErrors", attempts=tried)


@pytest.mark.parametrize("outcome", ["no-effect", "refused", "unknown-outcome"])
def test_a_rung_that_did_not_help_leads_to_the_next(outcome):
    assert "restart-qemu" == rung("QemuStuck", attempts=(an_attempt("reset-guest", outcome),))


@pytest.mark.parametrize("outcome", ["superseded", "stood-down", "not-created", "name-collision", None])
def test_an_attempt_that_never_acted_is_made_again(outcome):
    assert "reset-guest" == rung("QemuStuck", attempts=(an_attempt("reset-guest", outcome),))


def test_an_attempt_whose_pod_provably_never_acted_climbs_no_rung():
    lost = replace(an_attempt("reset-guest", "unknown-outcome"), acted_ms=None, ended_ms=WITNESSED_MS)

    assert "reset-guest" == rung("QemuStuck", attempts=(lost,) * 2)
    assert "reset-guest" == rung("QemuStuck", attempts=(replace(lost, action=Action.RESTART_QEMU),))
    assert "restart-qemu" == rung("QemuStuck", attempts=(replace(lost, spent_ms=WITNESSED_MS + 1),))
    assert "restart-qemu" == rung("QemuStuck", attempts=(replace(lost, ended_ms=None),))
    assert "restart-qemu" == rung("QemuStuck", attempts=(replace(lost, outcome=AttemptOutcome.REFUSED),))


def test_a_rung_that_healed_is_taken_again_when_the_fault_comes_back():
    attempts = (an_attempt("reset-guest", "no-effect"), an_attempt("restart-qemu", "healed"))

    assert "reset-guest" == rung("QemuStuck", attempts=(an_attempt("reset-guest", "healed"),))
    assert "restart-qemu" == rung("QemuStuck", attempts=attempts)


def test_a_rung_that_healed_once_and_failed_then_is_over():
    attempts = (an_attempt("reset-guest", "healed"), an_attempt("reset-guest", "no-effect"))

    assert "restart-qemu" == rung("QemuStuck", attempts=attempts)


def test_a_rung_that_made_it_worse_ends_the_ladder():
    attempts = (an_attempt("reset-guest", "worse", attempt_id=7), an_attempt("restart-qemu", "healed"))

    assert "NeedsHuman" == rung("QemuStuck", attempts=attempts)
    assert "reset-guest made it worse (attempt 7), so nothing more is tried" == held("QemuStuck", attempts=attempts)


def test_what_comes_back_after_every_cure_needs_a_human():
    healed = an_attempt("reset-guest", "healed")

    assert "reset-guest" == rung("QemuStuck", attempts=(healed,) * 2)
    assert "it was healed 3 times and came back each time" == held("QemuStuck", attempts=(healed,) * 3)


def test_after_the_last_rung_a_human_is_needed():
    attempts = (an_attempt("reset-guest", "no-effect"), an_attempt("restart-qemu", "refused"))

    assert "NeedsHuman" == rung("QemuStuck", attempts=attempts)
    assert (
        "no rung is left for QemuStuck; tried: reset-guest (no-effect), restart-qemu (refused);"
        " delete-pod can't be done here: component delete-pod isn't applied"
    ) == held("QemuStuck", attempts=attempts)
    assert "delete-pod" == rung("QemuStuck", attempts=attempts, leave=DELETE_POD)


def test_a_rung_that_the_agent_can_not_climb_is_passed_over():
    report = acting_report(actions=Actions(can=["restart-qemu"], cannot={"reset-guest": "no QMP socket"}))

    assert "restart-qemu" == rung("QemuStuck", report=report)


def test_a_dead_qemu_that_does_not_come_back_needs_a_person_where_nobody_may_delete_its_pod():
    assert "NeedsHuman" == rung("QemuDead")
    assert "no rung is left for QemuDead; delete-pod can't be done here: component delete-pod isn't applied" == held(
        "QemuDead"
    )


def test_a_clients_trouble_that_nothing_answers_here_calls_nobody():
    report = acting_report(actions=Actions(can=[], cannot={"lower-quality": "no stream is set up"}))

    assert "NotActionable" == rung("ClientPacketLoss", report=report)


def test_where_no_rung_can_be_climbed_it_says_why():
    report = acting_report(actions=Actions(can=[], cannot={"reset-guest": "no QMP socket"}))

    assert "NeedsHuman" == rung("ScreenBlank", report=report)
    assert (
        "no rung is left for ScreenBlank; reset-guest can't be done here: no QMP socket;"
        " restart-qemu can't be done here: the agent doesn't know it;"
        " delete-pod can't be done here: component delete-pod isn't applied"
    ) == held("ScreenBlank", report=report)


def test_nobody_climbs_down_within_one_fault():
    """The agent couldn't reset the guest when it was to; once it can, QEMU was restarted in vain already."""
    attempts = (an_attempt("restart-qemu", "no-effect"),)

    assert "NeedsHuman" == rung("QemuStuck", attempts=attempts)
    assert "reset-interface" == rung("TapDown", attempts=attempts)


def test_nobody_climbs_down_below_an_earlier_failure_of_a_rung_for_the_same_fault():
    failures = [an_attempt("rebuild-bridge", "no-effect", codes=codes) for codes in (("TapDown",), ("BridgeDown",))]

    assert "restart-qemu" == rung("TapDown", attempts=tuple(failures))


def test_a_pod_is_deleted_only_where_there_is_one():
    instance = replace(a_situation().instance, pod=None)

    assert "there is no pod" in held("QemuDead", instance=instance, leave=DELETE_POD)


def test_a_person_may_name_the_act():
    tried = (an_attempt("reset-guest", "worse"),)
    found = next_rung(a_situation("QemuStuck", wish=Wish(Action("reset-guest")), attempts=tried))

    assert ("reset-guest", ("QemuStuck",)) == (found.action, found.codes)
    assert () == next_rung(a_situation(wish=Wish(Action("reset-audio")))).codes


def test_a_person_can_not_have_what_the_agent_can_not_do():
    report = acting_report(actions=replace_can(ACTS, without="reset-audio"))

    assert "reset-audio can't be done here: no server" == held(wish=Wish(Action("reset-audio")), report=report)


def replace_can(actions, *, without):
    return Actions(can=[one for one in actions.can if one != without], cannot={without: "no server"})
