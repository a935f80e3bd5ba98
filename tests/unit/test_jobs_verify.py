"""Whether an act has helped, from looks that a test makes up out of real reports and real codes."""

import pytest
from builders import a_report, an_assessment, an_instance
from ledgers import KEY

from agent.report import Network
from jobs.health.recovery import Action, Attempt, AttemptOutcome, AttemptState, Origin
from jobs.health.rules import BY_WORD
from jobs.probe.verify import Look, Verification

STILL_GUEST = an_instance(expect_motion_seconds=None, expect_sound_seconds=None)
ACTED_AT = 100.0


def an_attempt(*codes, action=Action.RESET_GUEST, **fields):
    """Return a running attempt that answers these codes."""
    defaults = {
        "id": 1,
        "key": KEY,
        "incident": "incident-0",
        "number": 1,
        "action": action,
        "uid": "uid-1",
        "restarts": 0,
        "codes": codes,
        "origin": Origin.POLICY,
        "requested_by": "",
        "is_forced": False,
        "state": AttemptState.RUNNING,
        "job": None,
        "runner": "pod-1",
        "booked_ms": 0,
        "acted_ms": 0,
        "spent_ms": 0,
        "booked_at_ms": 0,
        "acted_at_ms": 0,
        "ended_at_ms": None,
        "outcome": None,
        "detail": "",
        "session_seconds_lost": None,
        "has_evidence": False,
    }
    return Attempt(**{**defaults, **fields})


def a_look(at, *codes, sequence=None, suspected=(), instance=STILL_GUEST, **blocks):
    """Return a look `at` seconds; each has a report of a new round unless it says which."""
    return Look(
        ACTED_AT + at,
        instance,
        an_assessment(*codes, suspected=suspected),
        a_report(sequence=round(1000 + at * 10) if sequence is None else sequence, **blocks),
    )


def a_silent_look(at, *codes):
    """Return a look to which no report came."""
    return Look(ACTED_AT + at, STILL_GUEST, an_assessment(*codes))


def verified(attempt, before, *looks):
    """Return the verification of these looks."""
    verification = Verification(attempt, before, acted_at_seconds=ACTED_AT)
    for look in looks:
        if verification.see(look):
            break
    return verification


def outcome(attempt, before, *looks):
    """Return what it came to, a second after the last look."""
    return verified(attempt, before, *looks).end(looks[-1].at_seconds + 1)


BEFORE = a_look(-1, "ScreenFrozen")


def test_three_good_reports_over_five_seconds_are_a_healing():
    assert outcome(an_attempt("ScreenFrozen"), BEFORE, a_look(3), a_look(6), a_look(9)) == (
        AttemptOutcome.HEALED,
        "well 10 s after the act",
    )


def test_good_reports_in_quick_succession_are_not_enough():
    looks = [a_look(at) for at in (1.0, 2.0, 3.0, 4.0)]

    assert outcome(an_attempt("ScreenFrozen"), BEFORE, *looks) == (
        AttemptOutcome.NO_EFFECT,
        "not well for long enough 5 s after the act",
    )


def test_one_round_of_the_agent_counts_once_however_often_it_is_read():
    looks = [a_look(at, sequence=2000) for at in (3, 6, 9, 12)]

    assert outcome(an_attempt("ScreenFrozen"), BEFORE, *looks)[0] is AttemptOutcome.NO_EFFECT


def test_the_round_that_was_seen_before_the_act_proves_nothing():
    stale = [a_look(at, sequence=990) for at in (1, 2)]
    before = a_look(-1, "ScreenFrozen", sequence=990)

    assert verified(an_attempt("ScreenFrozen"), before, *stale, a_look(3), a_look(8)).is_well is False


def test_a_bad_look_begins_the_count_anew():
    looks = [a_look(3), a_look(6), a_look(9, "ScreenFrozen"), a_look(12), a_look(15)]

    assert outcome(an_attempt("ScreenFrozen"), BEFORE, *looks)[0] is AttemptOutcome.NO_EFFECT


def test_a_suspicion_is_no_good_look():
    looks = [a_look(at, suspected=("VncMute",)) for at in (3, 6, 9, 12)]

    assert outcome(an_attempt("VncMute"), a_look(-1, "VncMute"), *looks) == (
        AttemptOutcome.NO_EFFECT,
        "VncMute holds 13 s after the act",
    )


def test_a_look_without_a_report_is_no_good_look():
    looks = [a_silent_look(at) for at in (3, 6, 9)]

    assert outcome(an_attempt("ScreenFrozen"), BEFORE, *looks) == (
        AttemptOutcome.NO_EFFECT,
        "no report came 10 s after the act",
    )


def test_a_fault_that_the_attempt_does_not_answer_and_that_was_there_before_is_borne():
    before = a_look(-1, "ScreenFrozen", "HighMemory")

    assert outcome(an_attempt("ScreenFrozen"), before, *(a_look(at, "HighMemory") for at in (3, 6, 9)))[0] is (
        AttemptOutcome.HEALED
    )


@pytest.mark.parametrize("look", [{"suspected": ("HighCpu",)}, {"codes": ("HighCpu", "CpuThrottled")}])
def test_a_guest_that_boots_may_be_busy(look):
    codes, suspected = look.get("codes", ()), look.get("suspected", ())
    looks = [a_look(at, *codes, suspected=suspected) for at in (3, 6, 9)]

    assert outcome(an_attempt("ScreenFrozen"), BEFORE, *looks)[0] is AttemptOutcome.HEALED


def test_a_load_that_the_attempt_answers_must_be_gone():
    looks = [a_look(at, "HighCpu") for at in (3, 6, 9)]

    assert outcome(an_attempt("HighCpu"), a_look(-1, "HighCpu"), *looks)[0] is AttemptOutcome.NO_EFFECT


def test_a_worse_fault_that_came_with_the_act_and_stays_is_worse():
    before = a_look(-1, "AudioMuted")
    looks = [a_look(3), a_look(6, "QemuDead"), a_look(9, "QemuDead")]

    assert outcome(an_attempt("AudioMuted", action=Action.RESET_AUDIO), before, *looks) == (
        AttemptOutcome.WORSE,
        "QemuDead came with it and holds 10 s after the act",
    )


def test_a_fault_of_another_layer_that_came_with_the_act_is_worse():
    looks = [a_look(at, "BridgeDown") for at in (3, 6)]

    assert outcome(an_attempt("ScreenFrozen"), BEFORE, *looks)[0] is AttemptOutcome.WORSE


def test_a_fault_that_was_seen_at_the_last_look_alone_is_not_yet_worse():
    before = a_look(-1, "AudioMuted")

    assert outcome(an_attempt("AudioMuted"), before, a_look(3), a_look(6, "QemuDead"))[0] is AttemptOutcome.NO_EFFECT
    assert outcome(an_attempt("AudioMuted"), before, a_look(6, "QemuDead"))[0] is AttemptOutcome.NO_EFFECT


def test_an_equally_bad_fault_of_the_same_layer_is_no_effect():
    looks = [a_look(at, "ScreenBlank") for at in (3, 6)]

    assert outcome(an_attempt("ScreenFrozen"), BEFORE, *looks)[0] is AttemptOutcome.NO_EFFECT


def test_a_restart_that_was_the_act_itself_is_no_fault():
    looks = [a_look(at, "QemuRestarted") for at in (3, 6, 9)]

    assert outcome(an_attempt("QmpTimeout", action=Action.RESTART_QEMU), a_look(-1, "QmpTimeout"), *looks)[0] is (
        AttemptOutcome.HEALED
    )


def test_a_restart_that_another_act_never_makes_is_a_fault():
    looks = [a_look(at, "QemuRestarted") for at in (3, 6, 9)]

    assert outcome(an_attempt("ScreenFrozen"), BEFORE, *looks)[0] is AttemptOutcome.NO_EFFECT


def test_where_motion_is_expected_it_must_be_seen_within_the_run_of_good_reports():
    guest = an_instance(expect_sound_seconds=None)
    still = [a_look(at, instance=guest, screen={"still_seconds": float(at)}) for at in (3, 6, 9)]

    assert outcome(an_attempt("ScreenFrozen"), BEFORE, *still) == (
        AttemptOutcome.NO_EFFECT,
        "the screen hasn't moved yet 10 s after the act",
    )

    moving = a_look(12, instance=guest, screen={"still_seconds": 1.0})

    assert outcome(an_attempt("ScreenFrozen"), BEFORE, *still, moving)[0] is AttemptOutcome.HEALED


def test_where_sound_is_expected_it_must_be_heard_within_the_run_of_good_reports():
    guest = an_instance(expect_motion_seconds=None)
    looks = [a_look(at, instance=guest, audio={"silent_seconds": None}) for at in (3, 6, 9)]

    assert outcome(an_attempt("AudioSilent"), a_look(-1, "AudioSilent"), *looks) == (
        AttemptOutcome.NO_EFFECT,
        "no sound has come yet 10 s after the act",
    )


def test_a_guest_that_was_mute_before_needs_no_sound_to_have_its_tap_back():
    guest = an_instance(expect_motion_seconds=None)
    attempt = an_attempt("TapDown", action=Action.RESET_INTERFACE)
    before = a_look(-1, "TapDown", "AudioMuted", instance=guest)
    looks = [a_look(at, "AudioMuted", instance=guest, audio={"silent_seconds": None}) for at in (3, 6, 9)]

    assert outcome(attempt, before, *looks)[0] is AttemptOutcome.HEALED


def test_a_fault_that_cannot_be_seen_is_not_healed():
    attempt = an_attempt("TapDown", action=Action.RESET_INTERFACE)
    blank = Network(bridge="loco-br", tap="tap0", error="no answer for 4 s, due within 2")
    # That something wasn't measured before the act either must not let it be borne here.
    before = a_look(-1, "TapDown", "BlockUnmeasured")
    looks = [a_look(at, "BlockUnmeasured", network=blank) for at in (3, 6, 9)]

    assert outcome(attempt, before, *looks) == (AttemptOutcome.NO_EFFECT, "TapDown can't be seen 10 s after the act")
    assert outcome(attempt, before, *looks, *(a_look(at) for at in (12, 15, 18)))[0] is AttemptOutcome.HEALED


def test_a_network_that_cannot_be_seen_keeps_no_other_fault_from_being_healed():
    blank = Network(bridge="loco-br", tap="tap0", error="no answer for 4 s, due within 2")
    before = a_look(-1, "ScreenFrozen", "BlockUnmeasured", network=blank)
    looks = [a_look(at, "BlockUnmeasured", network=blank) for at in (3, 6, 9)]

    assert outcome(an_attempt("ScreenFrozen"), before, *looks)[0] is AttemptOutcome.HEALED


def test_a_deleted_pod_is_well_only_as_another_one():
    attempt = an_attempt("QemuDead", action=Action.DELETE_POD)
    old, new = an_instance(uid="uid-1"), an_instance(uid="uid-2", expect_motion_seconds=None, expect_sound_seconds=None)
    before = a_look(-1, "QemuDead")

    assert outcome(attempt, before, *(a_look(at, instance=old) for at in (3, 6, 9))) == (
        AttemptOutcome.NO_EFFECT,
        "the new pod isn't there 10 s after the act",
    )
    assert outcome(attempt, before, *(a_look(at, instance=new) for at in (3, 6, 9)))[0] is AttemptOutcome.HEALED


def with_people(at, count):
    """Return a look that sees so many people."""
    if count is None:
        return a_silent_look(at)
    return a_look(at, sessions={"count": count, "sessions": []}, clients={"count": 0, "clients": []})


def test_nobody_connected_loses_nothing():
    verification = verified(an_attempt("ScreenFrozen"), with_people(-1, 0), with_people(3, 0), with_people(6, 0))

    assert 0.0 == verification.lost.seconds


def test_each_person_who_was_cut_off_counts_until_it_is_back():
    looks = [with_people(4, 0), with_people(8, 1), with_people(12, 2)]

    assert 2 * 4 + 2 * 4 + 1 * 4 == verified(an_attempt("x"), with_people(-1, 2), *looks).lost.seconds


def test_what_cannot_be_counted_for_a_while_is_counted_with_the_next():
    looks = [with_people(4, None), with_people(8, 0), with_people(10, 1)]

    assert 1 * 8 + 1 * 2 == verified(an_attempt("x"), with_people(-1, 1), *looks).lost.seconds


def test_people_who_were_never_counted_are_unknown_and_not_none():
    assert verified(an_attempt("x"), with_people(-1, None), with_people(3, 0)).lost.seconds is None
    assert verified(an_attempt("x"), with_people(-1, 1), with_people(3, None)).lost.seconds is None


def test_what_browsers_post_cannot_make_an_act_that_helped_look_bad():
    looks = [a_look(at, *BY_WORD) for at in (3, 6, 9)]

    assert AttemptOutcome.HEALED is outcome(an_attempt("ScreenFrozen"), BEFORE, *looks)[0]


def test_an_act_on_the_stream_is_judged_by_what_browsers_post():
    looks = [a_look(at, "ClientError") for at in (3, 6, 9)]
    attempt = an_attempt("ClientLowFrameRate", action=Action.RESTART_STREAM)

    assert AttemptOutcome.NO_EFFECT is outcome(attempt, a_look(-1, "ClientLowFrameRate"), *looks)[0]
