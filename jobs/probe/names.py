"""Host names to addresses without ever waiting long: the system's resolver blocks, so it runs beside us."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.health.addresses import refusal_of_literal

# chosen: as long as libcurl keeps a name, so that report and VNC follow a moved name together.
KEEP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class _Known:
    """What the resolver said: addresses in its order that may be dialled; good_until: monotonic."""

    addresses: tuple[str, ...]
    good_until: float


class Names:
    """The names asked for so far. A slow resolver costs a daemon thread a name, and its first asker a moment."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._asked: set[str] = set()
        self._answered = threading.Condition()

    def look_up(self, hosts: Iterable[str], *, seconds: float) -> dict[str, tuple[str, ...]]:
        """Return the addresses of each host, none where the resolver has none or needs longer than `seconds`.

        An address that is due again is asked for in the background and used meanwhile.
        """
        wanted = set(hosts)
        with self._answered:
            for host in wanted:
                self._ask(host)
            self._answered.wait_for(lambda: all(host in self._known for host in wanted), seconds)
            return {host: self._known[host].addresses if host in self._known else () for host in wanted}

    def _ask(self, host: str) -> None:
        known = self._known.get(host)
        if host in self._asked or (known and time.monotonic() < known.good_until):
            return
        if _is_address(host):
            self._known[host] = _Known((host,), float("inf"))
            return
        self._asked.add(host)
        threading.Thread(target=self._resolve, args=(host,), daemon=True).start()

    def _resolve(self, host: str) -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            found = []
        addresses = tuple(str(sockaddr[0]) for *_, sockaddr in found if not refusal_of_literal(str(sockaddr[0])))
        with self._answered:
            self._known[host] = _Known(addresses, time.monotonic() + KEEP_SECONDS)
            self._asked.discard(host)
            self._answered.notify_all()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
