from http import HTTPStatus

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.exchange import Answer, BadRequest, parse_head, problem, write


def test_a_request_is_read_without_its_query():
    request = parse_head(b'GET /health?x=1 HTTP/1.1\r\nHost: a\r\nIf-None-Match:  "1" ')

    assert ("GET", "/health", 0, True) == (request.method, request.path, request.body_bytes, request.is_kept_alive)
    assert '"1"' == request.headers["if-none-match"]


@pytest.mark.parametrize(
    ("head", "is_kept_alive"),
    [
        (b"GET / HTTP/1.1\r\nConnection: close", False),
        (b"GET / HTTP/1.0", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive", True),
    ],
)
def test_the_peer_decides_about_the_connection(head, is_kept_alive):
    assert is_kept_alive == parse_head(head).is_kept_alive


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", 400),
        (b"GET /", 400),
        (b"GET / SPDY/3", 400),
        (b"GET / HTTP/1.1\r\n: x", 400),
        (b"GET / HTTP/1.1\r\nname without colon", 400),
        (b"GET / HTTP/1.1\r\n folded: x", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: \xb2", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked", 411),
    ],
)
def test_what_is_no_request_is_refused_by_name(head, status):
    with pytest.raises(BadRequest) as refusal:
        parse_head(head)

    assert status == refusal.value.status


@given(st.binary(max_size=200))
def test_no_head_raises_anything_else(head):
    try:
        request = parse_head(b"GET / HTTP/1.1\r\n" + head)
    except BadRequest:
        return

    assert request.body_bytes >= 0


def test_an_answer_carries_its_length_and_head_has_no_body():
    answer = Answer(HTTPStatus.OK, b"body", "text/plain", (("ETag", '"1"'),))
    to_get = write(answer, is_head=False, is_kept_alive=True)
    to_head = write(answer, is_head=True, is_kept_alive=True)

    assert b"Content-Length: 4\r\n" in to_get
    assert to_head + b"body" == to_get
    assert to_get.startswith(b"HTTP/1.1 200 OK\r\n")


def test_an_answer_without_content_names_no_length():
    """RFC 9110 section 8.6 forbids it with 204 and needs none with 304."""
    sent = write(Answer(HTTPStatus.NO_CONTENT), is_head=False, is_kept_alive=False)

    assert b"Content-Length" not in sent
    assert b"Connection: close\r\n" in sent


def test_a_problem_says_what_is_wrong():
    answer = problem(HTTPStatus.NOT_FOUND, "no such thing")

    assert "application/problem+json" == answer.content_type
    assert {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "no such thing"} == (
        msgspec.json.decode(answer.body)
    )
