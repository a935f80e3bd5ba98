import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.checks.clients import ClientsCheck, StatsInvalid, TooManyStats, parse_stats
from agent.report import Client, Clients


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        """Return the time."""
        return self.now


def stats(client_id="a", **values):
    return msgspec.json.encode({"id": client_id, **values})


def browser(number):
    """Return the address of one of many browsers."""
    return f"192.0.2.{number}"


@pytest.fixture
def clock():
    """Return a clock."""
    return Clock()


@pytest.fixture
def check(clock):
    """Return a check to which nobody has posted."""
    return ClientsCheck(clock)


def test_what_a_browser_posts_is_shown_with_its_age(check, clock):
    check.post(
        stats(packetLoss=0.12, jitter=0.01, framerate=25, frozen=0.5, resolution="640x480", codec="VP8", extra=1),
        sender=browser(1),
    )
    clock.now += 2

    assert check.measure() == Clients(
        count=1,
        clients=[
            Client(
                id="a",
                age_seconds=2.0,
                packetLoss=0.12,
                jitter=0.01,
                framerate=25.0,
                frozen=0.5,
                resolution="640x480",
                codec="VP8",
            )
        ],
    )


def test_a_silent_browser_is_forgotten_after_30_seconds(check, clock):
    check.post(stats(), sender=browser(1))
    clock.now += 30

    assert 0 == check.measure().count


def test_the_latest_post_of_a_browser_counts_wherever_it_has_moved_to(check):
    check.post(stats(jitter=0.1), sender=browser(1))
    check.post(stats(jitter=0.2), sender=browser(2))

    assert [0.2] == [client.jitter for client in check.measure().clients]


def test_two_posts_a_second_pass_and_the_third_does_not(check, clock):
    for client in ("a", "a", "another"):
        check.post(stats(client), sender=browser(1))
    clock.now += 0.75
    with pytest.raises(TooManyStats, match="one client posted more often than 2 times within a second"):
        check.post(stats(), sender=browser(1))
    clock.now += 0.25
    check.post(stats(), sender=browser(1))

    assert 2 == check.measure().count


def test_one_address_has_twenty_posts_a_second_and_takes_none_from_others(check, clock):
    for number in range(200):
        with contextlib.suppress(TooManyStats):
            check.post(stats(str(number)), sender=browser(1))
    check.post(stats("honest"), sender=browser(2))

    assert 21 == check.measure().count
    clock.now += 1
    check.post(stats(), sender=browser(1))


def test_what_is_refused_as_no_statistics_counts_too(check):
    for _ in range(20):
        with pytest.raises(StatsInvalid):
            check.post(b"{}", sender=browser(1))
    with pytest.raises(TooManyStats, match="one address posted more often than 20 times within a second"):
        check.post(stats(), sender=browser(1))


def test_all_together_have_fifty_posts_a_second(check, clock):
    for number in range(50):
        check.post(stats(str(number)), sender=browser(number))
    with pytest.raises(TooManyStats, match="all together posted more often than 50 times within a second"):
        check.post(stats("0"), sender=browser(99))
    clock.now += 1
    check.post(stats("0"), sender=browser(99))


def test_fifty_browsers_pass_and_the_next_waits_for_a_place(check, clock):
    for number in range(50):
        check.post(stats(str(number)), sender=browser(number))
        clock.now += 0.1
    with pytest.raises(TooManyStats, match=r"50 clients post already, allowed are 50; .* forgotten after 30 s"):
        check.post(stats("one more"), sender=browser(99))
    clock.now += 31
    check.post(stats("one more"), sender=browser(99))

    assert 1 == check.measure().count


def test_one_address_has_half_of_the_places(check, clock):
    for number in range(25):
        check.post(stats(str(number)), sender=browser(1))
        clock.now += 0.1
    with pytest.raises(TooManyStats, match="25 clients of this address post already, allowed are 25"):
        check.post(stats("one more"), sender=browser(1))
    check.post(stats("honest"), sender=browser(2))

    assert 26 == check.measure().count


def test_memory_does_not_grow_with_invented_addresses(check, clock):
    for number in range(10_000):
        with contextlib.suppress(TooManyStats):
            check.post(stats(), sender=f"invented {number}")
        clock.now += 0.0001

    assert 256 == len(check._senders._rates)
    clock.now += 1
    check.post(stats(), sender=browser(1))


def test_texts_are_printable_and_capped():
    client = parse_stats(stats("a\x1b[31m\n", codec="c" * 1000))

    assert ("a[31m", 200) == (client.id, len(client.codec or ""))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"id": 1}',
        b'{"id": ""}',
        b'{"id": "\\n"}',
        b'{"id": "a", "jitter": "fast"}',
        b'{"id": "a", "jitter": NaN}',
        b'{"id": "a", "jitter": 1e999}',
        b'{"id": "a", "latency": -1}',
        b'{"id": "a", "packetLoss": 1.5}',
        b'{"id": "a", "frozen": 1.01}',
        b'{"id": "a", "jitter": 60.1}',
        b'{"id": "a", "latency": 1e300}',
        b'{"id": "a", "framerate": 1001}',
        b'{"id": "\xff"}',
    ],
)
def test_what_is_no_statistics_is_refused(body):
    with pytest.raises(StatsInvalid):
        parse_stats(body)


def test_a_refusal_is_one_sentence():
    with pytest.raises(StatsInvalid) as refused:
        parse_stats(stats(packetLoss=12))

    assert "packetLoss is 12, allowed is 0 to 1; this post isn't kept" == str(refused.value)


@given(st.binary(max_size=200))
def test_no_body_raises_anything_else(body):
    try:
        client = parse_stats(body)
    except StatsInvalid:
        return

    assert client.id
