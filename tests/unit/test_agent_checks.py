"""The pure parts of the small checks."""

import struct
from types import SimpleNamespace

import click
import pytest

from agent.cgroup import Usage
from agent.checks import sessions
from agent.checks.audio import is_inaudible, unix_path
from agent.checks.network import rates
from agent.checks.performance import throttled_ratio
from agent.checks.screen import verdict
from agent.checks.sessions import SessionsCheck, since
from agent.checks.video import qemu_sharing, x11vnc_sharing
from agent.netlink import Link, parse_link
from agent.settings import parse_address


def a_link(**fields):
    defaults = {
        "index": 3,
        "is_up": True,
        "has_carrier": True,
        "master": 2,
        "rx_packets": 100,
        "tx_packets": 200,
        "rx_errors": 0,
        "tx_errors": 0,
        "rx_dropped": 0,
        "tx_dropped": 0,
    }
    return Link(**{**defaults, **fields})


def test_rates_are_over_the_seconds_between():
    after = a_link(rx_packets=130, tx_packets=260, rx_errors=1, tx_errors=2, rx_dropped=6)

    assert {
        "tx_packets_per_second": 20.0,
        "rx_packets_per_second": 10.0,
        "errors_per_second": 1.0,
        "drops_per_second": 2.0,
    } == rates(a_link(), after, seconds=3.0)


@pytest.mark.parametrize("after", [a_link(rx_packets=5), a_link(index=4, rx_packets=500)])
def test_a_counter_that_was_set_back_gives_no_rate(after):
    assert {} == rates(a_link(), after, seconds=3.0)


def test_a_link_message_without_master_or_carrier_is_read():
    stats = struct.pack("=HH8Q", 4 + 64, 23, 1, 2, 0, 0, 3, 4, 5, 6)
    message = struct.pack("=IHHII", 0, 16, 0, 1, 0) + struct.pack("=BxHiII", 0, 1, 7, 0x1003, 0) + stats

    assert Link(7, True, None, None, 1, 2, 3, 4, 5, 6) == parse_link(message)  # noqa: FBT003


def test_a_refused_question_is_an_error_and_a_missing_device_is_none():
    assert None is parse_link(struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -19))
    with pytest.raises(PermissionError):
        parse_link(struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -1))


def test_a_peer_counts_from_its_first_round_and_is_forgotten_when_it_leaves():
    first = since({}, ["a", "b"], 10.0)
    second = since(first, ["b", "c"], 13.0)

    assert {"b": 10.0, "c": 13.0} == second


class Monitor:
    """A monitor whose VNC server has the given clients, question by question."""

    def __init__(self, *rounds):
        self._rounds = iter(rounds)

    def execute(self, command):
        """List one server."""
        assert "query-vnc-servers" == command
        clients = [{"host": "10.0.0.1", "service": port, "websocket": False} for port in next(self._rounds)]
        return [{"id": "default", "auth": "none", "server": [{"service": "5901"}], "clients": clients}]


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that goes 3 s at each look of the sessions check, or what a test sets."""
    clock = SimpleNamespace(now=0.0, step=3.0)

    def monotonic():
        clock.now += clock.step
        return clock.now

    monkeypatch.setattr(sessions, "time", SimpleNamespace(monotonic=monotonic))
    return clock


@pytest.mark.usefixtures("clock")
def test_a_viewer_of_one_round_is_no_session():
    check = SessionsCheck(Monitor(["1", "2"], ["2", "3"], ["4"]), 5901, own_ports=())
    blocks = [check.measure() for _ in range(3)]

    assert [[], ["10.0.0.1:2"], []] == [[session.peer for session in block.sessions] for block in blocks]
    assert [0, 1, 0] == [block.count for block in blocks]


def test_two_rounds_near_to_each_other_count_as_one(clock):
    clock.step = 1.5
    check = SessionsCheck(Monitor(["1"], ["1"], ["1"]), 5901, own_ports=())

    assert [0, 0, 1] == [check.measure().count for _ in range(3)]


@pytest.mark.usefixtures("clock")
def test_a_burst_of_ours_is_no_session_however_slow_its_server():
    check = SessionsCheck(Monitor(["1", "2"], ["1", "2"]), 5901, own_ports={1})
    blocks = [check.measure() for _ in range(2)]

    assert ["10.0.0.1:2"] == [session.peer for session in blocks[1].sessions]


@pytest.mark.parametrize(
    ("colour", "still_seconds", "pictures", "word"),
    [
        (b"\0\0\0", 9.0, 1, "blank"),
        (b"\0\0\xff", 0.0, 2, "single-colour"),
        (None, 3.0, 1, "still"),
        (None, 0.0, 2, "moving"),
        (None, 0.0, 1, None),
    ],
)
def test_a_picture_has_a_word(colour, still_seconds, pictures, word):
    assert word == verdict(colour, still_seconds, pictures=pictures)


@pytest.mark.parametrize(
    ("authentications", "is_shareable"), [({"none"}, True), ({"none", "vnc"}, False), ({"sasl"}, False)]
)
def test_qemu_is_shareable_where_it_asks_for_no_password(authentications, is_shareable):
    assert (is_shareable, True) == (
        qemu_sharing(authentications).is_shareable,
        qemu_sharing(authentications).is_alive,
    )


@pytest.mark.parametrize(
    ("arguments", "is_shareable"),
    [
        (None, None),
        (["x11vnc", "-shared", "-forever"], True),
        (["x11vnc", "-many", "-shared", "-nopw"], True),
        (["x11vnc", "-shared"], False),
        (["x11vnc", "-forever"], False),
        (["x11vnc", "-shared", "-forever", "-rfbauth", "/x"], False),
    ],
)
def test_x11vnc_is_shareable_only_by_its_command_line(arguments, is_shareable):
    assert is_shareable is x11vnc_sharing(arguments).is_shareable


@pytest.mark.parametrize(
    ("server", "path"),
    [("unix:/run/p", "/run/p"), ("/run/p", "/run/p"), ("{ab12}unix:/run/p", "/run/p"), ("tcp:host:4713", None)],
)
def test_a_pulse_server_on_a_socket_is_known_by_its_path(server, path):
    assert path == unix_path(server)


class Sink:
    """As much of a sink as the question needs."""

    def __init__(self, *, mute=0, state="running", volume=1.0):
        self.mute, self.state = mute, state
        self.volume = type("Volume", (), {"value_flat": volume})


@pytest.mark.parametrize(
    ("sink", "expected"),
    [(Sink(), False), (Sink(mute=1), True), (Sink(state="suspended"), True), (Sink(volume=0.0), True)],
)
def test_a_sink_is_inaudible_when_muted_suspended_or_at_volume_0(sink, expected):
    assert expected is is_inaudible(sink)


def usage(periods, throttled):
    return Usage("cgroup-v2", 0.0, 1.0, 0, None, periods, throttled)


def test_throttling_is_the_share_of_periods_between():
    assert 0.25 == throttled_ratio(usage(100, 10), usage(140, 20))
    assert 0.0 == throttled_ratio(usage(100, 10), usage(100, 10))


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:0", ("::1", 0)), (("a", 1), ("a", 1))],
)
def test_an_address_is_host_and_port(text, address):
    assert address == parse_address(text)


@pytest.mark.parametrize("text", ["", "host", ":80", "host:", "host:x", "host:65536", "host:-1", "host:²"])
def test_a_bad_address_stops_with_a_sentence(text):
    with pytest.raises(click.BadParameter, match="is not HOST:PORT with a port of 0-65535; nothing was started"):
        parse_address(text)
