import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.checks.clients import ClientsCheck, StatsInvalid, TooManyStats, parse_stats


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        """Return the time."""
        return self.now


def stats(client_id="a", **values):
    return msgspec.json.encode({"id": client_id, **values})


def test_what_a_browser_posts_is_shown_with_its_age():
    clock = Clock()
    check = ClientsCheck(clock)
    check.post(stats(packetLoss=0.12, jitter=0.01, framerate=25, resolution="640x480", codec="VP8", extra=1))
    clock.now += 2
    block = check.measure()

    assert 1 == block.count
    assert ("a", 2.0, 0.12, "VP8") == (
        block.clients[0].id,
        block.clients[0].age_seconds,
        block.clients[0].packetLoss,
        block.clients[0].codec,
    )


def test_a_silent_browser_is_forgotten_after_30_seconds():
    clock = Clock()
    check = ClientsCheck(clock)
    check.post(stats())
    clock.now += 30

    assert 0 == check.measure().count


def test_the_latest_post_of_a_browser_counts():
    check = ClientsCheck(Clock())
    check.post(stats(jitter=0.1))
    check.post(stats(jitter=0.2))

    assert [0.2] == [client.jitter for client in check.measure().clients]


def test_two_posts_a_second_pass_and_the_third_does_not():
    clock = Clock()
    check = ClientsCheck(clock)
    check.post(stats())
    check.post(stats())
    check.post(stats("another"))
    with pytest.raises(TooManyStats):
        check.post(stats())
    clock.now += 1
    check.post(stats())

    assert 2 == check.measure().count


def test_fifty_browsers_pass_and_the_next_waits_for_a_place():
    clock = Clock()
    check = ClientsCheck(clock)
    for number in range(50):
        check.post(stats(str(number)))
    with pytest.raises(TooManyStats):
        check.post(stats("one more"))
    clock.now += 31
    check.post(stats("one more"))

    assert 1 == check.measure().count


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
        b'{"id": "\xff"}',
    ],
)
def test_what_is_no_statistics_is_refused(body):
    with pytest.raises(StatsInvalid):
        parse_stats(body)


@given(st.binary(max_size=200))
def test_no_body_raises_anything_else(body):
    try:
        client = parse_stats(body)
    except StatsInvalid:
        return

    assert client.id
