"""Addresses that nobody can make the probes dial."""

import pytest

from jobs.health.addresses import parse_address, refusal_of_literal


@pytest.mark.parametrize(
    ("host", "refusal"),
    [
        ("10.244.1.7", ""),
        ("fd12::7", ""),
        ("169.254.169.254", "a link-local, multicast or unspecified address is never dialled"),
        ("fe80::1%eth0", "a link-local, multicast or unspecified address is never dialled"),
        ("::ffff:169.254.169.254", "a link-local, multicast or unspecified address is never dialled"),
        ("::", "a link-local, multicast or unspecified address is never dialled"),
        ("ff02::1", "a link-local, multicast or unspecified address is never dialled"),
        ("fd00:ec2::254", "the address of a cloud's metadata service is never dialled"),
        ("emulator.loco", "that is no address"),
    ],
)
def test_a_literal_is_refused_with_the_address_and_the_reason(host, refusal):
    assert (f"{host}: {refusal}" if refusal else "") == refusal_of_literal(host)


def test_a_name_is_no_address():
    assert parse_address("emulator.loco") is None
