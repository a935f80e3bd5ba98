import re
from pathlib import Path

import pytest
from builders import POLICY, Watch, a_handshake, a_legacy_report, a_probe, a_report, an_instance, codes
from decoy_faults import clients

from jobs.health.classify import classify
from jobs.health.history import EMPTY
from jobs.health.model import FailureClass, ProbeOutcome, Severity
from jobs.health.policy import Policy
from jobs.health.rows import node, pod, wishes
from jobs.health.rules import BADNESS, BY_CODE, FAULTS, RULES
from jobs.health.thresholds import ranges_of

REASONS = (Path(__file__).parents[2] / "docs" / "reasons.md").read_text()

# What makes each rule hold: blocks of a report, and how the connectivity probe ended. A healthy report otherwise.
SICK = {
    "BlockUnmeasured": ({"audio": None}, "ok"),
    "QemuDead": ({"qemu_healthy": False, "qemu": {"process_state": None, "run_state": None}}, "ok"),
    "QemuStuck": ({"qemu": {"process_state": "T", "run_state": None}}, "ok"),
    "QmpTimeout": ({"qemu": {"run_state": None, "qmp_error": "timeout: no answer in 2 s"}}, "ok"),
    "GuestPanicked": ({"qemu": {"run_state": "guest-panicked"}}, "ok"),
    "QemuIoError": ({"qemu": {"run_state": "io-error"}}, "ok"),
    "QemuInternalError": ({"qemu": {"run_state": "internal-error"}}, "ok"),
    "QemuWatchdog": ({"qemu": {"run_state": "watchdog"}}, "ok"),
    "GuestShutDown": ({"qemu": {"run_state": "shutdown"}}, "ok"),
    "QemuUnhealthy": ({"qemu_healthy": False}, "ok"),
    "QemuRestarted": ({"qemu": {"restarts": 1, "seconds_since_restart": 60.0}}, "ok"),
    "PausedByOperator": ({"qemu": {"run_state": "paused"}}, "ok"),
    "GuestSuspended": ({"qemu": {"run_state": "suspended"}}, "ok"),
    "Migrating": ({"qemu": {"run_state": "inmigrate"}}, "ok"),
    "RunStateUnknown": ({"qemu": {"run_state": "colo"}}, "ok"),
    "Booting": ({"qemu": {"uptime_seconds": 29.9}}, "ok"),
    "BridgeDown": ({"network": {"bridge_up": False}}, "ok"),
    "TapDown": ({"network": {"tap_up": False}}, "ok"),
    "TapNotInBridge": ({"network": {"tap_in_bridge": False}}, "ok"),
    "InterfaceErrors": ({"network": {"errors_per_second": 1.1}}, "ok"),
    "PacketDrops": ({"network": {"drops_per_second": 1.1}}, "ok"),
    "VncUnavailable": ({"video": {"vnc_available": False}}, None),
    "VncMute": ({}, "mute"),
    "VncUnreachable": ({}, "refused"),
    "AgentDisagrees": ({"video": {"vnc_available": False}}, "ok"),
    "VncProbeDenied": ({}, "too-many"),
    "ScreenFrozen": ({"screen": {"verdict": "still", "still_seconds": 20.0}}, "ok"),
    "ScreenBlank": ({"screen": {"verdict": "blank"}}, "ok"),
    "ScreenSingleColour": ({"screen": {"verdict": "single-colour"}}, "ok"),
    "AudioServerDown": ({"audio": {"pulse_running": False}}, "ok"),
    "AudioSinkMissing": ({"audio": {"audio_devices": 0}}, "ok"),
    "AudioStreamLost": ({"audio": {"qemu_streams": 0}}, "ok"),
    "AudioMuted": ({"audio": {"muted": True}}, "ok"),
    "AudioSilent": ({"audio": {"silent_seconds": 15.0}}, "ok"),
    "AudioRestarted": ({"audio": {"restarts": 1, "seconds_since_restart": 60.0}}, "ok"),
    "HighCpu": ({"performance": {"cpu_usage": 95.1, "cpu_limit_cores": 2.0}}, "ok"),
    "HighMemory": ({"performance": {"memory_usage": 95.1, "memory_limit_bytes": 2**30}}, "ok"),
    "CpuThrottled": ({"performance": {"throttled_ratio": 0.26}}, "ok"),
    "HostBusy": ({"performance": {"cpu_usage": 95.1}}, "ok"),
    "AllClientsBad": ({"clients": clients({"packetLoss": 0.1}, {"latency": 1.0})}, "ok"),
    "ClientPacketLoss": ({"clients": clients({"packetLoss": 0.06})}, "ok"),
    "ClientLatency": ({"clients": clients({"latency": 0.25})}, "ok"),
    "ClientJitter": ({"clients": clients({"jitter": 0.2})}, "ok"),
    "ClientLowFrameRate": ({"clients": clients({"framerate": 9.9})}, "ok"),
    "ClientError": ({"clients": clients({"error": "codec not supported"})}, "ok"),
}

# The same rules just below their limits.
WELL = {
    "QemuDead": {"qemu_healthy": True, "qemu": {"process_state": None}},
    "QemuStuck": {"qemu": {"process_state": "D"}},
    "QmpTimeout": {"qemu": {"run_state": None, "qmp_error": "nobody listens on qmp"}},
    "QemuUnhealthy": {"qemu_healthy": None},
    "QemuRestarted": {"qemu": {"restarts": 1, "seconds_since_restart": 60.1}},
    "Booting": {"qemu": {"uptime_seconds": 30.0}},
    "BridgeDown": {"network": None},
    "TapDown": {"network": None},
    "TapNotInBridge": {"network": None},
    "InterfaceErrors": {"network": {"errors_per_second": 1.0}},
    "PacketDrops": {"network": {"drops_per_second": 5.0, "tx_packets_per_second": 100.0}},
    "VncUnavailable": {"video": {"vnc_available": None}},
    "ScreenFrozen": {"screen": {"verdict": "still", "still_seconds": 19.9}},
    "AudioServerDown": {"audio": {"pulse_running": None}},
    "AudioStreamLost": {"audio": {"qemu_streams": None}},
    "AudioMuted": {"audio": {"muted": True, "qemu_streams": 0}},
    "AudioSilent": {"audio": {"silent_seconds": 14.9}},
    "AudioRestarted": {"audio": {"restarts": 1, "seconds_since_restart": 60.1}},
    "HighCpu": {"performance": {"cpu_usage": 100.0, "cpu_limit_cores": 2.0, "cpu_pressure_ratio": 0.09}},
    "HighMemory": {"performance": {"memory_usage": 95.0, "memory_limit_bytes": 2**30}},
    "CpuThrottled": {"performance": {"throttled_ratio": 0.25}},
    "HostBusy": {"performance": {"cpu_usage": 95.0, "memory_usage": 95.0}},
    "AllClientsBad": {"clients": clients({"packetLoss": 0.1})},
    "ClientPacketLoss": {"clients": clients({"packetLoss": 0.05})},
    "ClientLatency": {"clients": clients({"latency": 0.24})},
    "ClientJitter": {"clients": clients({"jitter": 0.19})},
    "ClientLowFrameRate": {"clients": clients({"framerate": 9.9}), "screen": {"verdict": "still"}},
}

OUTCOMES = {
    "AgentRefused": ProbeOutcome.REFUSED,
    "AgentTimeout": ProbeOutcome.TIMEOUT,
    "AgentUnresolved": ProbeOutcome.UNRESOLVED,
    "AgentDisconnected": ProbeOutcome.DISCONNECTED,
    "AgentHttpStatus": ProbeOutcome.HTTP_STATUS,
    "AgentRedirected": ProbeOutcome.REDIRECTED,
    "ReportNotJson": ProbeOutcome.NOT_JSON,
    "ReportTooLarge": ProbeOutcome.TOO_LARGE,
    "ReportInvalid": ProbeOutcome.INVALID,
    "UidMismatch": ProbeOutcome.WRONG_UID,
}

# Each has a test of its own in test_jobs_classify.py.
ELSEWHERE = {"NotYetObserved", "ReportStale", "LegacyAgent", "IdentityUnproven", "ClockSkew"}

# Those of the pod are in test_jobs_rows_pod.py.
POD = {rule.code for rule in (*wishes.ROWS, *node.ROWS, *pod.ROWS)}


def watched(changes, vnc):
    """Return the last of as many equal ticks as the slowest rule needs."""
    watch = Watch()
    for _ in range(POLICY.load_ticks):
        assessment = watch.see(a_report(**changes), vnc=vnc)
    return assessment


def test_every_rule_is_shown_to_hold_somewhere():
    assert set(BY_CODE) == SICK.keys() | OUTCOMES.keys() | ELSEWHERE | POD


@pytest.mark.parametrize("code", SICK)
def test_a_rule_holds_and_weighs_what_its_row_says(code):
    assessment = watched(*SICK[code])
    reason = next(reason for reason in assessment.reasons if reason.code == code)

    assert (BY_CODE[code].failure_class, BY_CODE[code].severity) == (reason.failure_class, reason.severity)
    assert all(one.since_ms is not None and one.fact for one in reason.evidence)
    assert reason.evidence


@pytest.mark.parametrize("code", WELL)
def test_a_rule_is_quiet_just_below_its_limit(code):
    assert code not in codes(watched(WELL[code], "ok"))


@pytest.mark.parametrize("code", OUTCOMES)
def test_a_fetch_that_failed_is_the_only_reason(code):
    probe = a_probe(None, outcome=OUTCOMES[code], detail="after 2.0 s, limit 2.0 s")
    assessment = classify(an_instance(), probe, a_handshake("refused"), EMPTY, POLICY)

    assert [code] == codes(assessment)
    assert ["outcome", "duration", "detail", "vnc"] == [one.fact for one in assessment.reasons[0].evidence]


@pytest.mark.parametrize("code", [rule.code for rule in RULES if rule.needs is not None])
def test_a_flappy_signal_is_only_suspected_at_first(code):
    watch = Watch()
    changes, vnc = SICK[code]
    assessment = watch.see(a_report(**changes), vnc=vnc)

    assert code in assessment.suspected
    assert code not in codes(assessment)


def test_codes_are_unique_and_camel_case():
    assert len(BY_CODE) == len(RULES)
    assert [] == [code for code in BY_CODE if not re.fullmatch(r"([A-Z][a-z]+)+", code)]


def test_texts_are_sentences():
    texts = [text for rule in RULES for text in (rule.means, rule.advice)]

    assert [] == [text for text in texts if not re.fullmatch(r"[A-Z].*\.", text) or "|" in text]


def test_consequences_name_rules_that_exist_and_never_run_in_a_circle():
    def roots(code, seen=()):
        assert code not in seen
        for cause in BY_CODE[code].follows:
            roots(cause, (*seen, code))

    for code in BY_CODE:
        roots(code)


def test_a_consequence_of_a_consequence_names_the_first_cause_too():
    missing = {
        (rule.code, root)
        for rule in RULES
        for cause in rule.follows
        for root in BY_CODE[cause].follows
        if root not in rule.follows
    }

    assert set() == missing


def test_findings_and_plans_are_no_faults():
    quiet = {code for code in BY_CODE if code not in FAULTS}
    findings = {rule.code for rule in RULES if rule.severity is Severity.FINDING}

    planned = {"PausedByOperator", "GuestSuspended", "Migrating"}
    planned |= {"PodStarting", "PodTerminating", "PodReplacing", "PodStateStale", "MonitoringOff"}

    assert findings | planned == quiet


def test_only_a_proven_layer_is_blamed_and_never_by_a_finding():
    unknown = [rule for rule in RULES if rule.severity in (Severity.FINDING, Severity.UNKNOWN) or rule.is_planned]

    assert {FailureClass.NONE} == {rule.failure_class for rule in unknown}


def test_verdicts_are_ordered_from_healthy_to_unreachable():
    ordered = sorted(BADNESS, key=BADNESS.__getitem__)

    assert ["healthy", "unknown", "degraded", "unhealthy", "unreachable"] == ordered


def test_the_page_of_reasons_says_what_the_rules_say():
    rows = re.findall(
        r"^\| \[`(\w+)`\]\(runbooks/\1\.md\) \| (\S+) \| (\S+) \| (.+) \| (.+) \|$", REASONS, re.MULTILINE
    )

    assert [(r.code, r.failure_class, r.severity, r.means, r.advice) for r in RULES] == rows


def test_the_page_of_reasons_lists_every_threshold_with_default_and_range():
    rows = re.findall(r"^\| `([a-z_]+)` \| (\S+) \| (\S+) \| (\S+) \|$", REASONS, re.MULTILINE)
    ranges = [(name, getattr(Policy(), name), one.least, one.most) for name, one in ranges_of(Policy).items()]

    assert [(name, *(f"{value:g}" for value in values)) for name, *values in ranges] == rows


def test_a_legacy_report_needs_no_block_that_its_agent_never_had():
    assert "BlockUnmeasured" not in codes(Watch().see(a_legacy_report(), vnc=None))
