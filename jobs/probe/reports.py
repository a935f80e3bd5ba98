"""Fetching from agents over HTTP: many transfers in one thread, with connections kept from round to round.

A fetch never raises; whatever a stranger sends becomes an `Answer`. A round takes what is there within its time;
what is late goes on by itself and comes with a later round, so that one hung agent delays nobody.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import pycurl

from jobs.health.addresses import refusal_of_literal
from jobs.health.model import ProbeOutcome
from jobs.probe.answers import Answer, Request

# architecture section 4
CONNECT_SECONDS = 2
TOTAL_SECONDS = 10

# chosen: 256 bodies of 256 KiB bound the memory at 64 MiB, and 256 hung agents leave a tick to the others.
MAX_OPEN = 256

# chosen: idle connections kept for the next round; fewer where the process may not open so many files.
MAX_KEPT = 4096

# chosen: files that the rest of the process has open, the store's and the connectivity probes' among them.
_OTHER_FILES = 256

_OPTIONS: tuple[tuple[int, Any], ...] = (
    (pycurl.CONNECTTIMEOUT, CONNECT_SECONDS),
    (pycurl.TIMEOUT, TOTAL_SECONDS),
    (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
    (pycurl.FOLLOWLOCATION, 0),
    (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
    (pycurl.PROXY, ""),  # whatever the environment says: agents are near, and a proxy would answer for them
    (pycurl.NOSIGNAL, 1),
    (pycurl.USERAGENT, "loco-health"),
)

_CURL_OUTCOMES = {
    pycurl.E_COULDNT_RESOLVE_HOST: ProbeOutcome.UNRESOLVED,
    pycurl.E_URL_MALFORMAT: ProbeOutcome.UNRESOLVED,
    pycurl.E_COULDNT_CONNECT: ProbeOutcome.REFUSED,
    pycurl.E_OPERATION_TIMEDOUT: ProbeOutcome.TIMEOUT,
    pycurl.E_WRITE_ERROR: ProbeOutcome.TOO_LARGE,  # _Transfer._take() has had enough
    pycurl.E_UNSUPPORTED_PROTOCOL: ProbeOutcome.NOT_JSON,  # no HTTP status line
    pycurl.E_FTP_WEIRD_SERVER_REPLY: ProbeOutcome.NOT_JSON,  # libcurl's 8: an HTTP answer that breaks off in its head
    pycurl.E_BAD_CONTENT_ENCODING: ProbeOutcome.NOT_JSON,
}

_ERRNO_OUTCOMES = {errno.ECONNREFUSED: ProbeOutcome.REFUSED, errno.ECONNRESET: ProbeOutcome.DISCONNECTED}


class Fetcher:
    """Transfers under way and the connections kept for the next ones. clock: Unix milliseconds."""

    def __init__(self, *, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, _kept_connections())
        # CurlMulti.select() rests on select(2), which is blind to file numbers from 1024 on.
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._epoll = select.epoll()
        self._watched: set[int] = set()
        self._timer_at: float | None = None
        self._idle = [_Transfer() for _ in range(MAX_OPEN)]
        self._open: dict[pycurl.Curl, _Transfer] = {}
        self._waiting: deque[Request] = deque()
        self._asked: set[Request] = set()

    def ask(self, requests: Iterable[Request]) -> None:
        """Begin these transfers, in this order; one that is still under way isn't begun twice."""
        for request in requests:
            if request not in self._asked:
                self._asked.add(request)
                self._waiting.append(request)

    def gather(self, seconds: float) -> list[Answer]:
        """Return the answers that end within `seconds`, sooner when none is left under way."""
        answers: list[Answer] = []
        deadline = time.monotonic() + seconds
        while self._asked:
            self._begin_waiting()
            self._turn(deadline)
            self._take_ended(answers)
            if time.monotonic() >= deadline:
                break
        return answers

    def close(self) -> None:
        """Drop what is under way and close every connection."""
        for curl in self._open:
            self._multi.remove_handle(curl)
        for transfer in (*self._open.values(), *self._idle):
            transfer.close()
        self._multi.close()
        self._epoll.close()

    def _begin_waiting(self) -> None:
        while self._waiting and self._idle:
            transfer = self._idle.pop()
            transfer.begin(self._waiting.popleft())
            self._open[transfer.curl] = transfer
            self._multi.add_handle(transfer.curl)

    def _turn(self, deadline: float) -> None:
        """Wait for sockets and for curl's own timer, and let it act on what happened."""
        until = deadline if self._timer_at is None else min(deadline, self._timer_at)
        for file, events in self._epoll.poll(max(0.0, until - time.monotonic())):
            is_writable = bool(events & select.EPOLLOUT)
            is_readable = bool(events & ~select.EPOLLOUT)
            self._multi.socket_action(file, is_readable * pycurl.CSELECT_IN | is_writable * pycurl.CSELECT_OUT)
        if self._timer_at is not None and time.monotonic() >= self._timer_at:
            self._timer_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def _take_ended(self, answers: list[Answer]) -> None:
        more = True
        while more:
            more, succeeded, failed = self._multi.info_read()
            answers.extend(self._end(curl) for curl in succeeded)
            answers.extend(self._end(*failure) for failure in failed)

    def _end(self, curl: pycurl.Curl, code: int = 0, message: str = "") -> Answer:
        transfer = self._open.pop(curl)
        self._multi.remove_handle(curl)
        self._idle.append(transfer)
        self._asked.discard(transfer.request)
        return transfer.end(code, message, self._clock())

    def _watch(self, event: int, file: int, _multi: pycurl.CurlMulti, _data: object) -> None:
        if event == pycurl.POLL_REMOVE:
            self._watched.discard(file)
            self._epoll.unregister(file)
            return
        wanted = bool(event & pycurl.POLL_IN) * select.EPOLLIN | bool(event & pycurl.POLL_OUT) * select.EPOLLOUT
        if file in self._watched:
            self._epoll.modify(file, wanted)
        else:
            self._watched.add(file)
            self._epoll.register(file, wanted)

    def _set_timer(self, milliseconds: int) -> None:
        self._timer_at = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000


class _Transfer:
    """One reusable handle of libcurl, and what has come of its present answer."""

    __slots__ = ("_opened", "_pieces", "_refusal", "_size", "curl", "request")

    request: Request

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._refusal = ""
        self._opened: list[socket.socket] = []
        self.curl = pycurl.Curl()
        for option, value in _OPTIONS:
            self.curl.setopt(option, value)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take)
        self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)

    def begin(self, request: Request) -> None:
        self.request = request
        self._pieces.clear()
        self._size = 0
        self._refusal = ""
        self.curl.setopt(pycurl.URL, request.url)

    def close(self) -> None:
        """Close the handle and what it opened."""
        self._close_opened()
        self.curl.close()

    def end(self, code: int, message: str, at_ms: int) -> Answer:
        self._close_opened()
        seconds = self.curl.getinfo(pycurl.TOTAL_TIME)
        if code:
            outcome, detail = self._failure(code, message)
            return Answer(self.request, at_ms, seconds, outcome, detail)
        return Answer(
            self.request,
            at_ms,
            seconds,
            status=self.curl.getinfo(pycurl.RESPONSE_CODE),
            content_type=self.curl.getinfo(pycurl.CONTENT_TYPE) or "",
            redirect_url=self.curl.getinfo(pycurl.REDIRECT_URL) or "",
            body=b"".join(self._pieces),
        )

    def _open(self, _purpose: int, address: Any) -> socket.socket | int:  # noqa: ANN401 - pycurl's tuple
        """Open a socket to where a name has led, unless nothing there is ever an instance."""
        self._refusal = refusal_of_literal(address.addr[0])
        if self._refusal:
            return int(pycurl.SOCKET_BAD)
        opened = socket.socket(address.family, address.socktype, address.protocol)
        self._opened.append(opened)
        return opened

    def _close_opened(self) -> None:
        """Close our ends of the sockets: pycurl has handed libcurl a duplicate of each."""
        for opened in self._opened:
            opened.close()
        self._opened.clear()

    def _take(self, piece: bytes) -> int:
        """Keep a piece of the body; anything but its length makes libcurl abort, so no limit is passed by much."""
        self._size += len(piece)
        if self._size > self.request.max_bytes:
            return 0
        self._pieces.append(piece)
        return len(piece)

    def _failure(self, code: int, message: str) -> tuple[ProbeOutcome, str]:
        """Return what libcurl's code means here, and one clause about it."""
        if self._refusal:
            return ProbeOutcome.UNRESOLVED, self._refusal
        outcome = _CURL_OUTCOMES.get(code, ProbeOutcome.DISCONNECTED)
        if outcome is ProbeOutcome.TOO_LARGE:
            return outcome, f"more than {self.request.max_bytes} bytes"
        if outcome is ProbeOutcome.TIMEOUT:
            return self._timeout()
        if outcome is ProbeOutcome.REFUSED:
            return self._unconnected(message)
        return outcome, message

    def _unconnected(self, message: str) -> tuple[ProbeOutcome, str]:
        """Tell a refusal from the kernel's giving up, as a router or a neighbour that doesn't answer makes it do."""
        os_error = self.curl.getinfo(pycurl.OS_ERRNO)
        detail = os.strerror(os_error).lower() if os_error else message
        return _ERRNO_OUTCOMES.get(os_error, ProbeOutcome.TIMEOUT), detail

    def _timeout(self) -> tuple[ProbeOutcome, str]:
        """Tell how far the transfer came."""
        if not self.curl.getinfo(pycurl.NAMELOOKUP_TIME):
            return ProbeOutcome.UNRESOLVED, f"the name was not resolved within {CONNECT_SECONDS} s"
        if not self.curl.getinfo(pycurl.CONNECT_TIME):
            return ProbeOutcome.TIMEOUT, f"no connection within {CONNECT_SECONDS} s"
        return ProbeOutcome.TIMEOUT, f"no whole answer within {TOTAL_SECONDS} s, {self._size} bytes of body came"


def _kept_connections() -> int:
    """Return how many connections libcurl may hold, open and idle, within this process's limit of open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(MAX_OPEN, min(MAX_KEPT, files - _OTHER_FILES))
