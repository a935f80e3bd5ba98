"""The agent's HTTP server over real sockets; nothing is measured, as all answers come from memory."""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from agent import routes, server
from agent.checks.clients import ClientsCheck
from agent.collect import Rounds
from agent.report import decode
from agent.routes import Routes
from agent.server import MAX_CONNECTIONS, Server
from agent.settings import Settings

NOWHERE = ("127.0.0.1", 1)


@pytest.fixture(scope="module")
def rounds():
    """Return rounds that were never begun and whose last one is never long ago, however long the tests take."""
    rounds = Rounds(Settings(NOWHERE, "", "", "qemu-system-*", NOWHERE, "", "", "", "", "pod-0", "uid-0"))
    rounds.seconds_since_round = lambda: 0.0
    return rounds


@pytest.fixture(scope="module")
def listening(rounds):
    """Return a server that listens."""
    listening = Server(("127.0.0.1", 0), Routes(rounds))
    threading.Thread(target=listening.serve, daemon=True).start()
    return listening


@pytest.fixture(scope="module")
def address(listening):
    """Return where the server listens."""
    return listening.address


@pytest.fixture
def connection(address):
    """Return a client that keeps its connection."""
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=10)) as client:
        yield client


def ask(connection, method, path, body=None, headers=None):
    """Return the whole response of one exchange."""
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    return response, response.read()


def raw(address, data, *, seconds=10):
    """Send bytes and return all that comes until the server hangs up."""
    with socket.create_connection(address, timeout=seconds) as link:
        link.sendall(data)
        received = b""
        while piece := link.recv(65536):
            received += piece
        return received


def test_a_closed_server_is_served_no_more(rounds):
    listening = Server(("127.0.0.1", 0), Routes(rounds))
    serving = threading.Thread(target=listening.serve, daemon=True)
    serving.start()
    with contextlib.closing(http.client.HTTPConnection(*listening.address, timeout=10)) as client:
        assert ask(client, "GET", "/livez")[0].status == 200
        listening.close()
        serving.join(timeout=10)

        assert not serving.is_alive()
        assert ask(client, "GET", "/livez")[0].status == 200  # the connection that was open goes on


def test_before_the_first_round_the_report_says_unknown(connection):
    response, body = ask(connection, "GET", "/health")
    report = decode(body)

    assert (200, "application/json", "no-store") == (
        response.status,
        response.getheader("Content-Type"),
        response.getheader("Cache-Control"),
    )
    assert ("unknown", None, "not measured yet") == (report.overall_status, report.qemu_healthy, report.video.error)
    assert ("pod-0", "uid-0", 0) == (report.agent.pod, report.agent.uid, report.agent.sequence)


def test_one_connection_serves_many_requests_and_the_clock_runs(connection):
    reports = [decode(ask(connection, "GET", "/health")[1])]
    port = connection.sock.getsockname()[1]
    time.sleep(0.11)
    reports.append(decode(ask(connection, "GET", "/health?x=1")[1]))

    assert port == connection.sock.getsockname()[1]
    assert reports[1].timestamp > reports[0].timestamp
    assert reports[1].agent.uptime_seconds > reports[0].agent.uptime_seconds


def test_requests_in_one_segment_are_answered_in_turn(address):
    sent = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /nope HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    received = raw(address, sent)

    assert received.index(b"200 OK") < received.index(b"404 Not Found")


def test_head_is_get_without_the_body(connection):
    response, body = ask(connection, "HEAD", "/health")

    assert (200, b"") == (response.status, body)
    assert int(response.getheader("Content-Length")) > 500
    assert 200 == ask(connection, "GET", "/livez")[0].status


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/", 404, None),
        ("GET", "/health/", 404, None),
        ("POST", "/health", 405, "GET, HEAD"),
        ("GET", "/client-stats", 405, "POST, OPTIONS"),
        ("GET", "/screen.png", 404, None),
        ("GET", "/readyz", 503, None),
    ],
)
def test_what_is_not_there_is_a_problem(connection, method, path, status, allow):
    response, body = ask(connection, method, path)

    assert (status, "application/problem+json") == (response.status, response.getheader("Content-Type"))
    assert allow == response.getheader("Allow")
    assert status == msgspec.json.decode(body)["status"]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_every_address_is_every_address_of_either_family(rounds):
    listening = Server(("::", 0), Routes(rounds))
    threading.Thread(target=listening.serve, daemon=True).start()
    asked = b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n"

    assert all(b" 200 OK" in raw((host, listening.address[1]), asked) for host in ("127.0.0.1", "::1"))


def test_a_browsers_statistics_come_back_in_the_report(connection, rounds):
    response, _ = ask(connection, "POST", "/client-stats", b'{"id": "browser-1", "packetLoss": 0.5}')

    assert 204 == response.status
    assert "browser-1" in [client.id for client in rounds.clients.measure().clients]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"[]", 400), (b'{"id": ""}', 400), (b"{" + b" " * 4096, 413)],
)
def test_bad_statistics_are_refused(connection, body, status):
    response, answer = ask(connection, "POST", "/client-stats", body)

    assert (status, "application/problem+json") == (response.status, response.getheader("Content-Type"))
    assert msgspec.json.decode(answer)["detail"]


def test_a_browser_that_floods_is_told_to_wait(connection, rounds, monkeypatch):
    monkeypatch.setattr(rounds, "clients", ClientsCheck(clock=lambda: 100.0))  # all at one moment
    statuses = [ask(connection, "POST", "/client-stats", b'{"id": "flood"}')[0].status for _ in range(3)]

    assert [204, 204, 429] == statuses


def test_a_page_of_another_origin_may_post(connection):
    response, _ = ask(connection, "OPTIONS", "/client-stats")

    assert (204, "*", "POST") == (
        response.status,
        response.getheader("Access-Control-Allow-Origin"),
        response.getheader("Access-Control-Allow-Methods"),
    )


def test_a_huge_body_is_refused_unread(address):
    received = raw(address, b"POST /client-stats HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n")

    assert received.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"400"),
        (b"GET /health HTTP/1.1\r\n" + b"a: b\r\n" * 2000, b"431"),
        (b"POST /client-stats HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
    ],
)
def test_what_is_no_request_ends_the_connection(address, data, status):
    assert status == raw(address, data).split(b" ", 2)[1]


def test_a_request_in_drops_is_cut_off_by_one_deadline(address, monkeypatch):
    """A drop a moment keeps every read short of a timeout of its own, so the whole request has one."""
    monkeypatch.setattr(server, "_REQUEST_SECONDS", 0.5)
    started_at = time.monotonic()
    with socket.create_connection(address, timeout=10) as link, contextlib.suppress(ConnectionError):
        while time.monotonic() - started_at < 5:
            link.sendall(b"x")
            time.sleep(0.05)

    assert time.monotonic() - started_at < 5


def test_an_idle_connection_is_closed(address, monkeypatch):
    monkeypatch.setattr(server, "_IDLE_SECONDS", 0.2)

    assert b"" == raw(address, b"")


def wait_for(is_so):
    """Return once something holds."""
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def all_places_taken(listening):
    """Yield as many clients as there are places, each served once and silent since."""
    wait_for(lambda: not listening._silent)  # what tests before left has been hung up on
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(MAX_CONNECTIONS):
            client = http.client.HTTPConnection(*listening.address, timeout=10)
            clients.append(stack.enter_context(contextlib.closing(client)))
            assert 200 == ask(client, "GET", "/livez")[0].status
            wait_for(lambda: len(listening._silent) == len(clients))
        yield clients


def test_a_seventeenth_connection_gets_the_place_of_the_one_silent_for_longest(address, listening):
    with all_places_taken(listening) as clients:
        assert 200 == ask(clients[0], "GET", "/livez")[0].status
        wait_for(lambda: len(listening._silent) == MAX_CONNECTIONS)
        received = raw(address, b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n")

        assert received.startswith(b"HTTP/1.1 200 ")
        assert b"" == clients[1].sock.recv(1)
        assert 200 == ask(clients[0], "GET", "/livez")[0].status


def test_a_seventeenth_connection_is_told_so_while_all_are_at_work_and_room_comes_back(address, listening):
    def is_served():
        with contextlib.suppress(OSError):
            return raw(address, b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200")
        return False

    with all_places_taken(listening) as clients:
        for client in clients:
            client.sock.sendall(b"GET /")
        wait_for(lambda: not listening._silent)
        with socket.create_connection(address, timeout=10) as one_more:
            assert one_more.recv(65536).startswith(b"HTTP/1.1 503 ")
    wait_for(is_served)


def test_without_a_thread_to_be_had_a_connection_is_turned_away_and_the_next_is_served(address, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with socket.create_connection(address, timeout=10) as link:
            assert b"can't start new thread" in link.recv(65536)

    assert b" 200 OK" in raw(address, b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n")


def test_the_agents_own_cost_is_exposed(connection):
    response, body = ask(connection, "GET", "/metrics")

    assert response.getheader("Content-Type").startswith("text/plain; version=0.0.4")
    assert b'loco_agent_check_runs_total{check="audio"} 0\n' in body


def test_a_wedged_agent_is_not_live(connection, rounds, monkeypatch):
    assert 200 == ask(connection, "GET", "/livez")[0].status
    monkeypatch.setattr(rounds, "seconds_since_round", lambda: 31.0)

    assert 503 == ask(connection, "GET", "/livez")[0].status


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (["report"], 0, '"overall_status": "unknown"'),
        (["test"], 1, "overall: unknown"),
        ([], 2, "cannot listen on"),  # the agent of this test has the address
        (["serve"], 2, "cannot listen on"),
        (["restart"], 1, "health-monitor.sh [serve|report|test]"),
    ],
)
def test_health_monitor_does_as_its_users_type(address, words, exit_code, said):
    variables = {
        "LOCO_AGENT_LISTEN": f"{address[0]}:{address[1]}",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    script = Path(routes.__file__).with_name("health-monitor.sh")
    done = subprocess.run(
        [script, *words], env=os.environ | variables, capture_output=True, text=True, timeout=30, check=False
    )

    assert exit_code == done.returncode, done.stderr
    assert said in done.stdout + done.stderr


def test_a_report_of_this_machine_is_never_taken_for_that_of_a_silent_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    words = ["-m", "agent", "report", "--listen", f"127.0.0.1:{port}", "--qmp-socket", "", "--bridge", "", "--tap", ""]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=True)

    assert (
        f"no agent answers at 127.0.0.1:{port} (Connection refused); this machine is measured for 7 s instead\n"
        == done.stderr
    )
