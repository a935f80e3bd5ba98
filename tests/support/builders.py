"""Builders of what flows through `jobs.health`; they default to healthy."""

from dataclasses import replace

import msgspec
from full_report import a_full_report

from agent.report import HealthReport, decode
from jobs.health.history import History
from jobs.health.incident import Incident
from jobs.health.model import (
    Assessment,
    Connectivity,
    ConnectivityOutcome,
    FailureClass,
    Instance,
    InstanceKey,
    ProbeOutcome,
    ProbeResult,
    Reason,
    Verdict,
)
from jobs.health.policy import Policy
from jobs.health.rules import BY_CODE, RULES, VERDICT_OF, WEIGHT
from jobs.health.watched import Watched, see_probe

TICK_MS = 15_000
POLICY = Policy()

# What is to be said of every legacy report.
LEGACY_FINDINGS = ["LegacyAgent", "IdentityUnproven"]

# What the seed's shell script answers: its own fields and nothing else.
LEGACY = {
    "timestamp": "2026-11-24T20:00:00Z",
    "overall_status": "healthy",
    "qemu_healthy": True,
    "video": {
        "vnc_available": True,
        "display_active": True,
        "estimated_frame_rate": 30,
        "vnc_port": 5901,
        "display": ":1",
    },
    "audio": {
        "pulse_running": True,
        "audio_devices": 2,
        "alsa_devices": 1,
        "estimated_level": 0.7,
        "audio_backend": "pulse",
    },
    "performance": {
        "cpu_usage": 25.3,
        "memory_usage": 45.1,
        "load_average": 1.2,
        "qemu_cpu": 15.8,
        "qemu_memory": 12.4,
        "qemu_pid": "1234",
    },
    "network": {
        "bridge_up": True,
        "tap_up": True,
        "tx_packets": 15420,
        "rx_packets": 12893,
        "tx_errors": 0,
        "rx_errors": 0,
    },
}


def an_instance(**fields) -> Instance:
    """Return a decoy's instance: motion expected within 20 s, sound within 15 s."""
    defaults = {
        "key": InstanceKey("static/instance-0"),
        "public_id": "instance-0",
        "name": "Instance 0",
        "health_url": "http://127.0.0.1:8080/health",
        "vnc_address": ("127.0.0.1", 5901),
        "expect_motion_seconds": 20.0,
        "expect_sound_seconds": 15.0,
    }
    return Instance(**{**defaults, **fields})


def a_report(*, sequence: int = 7, **blocks) -> HealthReport:
    """Return a healthy report of a QEMU long past its boot; blocks: {field: value} to change, None to leave out."""
    blocks.setdefault("qemu", {})
    if blocks["qemu"] is not None:
        blocks["qemu"] = {"uptime_seconds": 3600.0, **blocks["qemu"]}
    return changed(a_full_report(sequence=sequence), **blocks)


def changed(report: HealthReport, **blocks) -> HealthReport:
    """Return the report with fields of its blocks replaced."""
    return msgspec.structs.replace(
        report,
        **{
            name: msgspec.structs.replace(getattr(report, name), **value) if isinstance(value, dict) else value
            for name, value in blocks.items()
        },
    )


def a_legacy_report(**blocks) -> HealthReport:
    """Return the seed's kind of report; blocks: {field: value} to change, None to leave a block or field out."""
    body = {
        name: {**LEGACY[name], **value} if isinstance(value, dict) else value
        for name, value in {**LEGACY, **blocks}.items()
    }
    return decode(msgspec.json.encode(body))


def a_probe(report: HealthReport | None = None, *, at_ms: int = 0, **fields) -> ProbeResult:
    """Return a fetched report, or with an `outcome` of another kind a fetch that failed."""
    if report is None and "outcome" not in fields:
        report = a_report()
    defaults = {
        "key": InstanceKey("static/instance-0"),
        "outcome": ProbeOutcome.OK,
        "duration_seconds": 0.004,
        "skew_seconds": None if report is None else 0.0,
    }
    return ProbeResult(**{**defaults, **fields}, received_at_ms=at_ms, report=report)


def a_handshake(outcome: str = "ok", *, at_ms: int = 0) -> Connectivity:
    """Return one connectivity probe."""
    latency_seconds = 0.01 if outcome == "ok" else None
    return Connectivity(ConnectivityOutcome(outcome), at_ms, latency_seconds)


def an_assessment(*codes: str, at_ms: int = 0, suspected: tuple[str, ...] = ()) -> Assessment:
    """Return the assessment in which exactly these codes hold."""
    rules = sorted((BY_CODE[code] for code in codes), key=lambda rule: (-WEIGHT[rule.severity], RULES.index(rule)))
    return Assessment(
        InstanceKey("static/instance-0"),
        at_ms,
        VERDICT_OF[rules[0].severity] if rules else Verdict.HEALTHY,
        rules[0].failure_class if rules else FailureClass.NONE,
        tuple(Reason(rule.code, rule.failure_class, rule.severity) for rule in rules),
        suspected=suspected,
    )


class Watch:
    """One instance watched tick by tick, as the collect command does it."""

    def __init__(self, instance: Instance | None = None, policy: Policy = POLICY) -> None:
        self.instance = instance or an_instance()
        self.policy = policy
        self.watched = Watched(self.instance)
        self.tick = 0
        self.at_ms = 1_800_000_000_000

    def see(
        self,
        report: HealthReport | None = None,
        *,
        vnc: str | None = "ok",
        is_fresh: bool = True,
        is_acting: bool = False,
        **fields,
    ) -> Assessment:
        """Make one tick. report: None is a healthy one, unless fields give another outcome. vnc: None is no probe.

        is_fresh: give the report the sequence of a round of its own. is_acting: an attempt of ours runs.
        """
        self.tick += 1
        self.at_ms += TICK_MS
        if report is None and "outcome" not in fields:
            report = a_report()
        if is_fresh and report is not None and report.agent is not None:
            report = changed(report, agent={"sequence": 100 + self.tick})
        probe = a_probe(report, at_ms=self.at_ms, **fields)
        connectivity = None if vnc is None else a_handshake(vnc, at_ms=self.at_ms - 1000)
        before = replace(self.watched, connectivity=connectivity)
        self.watched, assessment, self.change = see_probe(
            before, probe, tick=self.tick, policy=self.policy, is_acting=is_acting
        )
        return assessment

    @property
    def history(self) -> History:
        """Return what the next tick looks back at."""
        return self.watched.history

    @property
    def incident(self) -> Incident | None:
        """Return the open incident."""
        return self.watched.incident


def codes(assessment: Assessment) -> list[str]:
    """Return the codes of the reasons, worst first."""
    return [reason.code for reason in assessment.reasons]


def said(assessment: Assessment) -> tuple[str, str, list[str]]:
    """Return verdict, class and codes."""
    return assessment.verdict.value, assessment.failure_class.value, codes(assessment)
