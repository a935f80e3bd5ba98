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
    a_snapshot,
    an_attempt,
    an_entry,
    an_incident,
    latest_of,
)

from api.metrics import exposition
from jobs.health.model import ProbeOutcome
from jobs.health.recovery import AttemptState, Hold

ROWS = re.findall(
    r"^\| `(loco_\w+)` \| (.*?) \|", (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(), re.MULTILINE
)

HELD = a_recovery(
    a_plan(an_entry(), hold=Hold.USER_CONNECTED),
    an_attempt(an_entry(), state=AttemptState.PLANNED, outcome=None),
    totals={("reset-audio", "healed"): 2},
)
FULL = a_snapshot((an_entry(), latest_of(an_entry(), QEMU_DEAD)), incident=an_incident(an_entry()), recovery=HELD)


def samples(snapshot=FULL, *, now_ms=NOW_MS, is_open_metrics=False):
    """Return {metric: {sorted labels: value}}."""
    body, _ = exposition(a_fleet_now(snapshot, now_ms=now_ms), snapshot, is_open_metrics=is_open_metrics)
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


def test_attempts_are_counted_by_action_and_outcome_and_open_ones_are_shown():
    found = samples()

    assert {(("action", "reset-audio"), ("outcome", "healed")): 2} == found["loco_recovery_attempts"]
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


def test_a_fleet_of_a_thousand_stays_below_twenty_series_an_instance():
    body, _ = exposition(a_fleet_now(FULL), FULL, is_open_metrics=False)

    assert 20 > sum("instance-0" in line for line in body.decode().splitlines() if not line.startswith("#"))
