"""The exposition parses in both formats, and docs/metrics.md has a row a metric."""

import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from full_report import a_full_report
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_plain
from snapshots import (
    NOW_MS,
    QEMU_DEAD,
    a_fleet_now,
    a_plan,
    a_recovery,
    a_run,
    a_snapshot,
    an_attempt,
    an_entry,
    an_incident,
    latest_of,
)

from api.fleet import see
from api.metrics import exposition
from api.recovery import Bounds
from api.snapshot import Report
from api.volume import Volume
from jobs.health.causes import FLEET
from jobs.health.control import Stop
from jobs.health.model import ProbeOutcome
from jobs.health.recovery import Action, AttemptOutcome, AttemptState, Hold
from jobs.store.deliveries import Queue

ROWS = re.findall(
    r"^\| `((?:loco|process)_\w+)` \| (.*?) \|",
    (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(),
    re.MULTILINE,
)

HELD = a_recovery(
    a_plan(an_entry(), hold=Hold.USER_CONNECTED),
    an_attempt(an_entry(), state=AttemptState.PLANNED, outcome=None),
    totals={("reset-audio", "healed"): 2},
)
FULL = replace(
    a_snapshot((an_entry(), latest_of(an_entry(), QEMU_DEAD)), incident=an_incident(an_entry()), recovery=HELD),
    queues={"events": Queue(0, None), "webhook": Queue(2, NOW_MS - 60_000)},
    notified={("webhook", "sent"): 7},
)
VOLUME = Volume(1_000_000, 2000, is_snapshot_trimmed=False)


def samples(snapshot=FULL, *, now_ms=NOW_MS, is_open_metrics=False, fleet=None, volume=VOLUME):
    """Return {metric: {sorted labels: value}}."""
    body, _ = exposition(fleet or a_fleet_now(snapshot, now_ms=now_ms), volume, is_open_metrics=is_open_metrics)
    parse = parse_open_metrics if is_open_metrics else parse_plain
    return {
        family.name: {tuple(sorted(s.labels.items())): s.value for s in family.samples}
        for family in parse(body.decode())
    }


STATIC = {"namespace": "static", "pod": "instance-0"}


def labels(**more):
    """Return the labels of the instance and more."""
    return tuple(sorted({**STATIC, **more}.items()))


@pytest.mark.parametrize("is_open_metrics", [False, True])
def test_every_metric_has_its_row_with_its_labels(is_open_metrics):
    found = {
        name: {label for key in rows for label, _ in key}
        for name, rows in samples(is_open_metrics=is_open_metrics).items()
    }

    assert found == {name.removesuffix("_total"): set(re.findall(r"`(\w+)`", cell)) for name, cell in ROWS}


def test_exactly_one_verdict_is_one():
    assert {"unhealthy": 1} == {
        dict(key)["verdict"]: value for key, value in samples()["loco_instance_verdict"].items() if value
    }


def test_a_stale_verdict_is_unknown():
    assert 1 == samples(now_ms=NOW_MS + 60_000)["loco_instance_verdict"][labels(verdict="unknown")]


def test_a_check_that_couldnt_measure_is_zero_and_without_a_current_report_it_is_absent():
    report = a_full_report()
    report = msgspec.structs.replace(
        report, network=msgspec.structs.replace(report.network, error="no tap"), clients=None
    )
    checks = samples(a_snapshot(report=report))["loco_instance_check_success"]

    assert (0, 1, None) == (
        checks[labels(check="network")],
        checks[labels(check="qemu")],
        checks.get(labels(check="clients")),
    )
    lost = a_snapshot((an_entry(), latest_of(an_entry(), outcome=ProbeOutcome.REFUSED)))
    assert {} == samples(lost)["loco_instance_check_success"]


def test_an_open_incident_has_a_series_a_reason():
    assert {labels(reason="QemuDead"): 1} == samples()["loco_incident_open"]


def test_attempts_are_counted_by_action_and_outcome_from_zero_and_open_ones_are_shown():
    """A counter that begins with its first event hides it from `increase`, and so from an alert."""
    found = samples()
    none = {(("action", action), ("outcome", outcome)): 0 for action in Action for outcome in AttemptOutcome}

    assert {**none, (("action", "reset-audio"), ("outcome", "healed")): 2} == found["loco_recovery_attempts"]
    assert {labels(action="reset-audio"): 1} == found["loco_recovery_attempt_open"]


def test_what_holds_a_recovery_back_is_shown_by_its_code():
    assert {labels(hold="UserConnected"): 1} == samples()["loco_recovery_hold"]


def test_a_configmap_tells_nothing_of_recovery():
    found = samples(replace(FULL, recovery=None))

    assert [{}, {}, {}] == [found[f"loco_recovery_{name}"] for name in ("attempts", "attempt_open", "hold")]


def test_times_are_unix_seconds():
    found = samples()

    assert (NOW_MS - 2000) / 1000 == found["loco_instance_last_report_timestamp_seconds"][labels()]
    assert {(("command", "collect"),): (NOW_MS - 2000) / 1000} == found["loco_run_last_success_timestamp_seconds"]


def test_an_instance_never_observed_has_a_verdict_and_no_times():
    found = samples(replace(a_snapshot((an_entry(), None)), runs={}))

    assert 1 == found["loco_instance_verdict"][labels(verdict="unknown")]
    assert {} == found["loco_instance_last_report_timestamp_seconds"] | found["loco_instance_probe_duration_seconds"]


def test_who_is_connected_and_what_moves_is_of_the_current_report_alone():
    report = a_full_report()
    watched = msgspec.structs.replace(report, sessions=msgspec.structs.replace(report.sessions, count=2))
    found = samples(a_snapshot(report=watched))
    lost = samples(a_snapshot((an_entry(), latest_of(an_entry(), outcome=ProbeOutcome.REFUSED))))

    assert {labels(): 2} == found["loco_instance_sessions"]
    assert {labels(): report.video.estimated_frame_rate} == found["loco_instance_frames_per_second"]
    assert {} == lost["loco_instance_sessions"] | lost["loco_instance_frames_per_second"]


def test_a_run_in_trouble_is_shown_though_it_goes_on():
    def problem(**changes):
        (value,) = samples(replace(FULL, runs={"collect": a_run(**changes)}))["loco_run_problem"].values()
        return value

    assert [0, 1, 1, 0] == [
        problem(),
        problem(problem="no key"),
        problem(outcome="failed"),
        problem(outcome="superseded", problem="another run has the baton"),
    ]


def test_a_store_that_was_never_read_is_told_and_not_hidden():
    found = samples(fleet=see(None, "store loco.db isn't there yet", NOW_MS))

    assert {(): 0} == found["loco_store_readable"]
    assert {(("version", "0.1.0"),): 1} == found["loco_build_info"]
    assert {(): 1_000_000} == found["loco_store_free_bytes"]
    assert {} == found["loco_run_last_success_timestamp_seconds"] | found["loco_notifications_waiting"]
    assert {} == found["loco_recovery_attempts"] | found["loco_notifications"]


def test_a_store_that_cant_be_read_any_more_has_no_size():
    there, gone = (samples(fleet=see(FULL, problem, NOW_MS)) for problem in ("", "store loco.db is gone"))

    assert ({(): 1}, {(): FULL.size_bytes}) == (there["loco_store_readable"], there["loco_store_size_bytes"])
    assert ({(): 0}, {}) == (gone["loco_store_readable"], gone["loco_store_size_bytes"])


def test_what_waits_to_be_told_is_counted_by_destination_with_the_age_of_the_oldest():
    found = samples()

    assert [0, 2] == [found["loco_notifications_waiting"][to("events")], found["loco_notifications_waiting"][to()]]
    assert {to(): (NOW_MS - 60_000) / 1000} == found["loco_notifications_oldest_timestamp_seconds"]
    assert {(*to(), ("outcome", "sent")): 7, (*to(), ("outcome", "given-up")): 0} == found["loco_notifications"]


def to(destination="webhook"):
    return (("destination", destination),)


@pytest.mark.parametrize("hold", ["KillSwitch", "Paused", "DryRun"])
def test_what_stops_all_acts_is_one_and_the_others_are_zero(hold):
    recovery = replace(HELD, bounds=Bounds(is_dry_run=hold == "DryRun"))
    stop = None if hold == "DryRun" else Stop(Hold(hold), "somebody said so")
    found = samples(fleet=see(replace(FULL, recovery=recovery), "", NOW_MS, stop))["loco_recovery_stopped"]

    assert {one: one == hold for one in ("KillSwitch", "Paused", "DryRun")} == {
        dict(key)["hold"]: value for key, value in found.items()
    }


def test_a_brake_is_shown_with_how_many_it_counts():
    brakes = {key: replace(an_incident(an_entry()), key=key, members=(1, 2, 3)) for key in (FLEET, "common/node/a")}
    common = {**brakes, "common/node/b": brakes["common/node/a"]}

    assert {(("brake", "FleetBrake"),): 0, (("brake", "CommonCause"),): 0} == samples()["loco_brake_instances"]
    assert {(("brake", "FleetBrake"),): 3, (("brake", "CommonCause"),): 6} == samples(replace(FULL, incidents=common))[
        "loco_brake_instances"
    ]


def test_a_published_snapshot_has_its_size_and_without_one_both_are_absent():
    found, none = samples(), samples(volume=Volume())

    assert ({(): 2000}, {(): 0}) == (found["loco_snapshot_size_bytes"], found["loco_snapshot_trimmed"])
    assert {} == none["loco_snapshot_size_bytes"] | none["loco_snapshot_trimmed"] | none["loco_store_free_bytes"]


def test_a_fleet_of_a_thousand_of_which_a_fifth_is_sick_stays_below_twenty_series_an_instance():
    """A sick one has one more for each reason, its hold and its open attempt."""
    entries = [an_entry(ordinal) for ordinal in range(1000)]
    sick = entries[::5]
    report = a_full_report()
    snapshot = replace(
        FULL,
        instances={one.public_id: one for one in entries},
        latest={one.key: latest_of(one, *([QEMU_DEAD] if one in sick else ())) for one in entries},
        reports={one.key: Report({}, report) for one in entries},
        incidents={one.key: replace(an_incident(one), codes=("QemuDead", "VncUnavailable")) for one in sick},
        discovered={one.key: NOW_MS for one in entries},
        recovery=replace(HELD, instances={one.key: HELD.instances[an_entry().key] for one in sick}),
    )
    body, _ = exposition(a_fleet_now(snapshot), VOLUME, is_open_metrics=False)
    lines = [line for line in body.decode().splitlines() if line.startswith(("loco_in", "loco_recovery_"))]

    assert 18 * 1000 + 4 * 200 == sum("instance-" in line for line in lines)
    assert 20 * 1000 > len(body.decode().splitlines())
