"""How often something may be asked for: by one caller, by all known ones, and by strangers. Pure but for its lock.

A caller is known once something was done for it, so tokens that are made up crowd nobody out but other new ones.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from secrets import token_bytes

# chosen: callers of a day, 100 bytes each; who is forgotten is a stranger once more.
MAX_CALLERS = 256


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, then one more each `seconds`."""

    burst: int
    seconds: float


# chosen: who heals ten instances in a row waits for none of them; the ledger has 3 an hour and instance in any case.
OF_ONE = Rate(10, 6)

# chosen: three such people. Each takes up to three requests to the API server.
OF_ALL = Rate(30, 2)

# chosen: as one caller; they share it, so a flood of made-up tokens costs the API server no more than that.
OF_STRANGERS = Rate(10, 6)


class Bucket:
    """A rate's state: the instant at which it is as good as new (the generic cell rate algorithm)."""

    __slots__ = ("_full_at", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._full_at = float("-inf")

    def wait(self, now: float) -> float:
        """Return the seconds until one may be taken, 0 when it may be now."""
        return max(0.0, self._full_at - now - (self.rate.burst - 1) * self.rate.seconds)

    def take(self, now: float) -> None:
        """Take one."""
        self._full_at = max(self._full_at, now) + self.rate.seconds


class Asking:
    """Count what callers ask for; safe for threads. Every `now` is of one monotonic clock, in seconds.

    Tokens are kept as keyed hashes, so that memory holds none.
    """

    def __init__(self) -> None:
        self._key = token_bytes(16)
        self._lock = threading.Lock()
        self._all = Bucket(OF_ALL)
        self._strangers = Bucket(OF_STRANGERS)
        self._known: OrderedDict[bytes, Bucket] = OrderedDict()

    def take(self, authorization: str, *, now: float) -> float:
        """Count one request, whatever comes of it; return 0, or the seconds to wait where it is one too many."""
        with self._lock:
            own = self._known.get(self._of(authorization))
            buckets = (self._strangers,) if own is None else (own, self._all)
            wait = max(bucket.wait(now) for bucket in buckets)
            if wait <= 0:
                for bucket in buckets:
                    bucket.take(now)
            return wait

    def know(self, authorization: str, *, now: float) -> None:
        """Remember a caller for whom something was just done; the request that made it known counts as its first."""
        caller = self._of(authorization)
        with self._lock:
            if caller not in self._known:
                self._known[caller] = Bucket(OF_ONE)
                self._known[caller].take(now)
            self._known.move_to_end(caller)
            if len(self._known) > MAX_CALLERS:
                self._known.popitem(last=False)

    def _of(self, authorization: str) -> bytes:
        return blake2b(authorization.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key).digest()
