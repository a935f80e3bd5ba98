"""Rows about the report: whole, fresh, whose, and the legacy agent's."""

import pytest
from builders import (
    LEGACY_FINDINGS,
    POLICY,
    TICK_MS,
    Watch,
    a_legacy_report,
    a_probe,
    a_report,
    an_instance,
    changed,
    codes,
    said,
)

from agent.report import Network
from jobs.health.classify import classify, unobserved
from jobs.health.history import EMPTY
from jobs.health.model import ProbeOutcome, Verdict


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
        ({"network": None}, ["network"]),
        (
            {"network": Network(bridge="loco-br", tap="tap0", error="no answer for 4 s, due within 2")},
            ["network.bridge_up", "network.tap_up", "network.tap_in_bridge"],
        ),
        ({"network": Network(bridge="loco-br", error="not measured yet")}, ["network.bridge_up"]),
        ({"network": Network(tap="tap0", error="not measured yet")}, ["network.tap_up"]),
        ({"network": {"tap_in_bridge": None}}, ["network.tap_in_bridge"]),
    ],
)
def test_a_value_that_was_not_measured_makes_the_verdict_unknown(changes, facts):
    assessment = Watch().see(a_report(**changes))

    assert ("unknown", "none", ["BlockUnmeasured"]) == said(assessment)
    assert facts == [one.fact for one in assessment.reasons[0].evidence]


def test_an_agent_that_is_configured_with_no_link_measures_none_and_is_healthy():
    report = a_report(network=Network(error="no bridge and no tap is configured"))

    assert ("healthy", "none", []) == said(Watch().see(report))


def test_the_monitors_own_words_are_the_evidence():
    told = {"run_state": None, "qmp_error": "nobody listens on qmp", "error": None}
    assessment = Watch().see(a_report(qemu=told))

    assert "nobody listens on qmp" == assessment.reasons[0].evidence[0].limit


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


def test_a_stale_report_stays_stale_when_our_clock_is_set_back():
    watch = Watch()
    for _ in range(3):
        watch.see(a_report(sequence=3), is_fresh=False)
    watch.at_ms -= 7_200_000
    verdicts = [watch.see(a_report(sequence=3), is_fresh=False).verdict.value for _ in range(4)]

    assert ["unknown"] * 4 == verdicts


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


def test_a_report_without_uid_is_a_finding_where_the_inventory_knows_one():
    assert ("healthy", "none", ["IdentityUnproven"]) == said(Watch(an_instance(uid="u-1")).see())
    assert [] == codes(Watch(an_instance(uid="u-1")).see(changed(a_report(), agent={"uid": "u-1"})))


@pytest.mark.parametrize(("skew_seconds", "expected"), [(5.1, ["ClockSkew"]), (-7200.0, ["ClockSkew"]), (5.0, [])])
def test_a_skewed_clock_is_shown_and_decides_nothing(skew_seconds, expected):
    assert ("healthy", "none", expected) == said(Watch().see(a_report(), skew_seconds=skew_seconds))


def test_a_legacy_agents_timestamp_is_never_a_skewed_clock():
    assert LEGACY_FINDINGS == codes(Watch().see(a_legacy_report(), vnc=None, skew_seconds=-86400.0))


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
