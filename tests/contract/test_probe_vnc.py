"""The connectivity probe against VNC servers that behave, and against those that don't, over real sockets."""

import socket
import struct
import threading
import time
from contextlib import ExitStack

import pytest
from rfb_server import SERVER_INIT, VERSION, shake_hands
from servers import NO_NAME, closed_port, full_backlog, hang, reset, serving

from jobs.health.model import Connectivity, ConnectivityOutcome
from jobs.probe.handshakes import HANDSHAKE_SECONDS, MAX_OPEN_PER_HOST
from jobs.probe.vnc import FIRST_REST_SECONDS, LONGEST_REST_SECONDS, VncProber

TOO_MANY = b"Too many security failures"
REFUSAL = b"\0" + struct.pack(">I", len(TOO_MANY)) + TOO_MANY


def now_ms():
    return time.time_ns() // 1_000_000


@pytest.fixture
def prober():
    return VncProber(clock=now_ms)


def probe(prober, port, *, seconds=3):
    return prober.probe([("127.0.0.1", port)], seconds=seconds)[("127.0.0.1", port)]


def saying(data):
    """Return a script that says all of it at once, then nothing more until the peer closes."""

    def serve(connection):
        connection.sendall(data)
        hang(connection)

    return serve


def test_a_whole_handshake_is_ok_shared_and_ends_without_a_reset(prober):
    seen = []

    def serve(connection):
        seen.append(shake_hands(connection))
        seen.append(connection.recv(100))

    with serving(serve) as server:
        said = probe(prober, server.port)

    assert (ConnectivityOutcome.OK, "") == (said.outcome, said.detail)
    assert 0 < said.latency_seconds < HANDSHAKE_SECONDS
    assert [b"\1", b""] == seen


@pytest.mark.parametrize("then", [b"", b"\3\0\0\0" + struct.pack(">I", 10_000_000) + b"x" * 10_000_000, b"\2" * 1000])
def test_what_a_server_pushes_after_the_handshake_is_left_unread(prober, then):
    with serving(lambda connection: shake_hands(connection, then=then)) as server:
        assert ConnectivityOutcome.OK == probe(prober, server.port).outcome


def test_messages_in_pieces_of_one_byte_are_put_together(prober):
    with serving(lambda connection: shake_hands(connection, piece_bytes=1)) as server:
        assert ConnectivityOutcome.OK == probe(prober, server.port).outcome


def closes_at_once(connection):
    pass


NAME_LENGTH = struct.pack(">I", 10_000_000)
BAD_SERVERS = {
    "closes at once": (closes_at_once, ConnectivityOutcome.DISCONNECTED, "closed before its version"),
    "banner, then close": (
        lambda connection: connection.sendall(VERSION),
        ConnectivityOutcome.DISCONNECTED,
        "before its security types",
    ),
    "resets": (reset, ConnectivityOutcome.DISCONNECTED, ""),
    "another protocol": (saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ConnectivityOutcome.NOT_RFB, "HTTP"),
    "an older version": (saying(b"RFB 002.000\n"), ConnectivityOutcome.NOT_RFB, "002.000"),
    "wants a password": (saying(VERSION + b"\1\2"), ConnectivityOutcome.DENIED, "authentication"),
    "has had too many": (saying(VERSION + REFUSAL), ConnectivityOutcome.TOO_MANY, "Too many security failures"),
    "an endless name": (
        saying(VERSION + b"\1\1\0\0\0\0" + SERVER_INIT[:20] + NAME_LENGTH + b"x" * 1_000_000),
        ConnectivityOutcome.NOT_RFB,
        "more than 65536 bytes",
    ),
}


@pytest.mark.parametrize(("serve", "outcome", "words"), BAD_SERVERS.values(), ids=BAD_SERVERS)
def test_a_server_that_lets_no_viewer_in_is_told_apart_by_how(prober, serve, outcome, words):
    with serving(serve) as server:
        said = probe(prober, server.port)

    assert (outcome, None) == (said.outcome, said.latency_seconds)
    assert words in said.detail


def test_a_refusal_in_pieces_is_read_to_its_end(prober):
    def serve(connection):
        for byte in VERSION + REFUSAL:
            connection.sendall(bytes([byte]))
            time.sleep(0.002)
        hang(connection)

    with serving(serve) as server:
        said = probe(prober, server.port)

    assert (ConnectivityOutcome.TOO_MANY, "refused at security types: Too many security failures") == (
        said.outcome,
        said.detail,
    )


def test_silence_ends_at_the_deadline_and_says_how_far_it_came(prober):
    with (
        serving(hang) as mute,
        serving(saying(VERSION)) as stalling,
        serving(saying(VERSION + REFUSAL[:-5])) as faltering,
        full_backlog() as full,
    ):
        ports = [mute.port, stalling.port, faltering.port, full]
        began = time.monotonic()
        said = prober.probe([("127.0.0.1", port) for port in ports], seconds=3)
        seconds = time.monotonic() - began

    assert [
        (ConnectivityOutcome.MUTE, "connected, not a byte within 3 s"),
        (ConnectivityOutcome.TIMEOUT, "no security types within 3 s"),
        (ConnectivityOutcome.DENIED, "refused at security types"),
        (ConnectivityOutcome.TIMEOUT, "no connection within 3 s"),
    ] == [(said["127.0.0.1", port].outcome, said["127.0.0.1", port].detail) for port in ports]
    assert HANDSHAKE_SECONDS - 0.1 < seconds < HANDSHAKE_SECONDS + 1


def test_refused_and_unresolved_are_told_apart(prober):
    refused, unresolved = ("127.0.0.1", closed_port()), (NO_NAME, 5901)
    said = prober.probe([refused, unresolved], seconds=3)

    assert [ConnectivityOutcome.REFUSED, ConnectivityOutcome.UNRESOLVED] == [
        said[refused].outcome,
        said[unresolved].outcome,
    ]


def test_an_address_that_the_kernel_will_not_dial_says_why(prober):
    address = ("255.255.255.255", 5901)
    said = prober.probe([address], seconds=3)[address]

    assert (ConnectivityOutcome.TIMEOUT, None) == (said.outcome, said.latency_seconds)
    assert said.detail in {"network is unreachable", "permission denied"}


def test_a_name_is_dialled_at_each_of_its_addresses(prober):
    with serving(shake_hands) as server:
        address = ("localhost", server.port)

        assert ConnectivityOutcome.OK == prober.probe([address], seconds=3)[address].outcome


def test_a_server_that_has_had_too_many_is_left_alone_and_keeps_its_answer(prober):
    with serving(saying(VERSION + REFUSAL)) as server:
        first = probe(prober, server.port)
        second = probe(prober, server.port)

        assert (first, 1, FIRST_REST_SECONDS) == (second, server.connections, first.rest_seconds)


@pytest.mark.parametrize(("before", "after"), [(60, 120), (3000, LONGEST_REST_SECONDS)])
def test_a_server_that_says_so_again_after_its_rest_rests_twice_as_long(prober, before, after):
    with serving(saying(VERSION + REFUSAL)) as server:
        long_ago = now_ms() - before * 1000
        said = Connectivity(ConnectivityOutcome.TOO_MANY, long_ago, rest_seconds=before)
        prober.leave_alone(("127.0.0.1", server.port), said)

        assert after == probe(prober, server.port).rest_seconds


def test_a_rest_outlives_the_run_that_began_it(prober):
    with serving(saying(VERSION + REFUSAL)) as server:
        said = probe(prober, server.port)
        successor = VncProber(clock=now_ms)
        successor.leave_alone(("127.0.0.1", server.port), said)

        assert (said, 1) == (probe(successor, server.port), server.connections)


def test_a_rest_ends_when_a_handshake_succeeds(prober):
    with serving(shake_hands) as server:
        address = ("127.0.0.1", server.port)
        prober.leave_alone(address, Connectivity(ConnectivityOutcome.TOO_MANY, 0, rest_seconds=60))
        said = [probe(prober, server.port) for _ in range(2)]

    assert [ConnectivityOutcome.OK] * 2 == [each.outcome for each in said]
    assert [None] * 2 == [each.rest_seconds for each in said]


class CountingServer:
    """Counts how many clients are at the start of a handshake at once; each is kept there for a while."""

    def __init__(self):
        self.most = self.now = 0
        self._lock = threading.Lock()

    def serve(self, connection):
        """Shake hands with one client."""
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self._lock:
            self.now -= 1
        shake_hands(connection)
        hang(connection)


def test_one_host_sees_few_handshakes_at_once(prober):
    counting = CountingServer()
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(counting.serve)) for _ in range(3 * MAX_OPEN_PER_HOST)]
        said = prober.probe([("127.0.0.1", server.port) for server in servers], seconds=3)

    assert [ConnectivityOutcome.OK] * len(servers) == [each.outcome for each in said.values()]
    assert MAX_OPEN_PER_HOST >= counting.most


def test_one_server_under_two_names_never_sees_two_connections(prober):
    counting = CountingServer()
    with serving(counting.serve) as server:
        addresses = [("localhost", server.port), ("127.0.0.1", server.port)]
        answered = set()
        for _ in range(2):
            answered |= prober.probe(addresses, seconds=3).keys()

    assert (1, set(addresses)) == (counting.most, answered)


def test_a_server_left_over_for_lack_of_time_is_among_the_first_next_time(prober):
    order = []

    def serve(connection):
        order.append(connection.getsockname()[1])
        time.sleep(0.05)
        shake_hands(connection)

    with ExitStack() as stack:
        servers = [stack.enter_context(serving(serve)) for _ in range(2 * MAX_OPEN_PER_HOST)]
        addresses = [("127.0.0.1", server.port) for server in servers]
        left_over = max(addresses)
        none = prober.probe([left_over], seconds=0)
        everybody = prober.probe(addresses, seconds=3)

    assert ({}, set(addresses)) == (none, everybody.keys())
    assert left_over[1] in order[:MAX_OPEN_PER_HOST]


class BanningServer:
    """Bans after five connections that close before authentication is complete, as TigerVNC does."""

    def __init__(self):
        self.failures = 0

    def serve(self, connection):
        """Shake hands with one client, or refuse it."""
        if self.failures >= 5:
            connection.sendall(VERSION + REFUSAL)
            return
        self.failures += 1
        shake_hands(connection)
        self.failures -= 1


def test_a_server_that_bans_after_five_unfinished_logins_never_bans_the_probe(prober):
    with serving(BanningServer().serve) as server:
        outcomes = {probe(prober, server.port).outcome for _ in range(300)}

    assert {ConnectivityOutcome.OK} == outcomes


def test_a_name_that_leads_to_where_no_instance_is_ever_has_no_address(prober, monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    said = prober.probe([("emulator.example", 5901)], seconds=3)

    assert ConnectivityOutcome.UNRESOLVED is said["emulator.example", 5901].outcome
