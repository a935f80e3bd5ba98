"""What was measured is the same number on the wall, in deep health, on /metrics and in kubectl, or none at all."""

import re

import msgspec
import pytest
from full_report import a_full_report
from prometheus_client.parser import text_string_to_metric_families as parsed
from snapshots import NOW_MS, a_fleet_now, a_snapshot, an_entry, latest_of, the_standing

from agent.report import Clients, Sessions
from api.kubectl.told import told
from api.metrics import exposition
from api.pages.card import card
from api.views.quality import deep_health
from api.volume import Volume
from jobs.health.model import FailureClass, ProbeOutcome, Reason, Severity
from jobs.health.people import connected

REPORT = a_full_report()
LEGACY = msgspec.structs.replace(REPORT, schema_version=None)
METRICS = {"sessions": "loco_instance_sessions", "frames": "loco_instance_frames_per_second"}


def in_kubectl(snapshot):
    """Return what `get -o json` tells."""
    return told(msgspec.to_builtins(deep_health(the_standing(snapshot))))


def on_the_wall(snapshot, term):
    """Return one of a card's facts as its text."""
    html = card(the_standing(snapshot), None, now_ms=NOW_MS)
    (value,) = re.findall(rf"<dt>{term}</dt><dd>(.*?)</dd>", html)
    return re.sub("<.*?>", "", value)


def on_metrics(snapshot, term):
    """Return one metric of the instance, None where it is absent."""
    body, _ = exposition(a_fleet_now(snapshot), Volume(), is_open_metrics=False)
    (family,) = (one for one in parsed(body.decode()) if one.name == METRICS[term])
    return next((sample.value for sample in family.samples), None)


def people(vnc, browsers):
    """Return a report with so many people; None: it can't tell."""
    return msgspec.structs.replace(REPORT, sessions=Sessions(count=vnc), clients=Clients(count=browsers))


@pytest.mark.parametrize(("vnc", "browsers"), [(0, 0), (0, 2), (1, 2), (1, None), (0, None), (None, 2)])
def test_people_are_those_that_recovery_waits_for(vnc, browsers):
    """An operator who reads 0 of a stream that two people watch would cut both off."""
    report = people(vnc, browsers)
    expected, snapshot = connected(report), a_snapshot(report=report)

    assert expected == in_kubectl(snapshot)["sessions"]
    assert expected == deep_health(the_standing(snapshot))["measured"]["connected"]
    assert expected == on_metrics(snapshot, "sessions")
    assert ("not measured" if expected is None else str(expected)) == on_the_wall(snapshot, "sessions")


def test_the_legacy_agents_constants_are_measurements_nowhere():
    snapshot = a_snapshot(report=LEGACY)
    shown = in_kubectl(snapshot)

    assert LEGACY.video.estimated_frame_rate
    assert (None, None, None) == (shown["frameRate"], shown["audioLevel"], on_metrics(snapshot, "frames"))
    assert ("not measured", "not measured") == (on_the_wall(snapshot, "frames"), on_the_wall(snapshot, "sound"))
    assert LEGACY.performance.cpu_usage == shown["cpuPercent"]


def test_what_was_measured_is_told():
    snapshot = a_snapshot(report=REPORT)
    shown, rate = in_kubectl(snapshot), REPORT.video.estimated_frame_rate

    assert (rate, REPORT.audio.estimated_level) == (shown["frameRate"], shown["audioLevel"])
    assert rate == on_metrics(snapshot, "frames")
    assert (f"{rate:.1f}/s", REPORT.performance.scope) == (on_the_wall(snapshot, "frames"), shown["cpuScope"])


@pytest.mark.parametrize(
    ("reasons", "changes"),
    [
        ((), {"outcome": ProbeOutcome.TIMEOUT}),
        ((), {"observed_at_ms": NOW_MS - 60_000}),
        ((Reason("ReportStale", FailureClass.NONE, Severity.UNKNOWN),), {}),
    ],
)
def test_an_older_report_says_nothing_of_now(reasons, changes):
    snapshot = a_snapshot((an_entry(), latest_of(an_entry(), *reasons, **changes)), report=people(1, 2))
    shown = in_kubectl(snapshot)
    fields = ("sessions", "frameRate", "audioLevel", "cpuPercent", "cpuScope", "qemuCpuPercent", "memoryPercent")

    assert dict.fromkeys(fields) == {field: shown[field] for field in fields}
    assert [None, None] == [on_metrics(snapshot, term) for term in METRICS]
    assert deep_health(the_standing(snapshot))["measured"] is None
    assert "not measured" == on_the_wall(snapshot, "sessions")
