"""Reasons in words, with the number and the limit."""

import pytest

from jobs.health.model import Evidence, FailureClass, Reason, Severity
from jobs.health.wording import fact, sentence


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (Evidence("screen.still", 120.0, 20, "s"), "screen.still 120 s (limit 20 s)"),
        (Evidence("frame rate", 0.4, 10, "1/s"), "frame rate 0.4/s (limit 10/s)"),
        (Evidence("qemu_healthy", value=False), "qemu_healthy no"),
        (Evidence("network.tap_up", None), "network.tap_up unknown"),
        (Evidence("loss", 1 / 3), "loss 0.3333"),
        (Evidence("qemu_pid", 1234567), "qemu_pid 1234567"),
    ],
)
def test_a_fact_is_value_limit_and_unit(evidence, expected):
    assert expected == fact(evidence)


def test_a_sentence_is_what_it_means_and_the_facts():
    reason = Reason("QemuDead", FailureClass.QEMU, Severity.UNHEALTHY, (Evidence("a", 1), Evidence("b", value=True)))

    assert "No QEMU process runs: a 1, b yes" == sentence(reason)


def test_a_code_of_a_later_version_stands_for_itself():
    assert "GuestBored" == sentence(Reason("GuestBored", FailureClass.QEMU, Severity.DEGRADED))
