"""One HTTP/1.1 exchange as values: the head of a request parsed, an answer written; no I/O.

The standard library's http.server would do, but it sets no deadline for a whole request
and brings mail parsing and TLS along, a quarter of the memory that an agent may use.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from http import HTTPStatus

import msgspec

# chosen: a browser's request with its cookies is 2 KiB.
MAX_HEAD_BYTES = 8192

END_OF_HEAD = b"\r\n\r\n"


class BadRequest(Exception):
    """What came can't be answered; the connection can't go on after it."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request; `path` is without the query, header names are in lower case. peer: who is connected."""

    method: str
    path: str
    headers: dict[str, str]
    is_kept_alive: bool
    body_bytes: int
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back; `headers` are added to those that every answer carries."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def parse_head(head: bytes, *, peer: str = "") -> Request:
    """Return the request whose head, up to its empty line, is given. peer: the address that it came from.

    Raises: BadRequest. Source: RFC 9112, sections 3, 5 and 6.
    """
    line, *fields = head.decode("latin-1").split("\r\n")
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the first line is no HTTP/1 request")
    headers: dict[str, str] = {}
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(HTTPStatus.BAD_REQUEST, "a header has no name")
        if headers.setdefault(name.lower(), value.strip()) != value.strip() and name.lower() == "content-length":
            raise BadRequest(HTTPStatus.BAD_REQUEST, "two lengths contradict each other")
    if "transfer-encoding" in headers:
        raise BadRequest(HTTPStatus.LENGTH_REQUIRED, "a body needs a Content-Length, chunks aren't read")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal()):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "Content-Length is no number")
    connection = headers.get("connection", "").lower()
    return Request(
        method=words[0],
        path=words[1].partition("?")[0],
        headers=headers,
        is_kept_alive=connection != "close" and (words[2] != "HTTP/1.0" or connection == "keep-alive"),
        body_bytes=int(length[:12]),
        peer=peer,
    )


def problem(status: HTTPStatus, detail: str, *headers: tuple[str, str], reason: str = "") -> Answer:
    """Return an error as RFC 9457 writes it. reason: a code for programs, where one status has several causes."""
    fields = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    body = msgspec.json.encode(fields | ({"reason": reason} if reason else {}))
    return Answer(status, body, "application/problem+json", headers)


def write(answer: Answer, *, is_head: bool, is_kept_alive: bool) -> bytes:
    """Return the bytes of an answer; to HEAD all but the body."""
    lines = [
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
        f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime())}",
        f"Connection: {'keep-alive' if is_kept_alive else 'close'}",
        # What is here is for browsers too: the seed's agent answers any origin, and nothing here needs a secret.
        "Access-Control-Allow-Origin: *",
    ]
    if answer.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
        lines.append(f"Content-Length: {len(answer.body)}")
    if answer.content_type:
        lines.append(f"Content-Type: {answer.content_type}")
    lines += [f"{name}: {value}" for name, value in answer.headers]
    return "\r\n".join(lines).encode("latin-1") + END_OF_HEAD + (b"" if is_head else answer.body)
