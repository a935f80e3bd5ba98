"""Where a connectivity probe may dial at all."""

import pytest
from full_report import a_full_report
from msgspec.structs import replace

from agent.report import HealthReport, Video
from jobs.health.model import Instance, InstanceKey
from jobs.probe.vnc import MAX_REPORT_AGE_MS, reason_not_to_dial

INSTANCE = Instance(InstanceKey("static/a"), "a", "a", "http://h/health", vnc_address=("h", 5901))
NO_VNC = Instance(InstanceKey("static/a"), "a", "a", "http://h/health")
SHARES = a_full_report()


def with_video(video):
    return replace(SHARES, video=video)


def test_a_server_that_shares_may_be_dialled():
    assert "" == reason_not_to_dial(INSTANCE, SHARES, report_age_ms=0)


@pytest.mark.parametrize(
    ("instance", "report", "age_ms", "words"),
    [
        (NO_VNC, SHARES, 0, "offers no VNC address"),
        (INSTANCE, None, 0, "no report has said yet"),
        (INSTANCE, HealthReport(timestamp="t", overall_status="healthy", video=Video(shareable=True)), 0, "legacy"),
        (INSTANCE, SHARES, MAX_REPORT_AGE_MS + 1, "isn't of the last 600 s"),
        (INSTANCE, SHARES, -7_200_000, "isn't of the last 600 s"),
        (INSTANCE, with_video(None), 0, "can't tell"),
        (INSTANCE, with_video(Video()), 0, "can't tell"),
        (INSTANCE, with_video(Video(shareable=False)), 0, "doesn't share"),
    ],
)
def test_any_other_server_is_not_dialled_and_the_reason_is_said(instance, report, age_ms, words):
    assert words in reason_not_to_dial(instance, report, report_age_ms=age_ms)
