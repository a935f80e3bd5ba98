"""One request to a receiver: whatever comes back is a clause, in bounded time and room."""

import base64
import time

import pytest
from receivers import a_receiver
from servers import closed_port, full_backlog, hang, http, read_request, reset, serving

from jobs.notify import posting
from jobs.notify.address import parse_receiver
from jobs.notify.posting import Line

TOKEN = "s3cr3t"


def post(port, *, host="127.0.0.1", **line):
    """Return the reply to one POST."""
    return Line(parse_receiver("LOCO_WEBHOOK_URL", f"http://user:s3cr3t@{host}:{port}/s3cr3t"), **line).post(b"", {})


def drip(connection):
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def flood(connection):
    read_request(connection)
    connection.sendall(http(b"x" * (posting.MAX_ANSWER_BYTES + 1)))


def garbage(connection):
    read_request(connection)
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


def moved(connection):
    read_request(connection)
    connection.sendall(http(b"", status="307 Temporary Redirect", head="Location: http://127.0.0.1:1/\r\n"))


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (drip, "an answer that didn't end in its time"),
        (flood, "an answer of more than 65536 bytes"),
        (garbage, "the connection broke off before an answer"),
        (moved, "it answered 307, and redirects aren't followed"),
        (hang, "no answer within 0.5 s"),
        (reset, "connection reset by peer"),
    ],
)
def test_a_receiver_that_misbehaves_is_one_clause(script, problem, monkeypatch):
    monkeypatch.setattr(posting, "TOTAL_SECONDS", 0.5)
    with serving(script) as server:
        reply = post(server.port)

    assert problem == reply.problem
    assert reply.seconds < 5


def test_nobody_there_and_nobody_who_answers_the_knock_are_told_apart():
    with full_backlog() as port:
        knocked = post(port)

    assert ("connection refused", "no connection within 2 s") == (post(closed_port()).problem, knocked.problem)


def test_a_name_that_leads_to_a_metadata_service_is_not_dialled(monkeypatch):
    found = [(2, 1, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)

    assert "169.254.169.254: a link-local, multicast or unspecified address is never dialled" == (
        post(80, host="innocent.example").problem
    )


@pytest.mark.parametrize("name", ["a..b", f"{'a' * 64}.example"])
def test_a_name_that_is_none_is_told_as_such(name):
    assert f"{name} is no name that can be looked up" == post(1, host=name).problem


def test_certificates_that_have_gone_are_a_problem_of_this_one_try(tmp_path):
    line = Line(parse_receiver("LOCO_WEBHOOK_URL", f"https://127.0.0.1:{closed_port()}/"), ca=tmp_path / "none")

    assert line.post(b"", {}).problem
    assert line.get("/") is None


def test_a_password_may_have_any_character():
    with a_receiver() as receiver:
        url = receiver.url.replace("//", "//user:%E2%82%AC@")
        reply = Line(parse_receiver("LOCO_WEBHOOK_URL", url)).post(b"", {})

    assert reply.problem is None
    assert "Basic " + base64.b64encode("user:€".encode()).decode() == receiver.got[0].headers["authorization"]


def test_user_and_password_or_a_token_go_where_they_belong_and_nowhere_else():
    with a_receiver() as receiver:
        post(receiver.port)
        Line(parse_receiver("LOCO_ALERTMANAGER_URL", receiver.url), token=TOKEN).post(b"", {})
        basic, bearer = receiver.got

    assert ("Basic dXNlcjpzM2NyM3Q=", f"127.0.0.1:{receiver.port}") == (
        basic.headers["authorization"],
        basic.headers["host"],
    )
    assert "Bearer s3cr3t" == bearer.headers["authorization"]


def test_what_is_secret_is_not_in_what_python_shows_of_it():
    line = Line(parse_receiver("LOCO_WEBHOOK_URL", "http://user:s3cr3t@host/s3cr3t"), token=TOKEN)

    assert TOKEN not in repr(line)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("100000", 300.0), ("Wed, 21 Oct", 0.0), ("-1", 0.0)])
def test_a_rest_is_bounded(header, seconds):
    with a_receiver() as receiver:
        receiver.answer, receiver.headers = 503, {"Retry-After": header}

        assert seconds == post(receiver.port).retry_seconds
