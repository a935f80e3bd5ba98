"""One destination's carrier: whatever its destination does, the round goes on and hears of it."""

import threading

import pytest

from jobs.notify import carrier as carrier_module
from jobs.notify.carrier import Carrier
from jobs.notify.sending import Report, Sent, Task

TASK = Task(letters=("a letter",))


class Destination:
    """A destination that does as a test says."""

    name, place = "webhook", "http://receiver"
    repeat_seconds = None

    def __init__(self, send):
        self.send = send


class Time:
    """A monotonic clock of the test's own."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        """Return what the clock shows."""
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Time()
    monkeypatch.setattr(carrier_module, "time", clock)
    return clock


def carried(carrier, task=TASK):
    """Give it a task, wait for its thread, and return the report."""
    carrier.start(task)
    for thread in threading.enumerate():
        if thread.name == "notify webhook":
            thread.join()
    return carrier.take()


def test_a_bug_while_sending_is_a_problem_and_no_crash(clock):
    def send(_task):
        raise ZeroDivisionError

    carrier = Carrier(Destination(send))

    assert "sending it failed here, the log says how" == carried(carrier).problem
    assert "webhook http://receiver: sending it failed here, the log says how" == carrier.problem


def test_a_task_that_hangs_is_left_behind_and_the_next_one_is_not(clock):
    hung = threading.Event()
    carrier = Carrier(Destination(lambda _task: Report() if hung.wait(30) else None))
    carrier.start(TASK)
    clock.now += 61
    report = carrier.take()
    hung.set()
    clock.now += 1

    assert "it neither took nor refused a message within 60 s" == report.problem
    assert carrier.is_free
    assert None is carried(carrier).problem


def test_pauses_double_up_to_a_minute_and_end_with_the_first_success(clock):
    answers = [Report(problem="away")] * 8 + [Report()]
    carrier = Carrier(Destination(lambda _task: answers.pop(0)))
    pauses = []
    while answers:
        carried(carrier)
        failed_at = clock.now
        while not carrier.is_free:
            clock.now += 1
        pauses.append(clock.now - failed_at)

    assert [1, 2, 4, 8, 16, 32, 60, 60, 0] == pauses
    assert None is carrier.problem


def test_what_arrives_before_a_failure_ends_the_row_of_failures(clock):
    half = Report([Sent("a letter"), Sent("another", "away")], problem="away")
    answers = [Report(problem="away"), Report(problem="away"), half]
    carrier = Carrier(Destination(lambda _task: answers.pop(0)))
    while answers:
        carried(carrier)
        failed_at = clock.now
        while not carrier.is_free:
            clock.now += 1

    assert 1 == clock.now - failed_at


def test_a_rest_that_is_asked_for_is_given(clock):
    carrier = Carrier(Destination(lambda _task: Report(problem="it answered 429", retry_seconds=120)))
    carried(carrier)
    clock.now += 119
    early = carrier.is_free
    clock.now += 1

    assert (False, True) == (early, carrier.is_free)


def test_a_destination_that_forgets_is_told_again_at_its_interval_and_at_once_after_a_failure(clock):
    answers = [Report(), Report(problem="away")]
    destination = Destination(lambda _task: answers.pop(0))
    destination.repeat_seconds = 60
    carrier = Carrier(destination)
    first = carrier.is_to_repeat
    carried(carrier, Task(standing=("a letter",)))
    told = carrier.is_to_repeat
    clock.now += 60
    again = carrier.is_to_repeat
    carried(carrier, Task(standing=("a letter",)))

    assert (True, False, True, True) == (first, told, again, carrier.is_to_repeat)


def test_nothing_to_tell_is_told_to_nobody(clock):
    destination = Destination(None)
    destination.repeat_seconds = 60
    carrier = Carrier(destination)
    carrier.start(Task())

    assert carrier.is_free
    assert not carrier.is_to_repeat
