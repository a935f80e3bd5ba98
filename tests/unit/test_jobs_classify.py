"""What one tick says of one instance: causes and consequences, over time, and for every report."""

import pytest
from builders import (
    LEGACY_FINDINGS,
    POLICY,
    TICK_MS,
    Watch,
    a_handshake,
    a_legacy_report,
    a_probe,
    a_report,
    an_instance,
    changed,
    codes,
    said,
)
from decoy_faults import DECOY_FAULTS, clients, recorded
from hypothesis import given, settings
from hypothesis import strategies as st
from reports import reports

from agent.report import decode, encode
from jobs.health.classify import classify, recall
from jobs.health.history import EMPTY, StoredTick
from jobs.health.model import ConnectivityOutcome, FailureClass, ProbeOutcome, Verdict
from jobs.health.policy import Policy
from jobs.health.rules import BADNESS, VERDICT_OF


def explained(assessment):
    return [one.value for one in assessment.reasons[0].evidence if one.fact == "explains"]


@pytest.mark.parametrize("fault", DECOY_FAULTS)
def test_a_decoys_fault_is_named_at_the_first_tick_that_shows_it(fault):
    vnc, expected = DECOY_FAULTS[fault]

    assert expected == said(Watch().see(recorded(fault), vnc=vnc))


@pytest.mark.parametrize("fault", DECOY_FAULTS)
def test_a_decoys_fault_keeps_its_class_as_long_as_it_lasts(fault):
    vnc, expected = DECOY_FAULTS[fault]
    watch = Watch()
    for _ in range(8):
        assessment = watch.see(recorded(fault), vnc=vnc)

    assert expected == said(assessment)


@pytest.mark.parametrize("fault", DECOY_FAULTS)
def test_after_healing_the_next_tick_is_healthy(fault):
    watch = Watch()
    watch.see(recorded(fault), vnc=DECOY_FAULTS[fault][0])

    assert ("healthy", "none", []) == said(watch.see(recorded("healthy")))


def test_an_agents_first_report_is_unknown_and_a_young_guest_is_healthy():
    assert ("unknown", "none", ["BlockUnmeasured"]) == said(Watch().see(recorded("first"), vnc=None))
    assert ("healthy", "none", ["Booting"]) == said(Watch().see(recorded("booting")))


def test_a_healthy_report_has_neither_reasons_nor_advice():
    assessment = Watch().see()

    assert ("healthy", "none", []) == said(assessment)
    assert () == assessment.recommendations


def test_what_a_dead_qemu_takes_along_stands_in_its_evidence():
    # A tap that QEMU made vanishes with it; the decoy's stays.
    report = changed(recorded("kill-qemu"), network={"tap_up": False, "tap_in_bridge": False})

    assert ["BlockUnmeasured", "TapDown", "TapNotInBridge", "VncUnavailable", "AudioStreamLost"] == (
        explained(Watch().see(report, vnc="refused"))
    )


def test_a_bridge_that_fails_beside_a_dead_qemu_makes_it_mixed():
    report = changed(recorded("kill-qemu"), network={"bridge_up": False})

    assert ("unhealthy", "mixed", ["QemuDead", "BridgeDown"]) == said(Watch().see(report, vnc="refused"))


def test_a_client_that_suffers_from_the_tap_is_not_blamed():
    watch = Watch()
    sick = a_report(network={"tap_up": False}, clients=clients({"packetLoss": 0.5}))
    watch.see(sick)

    assert ("unhealthy", "network", ["TapDown", "ClientPacketLoss"]) == said(watch.see(sick))


def test_one_bad_client_of_two_is_that_clients_fault():
    watch = Watch()
    sick = a_report(clients=clients({"packetLoss": 0.5}, {"packetLoss": 0.0}))
    watch.see(sick)
    assessment = watch.see(sick)

    assert ("degraded", "client", ["ClientPacketLoss"]) == said(assessment)
    assert ["c0 packetLoss"] == [one.fact for one in assessment.reasons[0].evidence]


def test_several_clients_all_of_them_bad_are_our_fault():
    watch = Watch()
    sick = a_report(clients=clients({"packetLoss": 0.5}, {"jitter": 0.5}))
    watch.see(sick)
    assessment = watch.see(sick)

    assert ("degraded", "client", ["AllClientsBad"]) == said(assessment)
    assert ["ClientPacketLoss", "ClientJitter"] == explained(assessment)


def test_a_client_with_just_enough_frames_is_well():
    watch = Watch()
    well = a_report(clients=clients({"framerate": 10.0}))
    watch.see(well)

    assert [] == codes(watch.see(well))


def test_no_client_can_see_more_frames_than_the_screen_makes():
    watch = Watch()
    slow = a_report(clients=clients({"framerate": 3.0}), video={"estimated_frame_rate": 4.0})
    watch.see(slow)

    assert [] == codes(watch.see(slow))


def test_nothing_is_judged_beside_an_agent_that_cannot_be_reached():
    probe = a_probe(None, outcome=ProbeOutcome.REFUSED)

    assert ("unreachable", "network", ["AgentRefused"]) == said(
        classify(an_instance(), probe, a_handshake("mute"), EMPTY, POLICY)
    )


def test_reasons_come_worst_first_and_advice_is_given_once():
    assessment = Watch().see(
        a_report(audio={"muted": True}, screen={"verdict": "blank"}, network={"bridge_up": False, "tap_up": False})
    )

    assert ["BridgeDown", "TapDown", "ScreenBlank", "AudioMuted"] == codes(assessment)
    assert len(assessment.recommendations) == len(set(assessment.recommendations)) == 4


def test_two_lost_handshakes_too_far_apart_prove_nothing():
    watch = Watch()

    assert [[]] * 4 == [codes(watch.see(vnc=vnc)) for vnc in ("refused", "ok", "ok", "refused")]


def test_what_needs_one_tick_holds_at_once_and_no_longer():
    watch = Watch(policy=Policy(load_window=1, load_ticks=1))

    assert ["HighCpu"] == codes(watch.see(a_report(performance={"cpu_usage": 99.0, "cpu_limit_cores": 1.0})))
    assert [] == codes(watch.see())


def test_a_window_of_one_tick_holds_no_tick_before_it():
    watch = Watch(policy=Policy(load_window=2, load_ticks=2))
    watch.see(a_report(performance={"cpu_usage": 99.0, "cpu_limit_cores": 1.0}))
    narrow = Policy(load_window=1, load_ticks=2)
    probe = a_probe(a_report(performance={"cpu_usage": 99.0, "cpu_limit_cores": 1.0}))

    assert ("HighCpu",) == classify(watch.instance, probe, None, watch.history, narrow).suspected


def test_a_reason_says_since_when_it_holds_and_starts_anew_after_it_was_gone():
    watch = Watch()
    began = [watch.see(a_report(network={"tap_up": is_up})).reasons for is_up in (False, False, True, False)]
    since = [reasons[0].evidence[0].since_ms - 1_800_000_000_000 if reasons else None for reasons in began]

    assert [TICK_MS, TICK_MS, None, 4 * TICK_MS] == since


@pytest.mark.parametrize("jump_ms", [7_200_000, -7_200_000])
def test_a_reason_that_was_seen_before_a_gap_is_as_good_as_new(jump_ms):
    watch = Watch()
    down = a_report(network={"tap_up": False})
    watch.see(down)
    watch.at_ms += jump_ms
    seen = watch.see(down)

    assert {seen.observed_at_ms} == {one.since_ms for one in seen.reasons[0].evidence}


def test_a_clock_stepped_back_two_hours_neither_raises_nor_makes_a_rate():
    watch = Watch()
    watch.see(a_legacy_report(), vnc=None)
    watch.at_ms -= 7_200_000

    assert LEGACY_FINDINGS == codes(watch.see(a_legacy_report(network={"rx_errors": 9000}), vnc=None))


def test_a_successor_recalls_what_its_predecessor_suspected_and_since_when():
    watch, stored = Watch(), []
    for cpu_usage in (10.0, 99.0, 99.0, 99.0):
        load = {"cpu_usage": cpu_usage, "cpu_limit_cores": 1.0}
        report = a_report(sequence=watch.tick, performance=load, network={"tap_up": False})
        assessment = watch.see(report, vnc=None, is_fresh=False)
        stored.append(
            StoredTick(watch.tick, watch.at_ms, ProbeOutcome.OK, assessment.verdict, tuple(codes(assessment)), report)
        )

    assert watch.history == recall(watch.instance, stored, POLICY, reasons=assessment.reasons)


def test_a_successor_recalls_ticks_without_a_report():
    stored = StoredTick(4, 1000, ProbeOutcome.TIMEOUT, Verdict.UNREACHABLE, ("AgentTimeout",))
    history = recall(an_instance(), [stored], POLICY)

    assert [(4, ("AgentTimeout",), None)] == [(o.tick, o.codes, o.sequence) for o in history.observations]


@given(
    seen=st.lists(reports(), min_size=1, max_size=6),
    vnc=st.sampled_from([None, *ConnectivityOutcome]),
    expected=st.sampled_from([None, 0.0, 20.0]),
)
@settings(max_examples=150, deadline=None)
def test_every_report_that_can_be_read_gets_a_verdict_that_its_reasons_carry(seen, vnc, expected):
    watch = Watch(an_instance(expect_motion_seconds=expected, expect_sound_seconds=expected))
    for report in seen:
        assert report == decode(encode(report))
        assessment = watch.see(report, vnc=vnc, is_fresh=False)
        worst = max((VERDICT_OF[r.severity] for r in assessment.reasons), key=BADNESS.__getitem__, default="healthy")

        assert worst == assessment.verdict
        assert all(reason.evidence for reason in assessment.reasons)
        assert (assessment.failure_class is FailureClass.NONE) == all(
            reason.failure_class is FailureClass.NONE for reason in assessment.reasons
        )


@given(reports())
@settings(max_examples=300, deadline=None)
def test_no_report_in_which_something_vital_is_unknown_reads_as_healthy(report):
    assessment = Watch().see(report, vnc=None)
    vital = (
        report.qemu_healthy,
        report.video and report.video.vnc_available,
        report.audio and report.audio.pulse_running,
    )

    assert None not in vital or assessment.verdict is not Verdict.HEALTHY
