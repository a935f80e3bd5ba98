"""Rows about QEMU, screen, sound, network and load, where one fact alone doesn't decide."""

from dataclasses import replace

import msgspec
import pytest
from builders import (
    LEGACY_FINDINGS,
    POLICY,
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
from decoy_faults import recorded

from jobs.health.classify import classify
from jobs.health.history import EMPTY
from jobs.health.policy import Policy

# Of an agent that doesn't count QEMU's restarts.
UNCOUNTED = {"restarts": None}


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


def test_a_tap_is_named_where_the_agent_names_it():
    named = Watch().see(a_report(network={"tap_up": False}))
    unnamed = Watch().see(a_report(network={"tap_up": False, "bridge": None, "tap": None}))

    assert ["loco-br tap0"] == [one.value for one in named.reasons[0].evidence if one.fact == "interfaces"]
    assert [] == [one.value for one in unnamed.reasons[0].evidence if one.fact == "interfaces"]


def test_a_death_that_healed_between_two_ticks_is_seen_by_the_processs_age_where_nobody_counts():
    watch = Watch(policy=Policy(boot_grace_seconds=0.0))
    watch.see(a_report(qemu=UNCOUNTED))

    assert ("degraded", "qemu", ["QemuRestarted"]) == said(
        watch.see(a_report(qemu={**UNCOUNTED, "uptime_seconds": 4.0}))
    )


def test_a_restart_that_an_act_had_planned_is_none_by_age_and_none_by_pid():
    planned = {"restarts": 1, "seconds_since_restart": None}
    watch = Watch(policy=Policy(boot_grace_seconds=0.0))
    watch.see(a_report(performance={"qemu_pid": 98}))
    seen = [
        codes(watch.see(a_report(qemu={**planned, "uptime_seconds": age}, performance={"qemu_pid": 99})))
        for age in (4.0, None)
    ]

    assert [[], []] == seen


def test_a_restart_while_the_agent_was_away_is_seen_by_the_processs_age():
    watch = Watch(policy=Policy(boot_grace_seconds=0.0))
    watch.see()
    seen = watch.see(a_report(agent={"boot_id": "another"}, qemu={"restarts": 0, "uptime_seconds": 4.0}))

    assert "QemuRestarted" in codes(seen)


def test_a_restart_is_shown_for_a_minute():
    watch = Watch(policy=Policy(boot_grace_seconds=0.0))
    watch.see(a_report(qemu=UNCOUNTED))
    verdicts = [
        watch.see(a_report(qemu={**UNCOUNTED, "uptime_seconds": age})).verdict.value
        for age in (4.0, 19.0, 45.0, 60.0, 60.1)
    ]

    assert ["degraded"] * 4 + ["healthy"] == verdicts


def test_a_process_whose_age_stands_still_has_not_restarted():
    watch = Watch(policy=Policy(boot_grace_seconds=0.0))
    watch.see(a_report(qemu={**UNCOUNTED, "uptime_seconds": 4.0}))

    assert [] == codes(watch.see(a_report(qemu={**UNCOUNTED, "uptime_seconds": 4.0})))


def test_a_qemu_that_nobody_saw_before_has_not_restarted():
    assert ["Booting"] == codes(Watch().see(a_report(qemu={"uptime_seconds": 4.0})))


def test_a_legacy_agents_qemu_restarted_when_its_pid_changed_within_the_minute():
    watch = Watch()
    watch.see(a_legacy_report(), vnc=None)
    said_codes = [
        codes(watch.see(a_legacy_report(performance={"qemu_pid": "99"}), vnc=None)) for _ in range(POLICY.load_window)
    ]

    assert [["QemuRestarted", *LEGACY_FINDINGS]] * 4 + [LEGACY_FINDINGS] == said_codes


def test_a_lost_handshake_proves_nothing_and_two_of_three_do():
    watch = Watch()
    verdicts = [said(watch.see(vnc=vnc))[2] for vnc in ("refused", "ok", "refused", "ok")]

    assert [[], [], ["VncUnreachable", "AgentDisagrees"], []] == verdicts


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
