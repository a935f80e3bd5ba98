"""The seed's shapes: no field lost, nothing invented, unknown never told as healthy."""

import json
from dataclasses import replace

import msgspec
import pytest
from full_report import a_full_report
from snapshots import (
    BOOTING,
    NOW_MS,
    QEMU_DEAD,
    a_fleet_now,
    a_run,
    a_snapshot,
    an_entry,
    an_incident,
    latest_of,
    the_standing,
)

from agent.report import Client, Clients
from api.views import discovery, history, instances, quality
from jobs.health.model import Connectivity, ConnectivityOutcome, FailureClass, ProbeOutcome, Severity, Verdict
from jobs.health.rollup import Rollup
from jobs.store.reader import Change

SEED_INSTANCE = {
    "id",
    "name",
    "description",
    "podName",
    "podIP",
    "streamUrl",
    "vncUrl",
    "healthUrl",
    "provisioned",
    "ready",
    "status",
    "discoveredAt",
    "kubernetes",
}
SEED_DEEP_HEALTH = {
    "instanceId",
    "timestamp",
    "overallStatus",
    "deepHealth",
    "failureType",
    "recoveryNeeded",
    "errors",
}
SEED_AVAILABILITY = {"vnc", "stream", "audio", "controls"}
SEED_QUALITY = {
    "connectionLatency",
    "videoFrameRate",
    "audioQuality",
    "audioLevel",
    "controlsResponsive",
    "packetLoss",
    "jitter",
}


def sick(*reasons, **changes):
    """Return the standing of an instance with these reasons."""
    return the_standing(a_snapshot((an_entry(), latest_of(an_entry(), *reasons, **changes))))


def test_an_instance_keeps_the_seeds_fields_and_the_files_unknown_ones():
    (entry,) = instances.instances(a_fleet_now())

    assert set() == SEED_INSTANCE - set(entry)
    assert ("red", "http://10.0.0.2:8080") == (entry["colour"], entry["healthUrl"])


def test_a_file_cant_set_what_is_measured():
    forged = an_entry(status="ready", verdict="healthy", id="somebody-else")

    (entry,) = instances.instances(a_fleet_now(a_snapshot((forged, latest_of(forged, QEMU_DEAD)))))

    assert ("instance-0", "error", "unhealthy") == (entry["id"], entry["status"], entry["verdict"])


@pytest.mark.parametrize(
    ("reasons", "age_ms", "expected"),
    [
        ((), 0, "ready"),
        ((BOOTING,), 0, "booting"),
        ((QEMU_DEAD,), 0, "error"),
        ((replace(QEMU_DEAD, severity=Severity.UNREACHABLE),), 0, "error"),
        ((replace(QEMU_DEAD, severity=Severity.DEGRADED),), 0, "ready"),
        ((), 60_000, "unknown"),
    ],
)
def test_status_is_the_seeds_word_for_the_verdict(reasons, age_ms, expected):
    entry = instances.instance(sick(*reasons, observed_at_ms=NOW_MS - age_ms))

    assert (expected, expected == "ready") == (entry["status"], entry["ready"])


def test_provisioned_leaves_out_what_the_inventory_says_isnt():
    off = an_entry(1, provisioned=False)
    snapshot = a_snapshot((an_entry(), latest_of(an_entry())), (off, latest_of(off)))

    assert ["instance-0"] == [entry["id"] for entry in instances.provisioned(a_fleet_now(snapshot))]


def test_deep_health_keeps_the_seeds_fields_and_the_report_as_received():
    told = quality.deep_health(the_standing())

    assert set() == SEED_DEEP_HEALTH - set(told)
    assert ("healthy", "none", []) == (told["overallStatus"], told["failureType"], told["errors"])
    assert "healthy" == told["deepHealth"]["overall_status"]


def test_deep_health_of_a_sick_instance_names_reason_value_and_class():
    told = quality.deep_health(sick(QEMU_DEAD))

    assert ("unhealthy", "qemu") == (told["overallStatus"], told["failureType"])
    assert ["No QEMU process runs: qemu_healthy no"] == told["errors"]
    assert ["QemuDead"] == [reason["code"] for reason in told["reasons"]]


def test_a_finding_is_told_but_is_no_error():
    told = quality.deep_health(sick(BOOTING))

    assert (["Booting"], []) == ([reason["code"] for reason in told["reasons"]], told["errors"])


def test_stale_deep_health_is_unknown_and_keeps_the_last_assessment_under_its_own_name():
    told = quality.deep_health(sick(QEMU_DEAD, observed_at_ms=NOW_MS - 60_000))

    assert ("unknown", "unknown", "none", True) == (
        told["overallStatus"],
        told["verdict"],
        told["failureType"],
        told["stale"],
    )
    assert ("unhealthy", "qemu") == (told["lastAssessment"]["verdict"], told["lastAssessment"]["failureType"])


def test_an_instance_never_observed_has_no_times_and_no_report():
    told = quality.deep_health(the_standing(a_snapshot((an_entry(), None))))

    assert ("unknown", None, None, None, None) == (
        told["overallStatus"],
        told["timestamp"],
        told["deepHealth"],
        told["probe"],
        told["connectivity"],
    )


@pytest.mark.parametrize(
    ("failure_class", "expected"), [(FailureClass.QEMU, True), (FailureClass.NONE, False), (None, False)]
)
def test_recovery_is_needed_while_an_incident_is_open_in_some_layer(failure_class, expected):
    incident = failure_class and an_incident(an_entry(), failure_class=failure_class)

    assert expected == quality.deep_health(the_standing(a_snapshot(incident=incident)))["recoveryNeeded"]


def test_bodies_hold_no_running_age():
    snapshot = a_snapshot((an_entry(), latest_of(an_entry(), QEMU_DEAD)), incident=an_incident(an_entry()))
    bodies = [
        [
            msgspec.json.encode(view)
            for view in (
                quality.keyed(quality.deep_health, fleet),
                quality.keyed(quality.quality, fleet),
                quality.summary(fleet),
                discovery.live(fleet, snapshot),
            )
        ]
        for fleet in (a_fleet_now(snapshot), a_fleet_now(snapshot, now_ms=NOW_MS + 20_000))
    ]

    assert bodies[0] == bodies[1]


def test_quality_keeps_the_seeds_fields_and_its_units():
    told = quality.quality(the_standing())

    assert (SEED_AVAILABILITY, SEED_QUALITY) == (set(told["availability"]), set(told["quality"]))
    assert (4.0, 18.2, 0.76) == (
        told["quality"]["connectionLatency"],
        told["quality"]["videoFrameRate"],
        told["quality"]["audioLevel"],
    )
    assert (0.75, 60) == (told["slaScore"], told["slaObservedMinutes"])


def test_quality_of_a_lost_agent_is_null_except_what_was_seen_from_outside():
    told = quality.quality(sick(QEMU_DEAD, outcome=ProbeOutcome.TIMEOUT))

    assert {"vnc": True, "stream": None, "audio": None, "controls": None} == told["availability"]
    assert {"connectionLatency": 4.0} == {k: v for k, v in told["quality"].items() if v is not None}


def test_stale_quality_is_null_throughout():
    told = quality.quality(the_standing(now_ms=NOW_MS + 60_000))

    assert {None} == {*told["availability"].values(), *told["quality"].values()}


def test_the_legacy_agents_constants_are_no_measurements():
    legacy = msgspec.structs.replace(a_full_report(), schema_version=None)

    told = quality.quality(the_standing(a_snapshot(report=legacy)))

    assert (None, None) == (told["quality"]["videoFrameRate"], told["quality"]["audioLevel"])


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (ConnectivityOutcome.OK, True),
        (ConnectivityOutcome.MUTE, False),
        (ConnectivityOutcome.NOT_DIALLED, True),
        (ConnectivityOutcome.DENIED, True),
        (ConnectivityOutcome.TOO_MANY, True),
    ],
)
def test_vnc_is_available_by_the_outside_probe_or_else_by_the_agents_word(outcome, expected):
    told = quality.quality(sick(connectivity=Connectivity(outcome, NOW_MS)))

    assert expected == told["availability"]["vnc"]


def test_packet_loss_and_jitter_are_the_worst_browsers_in_the_seeds_units():
    clients = Clients(
        count=2,
        clients=[
            Client(id="a", age_seconds=1.0, packetLoss=0.02, jitter=0.004, framerate=0.0),
            Client(id="b", age_seconds=1.0, packetLoss=0.12, jitter=None, framerate=24.0),
        ],
    )

    told = quality.quality(the_standing(a_snapshot(report=msgspec.structs.replace(a_full_report(), clients=clients))))

    assert (0.12, 4.0, True) == (
        told["quality"]["packetLoss"],
        told["quality"]["jitter"],
        told["availability"]["stream"],
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"pulse_running": False}, False),
        ({"muted": True}, False),
        ({"qemu_streams": 0}, False),
        ({"pulse_running": None}, None),
    ],
)
def test_audio_is_available_when_sound_could_reach_a_listener(changes, expected):
    report = a_full_report()
    report = msgspec.structs.replace(report, audio=msgspec.structs.replace(report.audio, **changes))

    assert expected is quality.quality(the_standing(a_snapshot(report=report)))["availability"]["audio"]


def test_the_summary_counts_every_verdict_and_class():
    second = an_entry(1)
    told = quality.summary(
        a_fleet_now(a_snapshot((an_entry(), latest_of(an_entry())), (second, latest_of(second, QEMU_DEAD))))
    )

    assert (2, 2, 100.0, 4.0) == (
        told["total"],
        told["available"],
        told["availabilityPercent"],
        told["averageLatency"],
    )
    assert ({"healthy": 1, "unhealthy": 1}, 1) == (told["qualityDistribution"], told["byFailureType"]["qemu"])
    assert set(Verdict) == set(told["byVerdict"])


def test_an_empty_fleet_has_no_averages():
    told = quality.summary(a_fleet_now(replace(a_snapshot(), instances={}, latest={}, observed_at_ms=None)))

    assert (0, None, None) == (told["total"], told["availabilityPercent"], told["averageLatency"])


def test_a_minute_shows_means_and_nothing_of_what_wasnt_measured():
    rollup = Rollup(NOW_MS, healthy=3, unhealthy=1, frame_rate_sum=60.0, frame_rate_count=3, codes=("QemuDead",))

    (point,) = history.history(the_standing(), "minute", [rollup])["points"]

    assert (20.0, None, None, ("QemuDead",)) == (
        point["frameRate"],
        point["qemuCpuPercent"],
        point["audioLevelMax"],
        point["codes"],
    )
    assert {"healthy": 3, "degraded": 0, "unhealthy": 1, "unreachable": 0, "unknown": 0} == point["ticks"]


def test_why_has_verdict_witnesses_incident_and_changes():
    snapshot = a_snapshot((an_entry(), latest_of(an_entry(), QEMU_DEAD)), incident=an_incident(an_entry()))
    change = Change(NOW_MS, 7, Verdict.UNHEALTHY, FailureClass.QEMU, (QEMU_DEAD,), "963814e76549")

    told = json.loads(msgspec.json.encode(history.why(the_standing(snapshot), [change], [])))

    assert ("unhealthy", "ok", "ok", "963814e76549") == (
        told["verdict"],
        told["probe"]["outcome"],
        told["connectivity"]["outcome"],
        told["incident"]["id"],
    )
    assert ["QemuDead"] == [reason["code"] for reason in told["changes"][0]["reasons"]]


def test_a_run_is_told_with_its_times():
    assert ("2026-11-24T20:07:41.000Z", None) == (
        history.run(a_run())["lastSuccessAt"],
        history.run(a_run())["endedAt"],
    )
