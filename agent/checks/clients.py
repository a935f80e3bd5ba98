"""What do the browsers see? They post it themselves, unsigned: anybody can, so nothing else ever rests on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from agent.checks.rate import Rate, Rates
from agent.report import Client, Clients

MAX_BODY_BYTES = 4096
# chosen: client-stats.js posts every 5 s, so a silence of 30 s is a closed tab.
_EXPIRY_SECONDS = 30.0
# chosen: a handful play, a class watches; half of the places are the most that one address can take from the others.
_MAX_CLIENTS = 50
_MAX_CLIENTS_OF_SENDER = 25
# chosen: 50 browsers that post every 5 s are 10 posts a second.
_MAX_POSTS_PER_SECOND = 50
_MAX_POSTS_PER_SECOND_OF_SENDER = 20
_MAX_POSTS_PER_SECOND_OF_CLIENT = 2
_MAX_TEXT_CHARS = 200

# Seconds as the policy's limits may be; no display has more frames.
_HIGHEST: Mapping[str, float] = {"packetLoss": 1.0, "jitter": 60.0, "latency": 60.0, "framerate": 1000.0, "frozen": 1.0}


class StatsInvalid(ValueError):
    """The body isn't one client's statistics; the text names the field where there is one."""


class TooManyStats(Exception):
    """One client or address posts too often, all of them do, or there are too many clients."""


class _Posted(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser may send: the seed's field names, unknown ones ignored."""

    id: str
    packetLoss: float | None = None  # noqa: N815 - the seed's name
    jitter: float | None = None
    latency: float | None = None
    framerate: float | None = None
    frozen: float | None = None
    resolution: str | None = None
    codec: str | None = None
    error: str | None = None


@dataclass(slots=True)
class _Known:
    """One browser: its last post, when that came and from which address, and how often it may."""

    client: Client
    posted_at: float
    sender: str
    rate: Rate


class ClientsCheck:
    """The last post of each browser, bounded in size, rate and number."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._senders = Rates(_MAX_POSTS_PER_SECOND_OF_SENDER)
        self._all = Rate(_MAX_POSTS_PER_SECOND)

    def post(self, body: bytes, *, sender: str) -> None:
        """Keep one browser's statistics. sender: its address, as far as it is known.

        Raises: StatsInvalid, TooManyStats.
        """
        now = self._clock()
        with self._lock:
            # Before anything is read, so that a flood costs no more than its refusal.
            if not self._senders.takes(sender, now):
                raise TooManyStats(_often("one address", _MAX_POSTS_PER_SECOND_OF_SENDER))
            if not self._all.takes(now):
                raise TooManyStats(_often("all together", _MAX_POSTS_PER_SECOND))
        client = parse_stats(body)
        with self._lock:
            self._keep(client, sender, now)

    def measure(self) -> Clients:
        """Return the block; no browser is an honest 0."""
        now = self._clock()
        with self._lock:
            self._expire(now)
            clients = [
                msgspec.structs.replace(known.client, age_seconds=round(now - known.posted_at, 1))
                for known in self._known.values()
            ]
        return Clients(count=len(clients), clients=clients)

    def _keep(self, client: Client, sender: str, now: float) -> None:
        """Put the post in its place. Raises: TooManyStats."""
        self._expire(now)
        known = self._known.get(client.id)
        if known is None:
            self._find_place(sender)
            known = self._known[client.id] = _Known(client, now, sender, Rate(_MAX_POSTS_PER_SECOND_OF_CLIENT))
        if not known.rate.takes(now):
            raise TooManyStats(_often("one client", _MAX_POSTS_PER_SECOND_OF_CLIENT))
        known.client, known.posted_at, known.sender = client, now, sender

    def _find_place(self, sender: str) -> None:
        """Raise TooManyStats where there is no room for a new client."""
        of_sender = sum(known.sender == sender for known in self._known.values())
        for count, most, whose in (
            (of_sender, _MAX_CLIENTS_OF_SENDER, " of this address"),
            (len(self._known), _MAX_CLIENTS, ""),
        ):
            if count >= most:
                raise TooManyStats(
                    f"{count} clients{whose} post already, allowed are {most}; this post isn't kept,"
                    f" and a client that stops is forgotten after {_EXPIRY_SECONDS:g} s"
                )

    def _expire(self, now: float) -> None:
        limit = now - _EXPIRY_SECONDS
        self._known = {name: known for name, known in self._known.items() if known.posted_at > limit}


def _often(who: str, most: int) -> str:
    return f"{who} posted more often than {most} times within a second; this post isn't kept"


def parse_stats(body: bytes) -> Client:
    """Return what one browser posted, its texts printable and at most 200 characters long.

    Raises: StatsInvalid.
    """
    try:
        posted = msgspec.json.decode(body, type=_Posted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StatsInvalid(f"{error}; this post isn't kept") from error
    numbers = {name: getattr(posted, name) for name in _HIGHEST}
    for name, value in numbers.items():
        if value is not None and not 0 <= value <= _HIGHEST[name]:
            raise StatsInvalid(f"{name} is {value:g}, allowed is 0 to {_HIGHEST[name]:g}; this post isn't kept")
    client_id = _clean(posted.id)
    if not client_id:
        raise StatsInvalid(
            "id has no printable character, allowed is a text of the browser's own; this post isn't kept"
        )
    return Client(
        id=client_id,
        age_seconds=0.0,
        **numbers,
        resolution=_clean(posted.resolution),
        codec=_clean(posted.codec),
        error=_clean(posted.error),
    )


def _clean(text: str | None) -> str | None:
    if text is None:
        return None
    return "".join(character for character in text[:_MAX_TEXT_CHARS] if character.isprintable())
