"""Checks in threads of their own, one of which hangs."""

import threading
import time

from agent.checker import Check, Checker
from agent.checks.network import NetworkCheck
from agent.report import Network
from agent.settings import Settings


def a_checker(measure, *, deadline_seconds=5.0, blank=Network):
    checker = Checker(Check("network", measure, blank, deadline_seconds))
    checker.open()
    return checker


def run(checker, *, seconds=5.0):
    """Run one measurement to its end, or wait for as long as said."""
    checker.start()
    checker.wait(time.monotonic() + seconds)
    return checker.block()


def test_before_the_first_measurement_nothing_is_known():
    block = a_checker(lambda: Network(bridge="b")).block()

    assert ("not measured yet", None, None) == (block.error, block.checked_at, block.bridge)


def test_what_failed_still_names_the_links_that_it_was_to_measure():
    check = NetworkCheck(Settings(("", 0), "", "", "", ("", 0), "", "loco-br", "", "", "", ""))

    def fail():
        raise OSError("no netlink here")

    checker = a_checker(fail, blank=check.blank)
    blank = checker.block()
    failed = run(checker)

    assert ("loco-br", None, None, "not measured yet") == (blank.bridge, blank.tap, blank.bridge_up, blank.error)
    assert ("loco-br", None, None, "OSError: no netlink here") == (
        failed.bridge,
        failed.tap,
        failed.bridge_up,
        failed.error,
    )


def test_a_measurement_carries_its_time():
    block = run(a_checker(lambda: Network(bridge="b")))

    assert "b" == block.bridge
    assert block.checked_at.endswith("Z")


def test_an_answer_from_memory_keeps_the_time_of_its_measurement():
    block = run(a_checker(lambda: Network(bridge="b", checked_at="2026-11-24T20:00:00.000Z")))

    assert "2026-11-24T20:00:00.000Z" == block.checked_at


def test_a_check_that_fails_leaves_its_reason_and_goes_on():
    answers = iter([OSError("no such thing"), Network(bridge="b")])

    def measure():
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    checker = a_checker(measure)

    assert "OSError: no such thing" == run(checker).error
    assert "b" == run(checker).bridge
    assert (2, 1) == (checker.tally.runs, checker.tally.errors)


def test_a_check_that_hangs_loses_its_old_values_and_comes_back():
    hang, answers = threading.Event(), iter(["first", "second", "third"])

    def measure():
        name = next(answers)
        if name == "second":
            hang.wait(10)
        return Network(bridge=name)

    checker = a_checker(measure, deadline_seconds=2.0)
    run(checker)
    within = run(checker, seconds=0.01)
    checker._started_at -= 3  # as if so long had gone by
    overdue = checker.block()
    checker.start()  # a second measurement beside the first would never end either
    hang.set()
    checker.wait(time.monotonic() + 5)

    assert "first" == within.bridge
    assert (None, None) == (overdue.bridge, overdue.checked_at)
    assert "no answer for" in overdue.error
    assert "second" == checker.block().bridge
    assert "third" == run(checker).bridge
