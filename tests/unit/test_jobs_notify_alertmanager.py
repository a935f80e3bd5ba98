"""When Alertmanager is told what: everything again while it is open, and of an end once all of it has stood there."""

import json

import pytest

from jobs.health.incident import Incident
from jobs.health.model import FailureClass, InstanceKey, Verdict
from jobs.notify import alertmanager as alertmanager_module
from jobs.notify.address import Links, parse_receiver
from jobs.notify.alertmanager import STAND_SECONDS, Alertmanager
from jobs.notify.letter import letter_of
from jobs.notify.posting import Reply
from jobs.notify.sending import Task
from jobs.store.deliveries import Notice
from jobs.store.outbox import Kind, Message

AT_MS = 1_795_662_000_000
ANSWER_SECONDS = 4.0


class SlowLine:
    """A line whose receiver takes all, each after some seconds of its own clock.

    shown, over: what was told to stand there, and to be over, as incident and escalation, in their order.
    """

    address = parse_receiver("LOCO_ALERTMANAGER_URL", "http://alerts:9093/api/v2/alerts")

    def __init__(self):
        self.now = 1000.0
        self.shown, self.over = [], []

    def monotonic(self):
        """Return what the clock shows."""
        return self.now

    def post(self, body, _headers):
        """Take a request."""
        self.now += ANSWER_SECONDS
        for alert in json.loads(body):
            told = self.over if "healthy again" in alert["annotations"]["description"] else self.shown
            told.append((alert["labels"]["incident"], alert["labels"].get("escalation", "")))
        return Reply(None, 200)

    def get(self, _path):
        """Say nothing of its start."""


@pytest.fixture
def line(monkeypatch):
    line = SlowLine()
    monkeypatch.setattr(alertmanager_module, "time", line)
    return line


@pytest.fixture
def alertmanager(line):
    return Alertmanager(line, Links(None, None), clock=lambda: AT_MS)


def a_letter(kind=Kind.INCIDENT_OPENED, *, incident="a1", escalation="", earlier=()):
    """Return a letter about an incident."""
    key, faults = InstanceKey("loco/loco-emulator-0"), ("QemuDead",)
    about = Incident(incident, key, AT_MS, 101, FailureClass.QEMU, Verdict.UNHEALTHY, faults, (), 102)
    before = tuple(one.notice for one in earlier)
    name = f"{incident}-{escalation or kind}"
    notice = Notice(1, name, kind, Message(about, None, escalation=escalation), AT_MS, 0, before)
    return letter_of(notice, {}, {})


OPENING = a_letter()
ESCALATION = a_letter(Kind.INCIDENT_ESCALATED, escalation="NeedsHuman")
END = a_letter(Kind.INCIDENT_CLOSED, earlier=(OPENING, ESCALATION))


def test_however_many_are_open_messages_are_sent_within_the_time_and_all_are_told_again_in_turn(line, alertmanager):
    wanted = [(f"incident-{number}", "") for number in range(300)]
    standing = tuple(a_letter(incident=name) for name, _ in wanted)
    began_at = line.now
    report = alertmanager.send(Task((OPENING,), standing))
    took_seconds = line.now - began_at
    for _ in range(2):
        alertmanager.send(Task((), standing))

    assert [None] == [one.problem for one in report.sent]
    assert 3 * ANSWER_SECONDS == took_seconds
    assert set(wanted) <= set(line.shown)
    assert wanted[:128] == line.shown[:128]


def test_an_end_waits_until_the_youngest_escalation_has_stood_there_too(line, alertmanager):
    alertmanager.send(Task((OPENING,)))
    line.now += 10 * STAND_SECONDS
    alertmanager.send(Task((ESCALATION,)))
    (early,) = alertmanager.send(Task((END,))).sent

    assert (STAND_SECONDS, []) == (early.wait_seconds, line.over)
    line.now += STAND_SECONDS
    (late,) = alertmanager.send(Task((END,))).sent
    assert (None, None) == (late.wait_seconds, late.problem)
    assert [("a1", ""), ("a1", "NeedsHuman")] == line.over


def test_an_end_waits_for_an_escalation_that_an_alertmanager_may_have_lost(line, alertmanager):
    alertmanager.send(Task((), (OPENING,)))
    line.now += 10 * STAND_SECONDS
    (early,) = alertmanager.send(Task((END,))).sent

    assert STAND_SECONDS == early.wait_seconds
    assert [("a1", ""), ("a1", "NeedsHuman")] == line.shown
    assert [] == line.over
