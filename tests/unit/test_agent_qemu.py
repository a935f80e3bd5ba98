import pytest

from agent.checks.process import QemuNotFound
from agent.checks.qemu import QemuCheck, _event, judge
from agent.planned import Planned
from agent.qmp import QmpAbsent, QmpBusy, QmpRefused, QmpTimeout
from agent.report import Qemu


@pytest.mark.parametrize(
    ("process_state", "run_state", "failure", "expected"),
    [
        ("S", "running", None, True),
        ("R", "running", None, True),
        ("S", "paused", None, True),
        ("S", "inmigrate", None, True),
        ("S", "io-error", None, False),
        ("S", "guest-panicked", None, False),
        ("S", "internal-error", None, False),
        ("S", "watchdog", None, False),
        ("S", "shutdown", None, False),
        ("T", None, QmpTimeout("not asked"), False),
        ("Z", None, QmpAbsent("gone"), False),
        ("S", None, QmpTimeout("hangs"), False),
        ("D", None, QmpTimeout("hangs"), False),
        ("D", "running", None, True),
        ("D", None, QmpBusy("no greeting"), False),
        ("t", None, QmpBusy("no greeting"), False),
        ("S", None, QmpBusy("another client"), None),
        ("S", None, QmpAbsent("not yet there"), None),
        (None, "running", None, True),
        (None, None, QmpAbsent("nobody listens"), False),
        (None, None, QmpTimeout("hangs"), False),
        (None, None, QmpBusy("another client"), None),
        (None, None, QmpRefused("no"), None),
        ("S", None, None, True),
        (None, None, None, False),
    ],
)
def test_process_and_monitor_together_tell_health(process_state, run_state, failure, expected):
    """The last two rows: no monitor is configured, so the process alone decides."""
    block = Qemu(process_state=process_state, run_state=run_state)

    assert expected is judge(block, failure)


class Monitor:
    """A monitor that answers and has events to tell."""

    connections = 1

    def __init__(self, *events):
        self.events = [(0.0, event) for event in events]

    def execute(self, command):
        """Answer the two questions of the check."""
        return {"query-status": {"status": "running"}, "query-kvm": {"enabled": True}}[command]

    def take_events(self):
        """Hand the events over."""
        events, self.events = self.events, []
        return events


class Process:
    """A finder that finds nothing."""

    def find(self):
        """Refuse."""
        raise QemuNotFound("not here")


def an_event(name, seconds, **data):
    return {"event": name, "timestamp": {"seconds": seconds, "microseconds": 0}, "data": data}


def a_vnc_event(name, seconds, peer):
    return an_event(name, seconds, client={"host": "10.0.0.1", "service": peer})


def test_events_are_kept_with_their_time_and_cause():
    monitor = Monitor(an_event("RESET", 1_800_000_000, guest=True, reason="guest-reset"), an_event("RTC_CHANGE", 1))
    block = QemuCheck(Process(), monitor, Planned()).measure()

    assert [("RESET", "2027-01-15T08:00:00.000Z", "guest-reset")] == [
        (event.name, event.at, event.detail) for event in block.events
    ]
    assert "not here" == block.error


def test_block_errors_are_counted():
    monitor = Monitor(*[an_event("BLOCK_IO_ERROR", 1, device="disk", action="stop")] * 3)

    assert 3 == QemuCheck(Process(), monitor, Planned()).measure().block_errors


def test_a_viewer_of_a_moment_leaves_no_event_and_a_person_does():
    monitor = Monitor(
        a_vnc_event("VNC_CONNECTED", 10, "1"),
        a_vnc_event("VNC_DISCONNECTED", 11, "1"),
        a_vnc_event("VNC_CONNECTED", 10, "2"),
        a_vnc_event("VNC_DISCONNECTED", 70, "2"),
    )
    block = QemuCheck(Process(), monitor, Planned()).measure()

    assert ["10.0.0.1:2", "10.0.0.1:2"] == [event.detail for event in block.events]


def test_only_the_last_fifty_events_are_kept():
    monitor = Monitor(*(an_event("RESET", second) for second in range(60)))

    assert 50 == len(QemuCheck(Process(), monitor, Planned()).measure().events)


def test_a_check_that_fails_keeps_no_verdict_of_the_one_before():
    monitor = Monitor()
    check = QemuCheck(Process(), monitor, Planned())
    check.measure()
    before = check.is_healthy
    monitor.execute = lambda _command: {}
    with pytest.raises(KeyError):
        check.measure()

    assert (True, None) == (before, check.is_healthy)


def test_the_accelerator_of_a_qemu_that_does_not_answer_is_unknown():
    monitor = Monitor()
    check = QemuCheck(Process(), monitor, Planned())
    before = check.measure().accelerator

    def refuse(_command):
        raise QmpAbsent("nobody listens")

    monitor.execute = refuse

    assert ("kvm", None) == (before, check.measure().accelerator)


def test_an_event_that_came_while_a_look_went_on_is_not_younger_than_now():
    message = {"event": "RESUME", "timestamp": {"seconds": 1, "microseconds": 0}}

    assert (0.0, 3.0) == (_event(10.2, message, 10.0).age_seconds, _event(7.0, message, 10.0).age_seconds)
