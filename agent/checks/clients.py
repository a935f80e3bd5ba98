"""What do the browsers see? They post it themselves; nothing they send is trusted further than shown."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from agent.report import Client, Clients

MAX_BODY_BYTES = 4096
# chosen: WebRTC getStats senders post every 1-5 s, so a silence of 30 s is a closed tab.
_EXPIRY_SECONDS = 30.0
_MAX_CLIENTS = 50
_MAX_POSTS_PER_SECOND = 2
_MAX_TEXT_CHARS = 200


class StatsInvalid(ValueError):
    """The body isn't one client's statistics; the text names the field where there is one."""


class TooManyStats(Exception):
    """One client posts too often, or there are too many clients."""


class _Posted(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser may send: the seed's field names, unknown ones ignored."""

    id: str
    packetLoss: float | None = None  # noqa: N815 - the seed's name
    jitter: float | None = None
    latency: float | None = None
    framerate: float | None = None
    resolution: str | None = None
    codec: str | None = None
    error: str | None = None


@dataclass(slots=True)
class _Known:
    """One browser: its last post and when it posted within the last second."""

    client: Client
    posted_at: float
    recent: deque[float] = field(default_factory=deque)


class ClientsCheck:
    """The last post of each browser, bounded in size, rate and number."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}

    def post(self, body: bytes) -> None:
        """Keep one browser's statistics.

        Raises: StatsInvalid, TooManyStats.
        """
        client = parse_stats(body)
        now = self._clock()
        with self._lock:
            self._expire(now)
            known = self._known.get(client.id)
            if known is None and len(self._known) >= _MAX_CLIENTS:
                raise TooManyStats(f"{_MAX_CLIENTS} clients post already; one that stops is forgotten in 30 s")
            recent = known.recent if known else deque()
            while recent and recent[0] <= now - 1:
                recent.popleft()
            if len(recent) >= _MAX_POSTS_PER_SECOND:
                raise TooManyStats(f"more than {_MAX_POSTS_PER_SECOND} posts a second from one client")
            recent.append(now)
            self._known[client.id] = _Known(client, now, recent)

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

    def _expire(self, now: float) -> None:
        limit = now - _EXPIRY_SECONDS
        self._known = {name: known for name, known in self._known.items() if known.posted_at > limit}


def parse_stats(body: bytes) -> Client:
    """Return what one browser posted, its texts printable and at most 200 characters long.

    Raises: StatsInvalid.
    """
    try:
        posted = msgspec.json.decode(body, type=_Posted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StatsInvalid(str(error)) from error
    numbers = {"packetLoss": posted.packetLoss, "jitter": posted.jitter, "latency": posted.latency}
    for name, value in (numbers | {"framerate": posted.framerate}).items():
        limit = 1.0 if name == "packetLoss" else math.inf
        if value is not None and not 0 <= value <= limit:
            raise StatsInvalid(f"{name} is {value:g}, expected a number from 0 to {limit:g}")
    client_id = _clean(posted.id)
    if not client_id:
        raise StatsInvalid("id is empty")
    return Client(
        id=client_id,
        age_seconds=0.0,
        **numbers,
        framerate=posted.framerate,
        resolution=_clean(posted.resolution),
        codec=_clean(posted.codec),
        error=_clean(posted.error),
    )


def _clean(text: str | None) -> str | None:
    if text is None:
        return None
    return "".join(character for character in text[:_MAX_TEXT_CHARS] if character.isprintable())
