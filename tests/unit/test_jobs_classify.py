"""What one tick says of one instance, given what the ticks before it saw."""

from dataclasses import replace

import msgspec
import pytest
from builders import (
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
)
from decoy_faults import DECOY_FAULTS, clients, recorded
from hypothesis import given, settings
from hypothesis import strategies as st
from reports import reports

from agent.report import decode, encode
from jobs.health.classify import classify, recall, unobserved
from jobs.health.history import EMPTY, StoredTick
from jobs.health.model import ConnectivityOutcome, FailureClass, ProbeOutcome, Verdict
from jobs.health.policy import Policy
from jobs.health.rules import BADNESS, VERDICT_OF

LEGACY_FINDINGS = ["LegacyAgent", "IdentityUnproven"]


def said(assessment):
    return assessment.verdict.value, assessment.failure_class.value, codes(assessment)


def explained(assessment):
    return [one.value for one in assessment.reasons[0].evidence if one.fact == "explains"]


# --- the decoy's faults -------------------------------------------------------------------------------------------


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


# --- causes and consequences --------------------------------------------------------------------------------------


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

    assert ("degraded", "mixed", ["AllClientsBad"]) == said(assessment)
    assert ["ClientPacketLoss", "ClientJitter"] == explained(assessment)


def test_a_client_with_just_enough_frames_is_well():
    watch = Watch()
    well = a_report(clients=clients({"framerate": 10.0}))
    watch.see(well)

    assert [] == codes(watch.see(well))


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


# --- what is not expected is no fault -----------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["freeze", "halt", "blank", "blue"])
def test_a_still_and_silent_guest_of_which_nothing_is_expected_is_healthy(fault):
    watch = Watch(an_instance(expect_motion_seconds=None, expect_sound_seconds=None))

    assert ("healthy", "none", []) == said(watch.see(recorded(fault)))


def test_a_young_qemu_is_asked_for_neither_motion_nor_sound():
    young = a_report(
        qemu={"uptime_seconds": 3.0},
        screen={"verdict": "blank", "still_seconds": None},
        audio={"qemu_streams": 0, "silent_seconds": None},
    )

    assert ("healthy", "none", ["Booting"]) == said(Watch().see(young))


def test_a_guest_without_a_sound_card_opened_has_lost_no_stream():
    watch = Watch(an_instance(expect_sound_seconds=None))

    assert ("healthy", "none", []) == said(watch.see(a_report(audio={"qemu_streams": 0})))


def test_a_stream_is_lost_when_the_server_restarted_under_a_running_qemu():
    watch = Watch(an_instance(expect_sound_seconds=None))
    audio = {"qemu_streams": 0, "restarts": 1, "seconds_since_restart": 600.0}

    assert ["AudioStreamLost"] == codes(watch.see(a_report(audio=audio)))


def test_a_qemu_younger_than_the_servers_restart_may_play_again():
    watch = Watch(an_instance(expect_sound_seconds=None))
    audio = {"qemu_streams": 0, "restarts": 1, "seconds_since_restart": 600.0}

    assert [] == codes(watch.see(a_report(audio=audio, qemu={"uptime_seconds": 500.0})))


def test_without_a_network_configured_nothing_is_missing():
    assert ("healthy", "none", []) == said(Watch().see(a_report(network=None)))


def test_a_busy_machine_accuses_no_instance_without_a_limit_of_its_own():
    watch = Watch()
    for _ in range(POLICY.load_ticks):
        assessment = watch.see(a_report(performance={"cpu_usage": 100.0, "memory_usage": 100.0}))

    assert ("healthy", "none", ["HostBusy"]) == said(assessment)


def test_memory_that_fills_the_machine_is_a_finding_beside_a_cpu_limit():
    watch = Watch()
    for _ in range(POLICY.load_ticks):
        assessment = watch.see(
            a_report(performance={"cpu_usage": 100.0, "cpu_limit_cores": 1.0, "memory_usage": 100.0})
        )

    assert ("degraded", "qemu", ["HighCpu", "HostBusy"]) == said(assessment)


@pytest.mark.parametrize(("field", "code"), [("cpu_usage", "HighCpu"), ("memory_usage", "HighMemory")])
def test_a_legacy_agents_load_is_the_instances(field, code):
    watch = Watch()
    for _ in range(POLICY.load_ticks):
        assessment = watch.see(a_legacy_report(performance={field: 99.0}), vnc=None)

    assert ("degraded", "qemu", [code, *LEGACY_FINDINGS]) == said(assessment)


def test_drops_are_measured_against_both_directions():
    rates = {"drops_per_second": 2.0, "tx_packets_per_second": 30.0, "rx_packets_per_second": 6.0}
    watch = Watch()
    watch.see(a_report(network=rates))
    assessment = watch.see(a_report(network=rates))
    evidence = [(one.value, one.limit) for one in assessment.reasons[0].evidence]

    assert [(2.0, 1.0), (pytest.approx(2 / 38), 0.05)] == evidence


def test_a_dropped_twentieth_is_still_well():
    rates = {"drops_per_second": 2.0, "tx_packets_per_second": 32.0, "rx_packets_per_second": 6.0}
    watch = Watch()
    watch.see(a_report(network=rates))

    assert [] == codes(watch.see(a_report(network=rates)))


def test_a_load_is_shown_beside_its_limit_in_percent():
    watch = Watch()
    for _ in range(POLICY.load_ticks):
        assessment = watch.see(a_report(performance={"cpu_usage": 99.0, "memory_usage": 98.0}))
    limits = {one.fact: one.limit for one in assessment.reasons[0].evidence}

    assert (95.0, 95.0) == (limits["performance.cpu_usage"], limits["performance.memory_usage"])


def test_packets_that_nobody_counts_drop_nothing():
    watch = Watch()
    report = a_report(network={"drops_per_second": 9.0, "tx_packets_per_second": None})
    watch.see(report)

    assert ("healthy", "none", []) == said(watch.see(report))


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        ({"pulse_running": False, "silent_seconds": None}, ["AudioServerDown"]),
        ({"audio_devices": 0, "silent_seconds": None}, ["AudioSinkMissing"]),
        ({"qemu_streams": 0, "silent_seconds": None}, ["AudioStreamLost"]),
    ],
)
def test_where_no_sound_can_be_its_silence_is_not_missing(audio, expected):
    assert expected == codes(Watch().see(a_report(audio=audio)))


# --- unknown is not healthy ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"qemu_healthy": None}, ["qemu_healthy"]),
        ({"video": None}, ["video.vnc_available"]),
        ({"audio": {"pulse_running": None}}, ["audio.pulse_running"]),
        ({"agent": None}, ["agent"]),
        ({"qemu": {"run_state": None, "qmp_error": "no QMP socket is configured"}}, ["qemu.run_state"]),
        ({"screen": None}, ["screen.verdict"]),
        ({"audio": {"silent_seconds": None}}, ["audio.silent_seconds"]),
    ],
)
def test_a_value_that_was_not_measured_makes_the_verdict_unknown(changes, facts):
    assessment = Watch().see(a_report(**changes))

    assert ("unknown", "none", ["BlockUnmeasured"]) == said(assessment)
    assert facts == [one.fact for one in assessment.reasons[0].evidence]


def test_the_monitors_own_words_are_the_evidence():
    told = {"run_state": None, "qmp_error": "nobody listens on qmp", "error": None}
    assessment = Watch().see(a_report(qemu=told))

    assert "nobody listens on qmp" == assessment.reasons[0].evidence[0].limit


def test_a_tap_is_named_where_the_agent_names_it():
    named = Watch().see(a_report(network={"tap_up": False}))
    unnamed = Watch().see(a_report(network={"tap_up": False, "bridge": None, "tap": None}))

    assert ["loco-br tap0"] == [one.value for one in named.reasons[0].evidence if one.fact == "interfaces"]
    assert [] == [one.value for one in unnamed.reasons[0].evidence if one.fact == "interfaces"]


def test_the_agents_own_reason_is_the_evidence():
    assessment = Watch().see(a_report(screen={"verdict": None, "error": "screendump: no display"}))

    assert "screendump: no display" == assessment.reasons[0].evidence[0].limit


def test_a_report_that_went_missing_is_unknown():
    assessment = classify(an_instance(), a_probe(None, outcome=ProbeOutcome.OK), None, EMPTY, POLICY)

    assert Verdict.UNKNOWN == assessment.verdict


def test_an_instance_before_its_first_tick_is_unknown():
    assessment = unobserved(an_instance(), at_ms=5)

    assert ("unknown", "none", ["NotYetObserved"]) == said(assessment)
    assert 5 == assessment.observed_at_ms


def test_a_sequence_that_stands_still_for_three_ticks_is_stale():
    watch = Watch()
    verdicts = [watch.see(a_report(sequence=3), is_fresh=False).verdict.value for _ in range(4)]

    assert ["healthy", "healthy", "unknown", "unknown"] == verdicts


@pytest.mark.parametrize(("apart_ms", "expected"), [(10_000, "unknown"), (9_990, "healthy")])
def test_a_sequence_is_stale_after_twenty_seconds_of_three_equal_reports(apart_ms, expected):
    watch = Watch()
    for _ in range(3):
        watch.at_ms += apart_ms - TICK_MS
        assessment = watch.see(a_report(sequence=3), is_fresh=False)

    assert expected == assessment.verdict


def test_the_sequence_before_may_be_any_older_one():
    watch = Watch()
    verdicts = [watch.see(a_report(sequence=n), is_fresh=False).verdict.value for n in (1, 2, 2, 2)]

    assert ["healthy", "healthy", "healthy", "unknown"] == verdicts


def test_a_stale_report_is_judged_no_further():
    watch = Watch()
    for _ in range(3):
        assessment = watch.see(a_report(sequence=3, network={"tap_up": False}), is_fresh=False)

    assert ("unknown", "none", ["ReportStale"]) == said(assessment)


def test_three_ticks_by_hand_within_a_second_make_nothing_stale():
    watch = Watch()
    for _ in range(4):
        watch.at_ms += 300 - TICK_MS
        assessment = watch.see(a_report(sequence=3), is_fresh=False)

    assert ("healthy", "none", []) == said(assessment)


def test_a_restarted_agent_that_counts_to_the_same_number_is_fresh():
    watch = Watch()
    for boot_id in "aabbccddeeff":
        assessment = watch.see(changed(a_report(sequence=3), agent={"boot_id": boot_id}), is_fresh=False)

    assert ("healthy", "none", []) == said(assessment)


def test_an_agent_that_restarts_in_a_loop_never_makes_a_rate_negative():
    watch = Watch()
    for errors in (500, 0, 500, 0):
        assessment = watch.see(a_legacy_report(network={"rx_errors": errors}), vnc=None)

    assert LEGACY_FINDINGS == codes(assessment)


# --- restarts -----------------------------------------------------------------------------------------------------


def test_a_death_that_healed_between_two_ticks_is_seen_by_the_processs_age():
    watch = Watch(policy=Policy(boot_grace_seconds=0.0))
    watch.see()

    assert ("degraded", "qemu", ["QemuRestarted"]) == said(watch.see(a_report(qemu={"uptime_seconds": 4.0})))


def test_a_restart_is_shown_for_a_minute():
    watch = Watch(policy=Policy(boot_grace_seconds=0.0))
    watch.see()
    verdicts = [
        watch.see(a_report(qemu={"uptime_seconds": age})).verdict.value for age in (4.0, 19.0, 45.0, 60.0, 60.1)
    ]

    assert ["degraded"] * 4 + ["healthy"] == verdicts


def test_a_process_whose_age_stands_still_has_not_restarted():
    watch = Watch(policy=Policy(boot_grace_seconds=0.0))
    watch.see(a_report(qemu={"uptime_seconds": 4.0}))

    assert [] == codes(watch.see(a_report(qemu={"uptime_seconds": 4.0})))


def test_a_qemu_that_nobody_saw_before_has_not_restarted():
    assert ["Booting"] == codes(Watch().see(a_report(qemu={"uptime_seconds": 4.0})))


def test_a_legacy_agents_qemu_restarted_when_its_pid_changed_within_the_minute():
    watch = Watch()
    watch.see(a_legacy_report(), vnc=None)
    said_codes = [
        codes(watch.see(a_legacy_report(performance={"qemu_pid": "99"}), vnc=None)) for _ in range(POLICY.load_window)
    ]

    assert [["QemuRestarted", *LEGACY_FINDINGS]] * 4 + [LEGACY_FINDINGS] == said_codes


# --- two witnesses ------------------------------------------------------------------------------------------------


def test_a_lost_handshake_proves_nothing_and_two_of_three_do():
    watch = Watch()
    verdicts = [said(watch.see(vnc=vnc))[2] for vnc in ("refused", "ok", "refused", "ok")]

    assert [[], [], ["VncUnreachable", "AgentDisagrees"], []] == verdicts


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


def test_a_vnc_server_that_only_the_agent_misses_is_not_called_gone():
    watch = Watch()
    report = a_report(video={"vnc_available": False})
    watch.see(report)

    assert ("degraded", "none", ["AgentDisagrees"]) == said(watch.see(report))


def test_what_the_handshake_met_is_evidence():
    mute = replace(a_handshake("mute"), detail="no banner in 3.0 s")
    watch = Watch()
    watch.see(vnc="mute")
    assessment = classify(watch.instance, a_probe(), mute, watch.history, POLICY)

    assert [("mute", "connectivity"), ("no banner in 3.0 s", "connectivity")] == [
        (one.value, one.witness) for one in assessment.reasons[0].evidence[1:]
    ]


def test_an_old_handshake_says_nothing_about_now():
    report = a_report(video={"vnc_available": False})
    old = a_handshake("ok", at_ms=0)

    assert ["VncUnavailable"] == codes(classify(an_instance(), a_probe(report, at_ms=20_001), old, EMPTY, POLICY))
    assert [] == codes(classify(an_instance(), a_probe(report, at_ms=20_000), old, EMPTY, POLICY))


@pytest.mark.parametrize("state", ["T", "t"])
def test_a_stopped_process_is_stuck_at_once(state):
    assert ["QemuStuck"] == codes(Watch().see(a_report(qemu={"process_state": state})))


def test_a_process_that_waits_for_its_disk_is_stuck_only_when_qmp_is_silent_too():
    waiting = a_report(qemu={"process_state": "D"})
    silent = a_report(qemu={"process_state": "D", "run_state": None, "qmp_error": "timeout: no answer in 2 s"})

    assert [] == codes(Watch().see(waiting))
    assert ["QemuStuck"] == codes(Watch().see(silent))


def test_an_agent_that_may_not_see_processes_calls_qemu_dead_by_qmp_and_vnc():
    gone = a_report(
        qemu_healthy=None,
        qemu={"process_state": None, "run_state": None, "qmp_error": "nobody listens on qmp"},
        video={"vnc_available": False},
    )
    with_vnc = changed(gone, video={"vnc_available": True})
    unasked = changed(gone, qemu={"qmp_error": None})

    assert ["QemuDead"] == codes(Watch().see(gone, vnc=None))
    assert ["BlockUnmeasured"] == codes(Watch().see(with_vnc, vnc=None))
    assert ["VncUnavailable", "BlockUnmeasured"] == codes(Watch().see(unasked, vnc=None))


def test_a_crash_carries_the_event_that_came_with_it_and_no_viewers_coming():
    event = {"at": "2026-11-24T20:00:00Z", "age_seconds": 1.0}
    events = msgspec.convert(
        [{"name": "GUEST_PANICKED", "detail": "pause", **event}, {"name": "VNC_CONNECTED", **event}],
        type=list[type(a_report().qemu.events[0])],
    )
    assessment = Watch().see(a_report(qemu={"run_state": "guest-panicked", "events": events}))

    assert ["guest-panicked", "GUEST_PANICKED pause"] == [one.value for one in assessment.reasons[0].evidence]


def test_a_crash_without_events_is_told_by_its_state_alone():
    assessment = Watch().see(a_report(qemu={"run_state": "io-error", "events": []}))

    assert ["io-error"] == [one.value for one in assessment.reasons[0].evidence]


# --- identity and clocks ------------------------------------------------------------------------------------------


def test_a_report_without_uid_is_a_finding_where_the_inventory_knows_one():
    assert ("healthy", "none", ["IdentityUnproven"]) == said(Watch(an_instance(uid="u-1")).see())
    assert [] == codes(Watch(an_instance(uid="u-1")).see(changed(a_report(), agent={"uid": "u-1"})))


@pytest.mark.parametrize(("skew_seconds", "expected"), [(5.1, ["ClockSkew"]), (-7200.0, ["ClockSkew"]), (5.0, [])])
def test_a_skewed_clock_is_shown_and_decides_nothing(skew_seconds, expected):
    assert ("healthy", "none", expected) == said(Watch().see(a_report(), skew_seconds=skew_seconds))


def test_a_legacy_agents_timestamp_is_never_a_skewed_clock():
    assert LEGACY_FINDINGS == codes(Watch().see(a_legacy_report(), vnc=None, skew_seconds=-86400.0))


# --- the legacy agent ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ({}, ("healthy", "none", [])),
        ({"qemu_healthy": False}, ("unhealthy", "qemu", ["QemuDead"])),
        ({"video": {"vnc_available": False}}, ("unhealthy", "qemu", ["VncUnavailable"])),
        ({"audio": {"pulse_running": False}}, ("degraded", "qemu", ["AudioServerDown"])),
        ({"network": {"bridge_up": False}}, ("unhealthy", "network", ["BridgeDown"])),
        ({"network": {"tap_up": False}}, ("unhealthy", "network", ["TapDown"])),
        (
            {"network": {"tap_up": False}, "audio": {"audio_devices": 0}},
            ("unhealthy", "mixed", ["TapDown", "AudioSinkMissing"]),
        ),
        ({"video": None}, ("unknown", "none", ["BlockUnmeasured"])),
        ({"network": None}, ("unknown", "none", ["BlockUnmeasured"])),
        ({"qemu_healthy": None}, ("unknown", "none", ["BlockUnmeasured"])),
    ],
)
def test_a_legacy_report_is_judged_by_what_is_there(blocks, expected):
    verdict, failure_class, found = said(Watch().see(a_legacy_report(**blocks), vnc=None))

    assert expected == (verdict, failure_class, [code for code in found if code not in LEGACY_FINDINGS])


def test_a_legacy_agents_made_up_frame_rate_and_level_judge_nobody():
    blank = a_legacy_report(video={"estimated_frame_rate": 0}, audio={"estimated_level": 0.0})

    assert ("healthy", "none", LEGACY_FINDINGS) == said(Watch().see(blank, vnc=None))


def test_a_legacy_agents_growing_error_counters_are_a_rate():
    watch = Watch()
    for tick in range(3):
        assessment = watch.see(a_legacy_report(network={"rx_errors": 400 * tick}), vnc=None)

    assert ("degraded", "network", ["InterfaceErrors", *LEGACY_FINDINGS]) == said(assessment)
    assert 400 / 15 == pytest.approx(assessment.reasons[0].evidence[0].value)


def test_two_ticks_at_the_same_millisecond_are_no_rate():
    watch = Watch()
    for tick in range(3):
        watch.at_ms -= TICK_MS
        assessment = watch.see(a_legacy_report(network={"rx_errors": 400 * tick}), vnc=None)

    assert LEGACY_FINDINGS == codes(assessment)


def test_many_errors_long_ago_are_no_rate():
    watch = Watch()
    for _ in range(3):
        assessment = watch.see(a_legacy_report(network={"rx_errors": 9000}), vnc=None)

    assert LEGACY_FINDINGS == codes(assessment)


# --- over time ----------------------------------------------------------------------------------------------------


def test_a_reason_says_since_when_it_holds_and_starts_anew_after_it_was_gone():
    watch = Watch()
    began = [watch.see(a_report(network={"tap_up": is_up})).reasons for is_up in (False, False, True, False)]
    since = [reasons[0].evidence[0].since_ms - 1_800_000_000_000 if reasons else None for reasons in began]

    assert [TICK_MS, TICK_MS, None, 4 * TICK_MS] == since


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


# --- for every report -------------------------------------------------------------------------------------------


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
