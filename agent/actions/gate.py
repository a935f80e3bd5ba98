"""The last door before an act: challenges that are good once and for half a minute, and a quota of the agent's own.

A challenge carries its own proof, so handing one out stores nothing and a flood of askers evicts nobody's.
Only one that came back rightly signed is remembered, until it would have expired anyway.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agent.signing import is_same, mac

# architecture section 6.
CHALLENGE_SECONDS = 30

# The promise of the whole: the ledger keeps it, and this is what is left of it when a ledger was lost.
MAX_ACTS, QUOTA_SECONDS = 3, 3600.0

_SECRET_BYTES, _NONCE_BYTES = 32, 8


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class NotAccepted(Exception):
    """A challenge isn't ours, too old, or used; the text is one clause, `reason` its code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Busy(Exception):
    """Another act is under way."""


class QuotaSpent(Exception):
    """No act may begin now. wait_seconds: until one may."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(f"{MAX_ACTS} acts were begun within the last {QUOTA_SECONDS / 60:.0f} minutes")
        self.wait_seconds = wait_seconds


class Challenges:
    """Challenges of one agent process: its boot id, the time of issue, a nonce, and their MAC.

    clock: seconds since boot, a suspended machine's too, as the ledger counts them. boot_id: the report's.
    """

    def __init__(self, boot_id: str, clock: Callable[[], float] = _boottime) -> None:
        self._boot_id, self._clock = boot_id, clock
        self._secret = os.urandom(_SECRET_BYTES)
        self._lock = threading.Lock()
        self._used: dict[str, float] = {}  # by challenge: when it expires

    def issue(self) -> str:
        """Return a new challenge."""
        claim = f"{self._boot_id}.{round(self._clock() * 1000)}.{os.urandom(_NONCE_BYTES).hex()}"
        return f"{claim}.{self._mac(claim)}"

    def check(self, challenge: str) -> None:
        """Pass a challenge that is ours, young enough and unused. Raises: NotAccepted."""
        claim, _, proof = challenge.rpartition(".")
        if not is_same(self._mac(claim), proof):
            raise NotAccepted("challenge-unknown", "the challenge isn't of this agent process")
        if self._clock() >= _expiry(claim):
            raise NotAccepted("challenge-expired", f"the challenge is older than {CHALLENGE_SECONDS} s")
        if challenge in self._used:
            raise NotAccepted("challenge-used", "the challenge was used before")

    def use(self, challenge: str) -> None:
        """Use up a challenge that `check` has passed. Raises: NotAccepted when another request was first."""
        now = self._clock()
        with self._lock:
            self._used = {known: expiry for known, expiry in self._used.items() if expiry > now}
            if challenge in self._used:
                raise NotAccepted("challenge-used", "the challenge was used before")
            self._used[challenge] = _expiry(challenge.rpartition(".")[0])

    def _mac(self, claim: str) -> str:
        return mac(self._secret, claim.encode()).hex()[:32]


class Turnstile:
    """One act at a time, and at most three begun within any hour of the agent's own clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._begun: deque[float] = deque(maxlen=MAX_ACTS)

    @contextmanager
    def enter(self) -> Iterator[Callable[[], None]]:
        """Hold the place for one act, and yield what gives its share of the quota back if nothing was done.

        Raises: Busy, QuotaSpent.
        """
        if not self._lock.acquire(blocking=False):
            raise Busy("another act is under way")
        try:
            now = self._clock()
            if len(self._begun) == MAX_ACTS and now - self._begun[0] < QUOTA_SECONDS:
                raise QuotaSpent(self._begun[0] + QUOTA_SECONDS - now)
            before = deque(self._begun, maxlen=MAX_ACTS)
            self._begun.append(now)

            def give_back() -> None:
                self._begun = before

            yield give_back
        finally:
            self._lock.release()


def _expiry(claim: str) -> float:
    """Return when a challenge of ours expires, on its clock."""
    return int(claim.split(".")[1]) / 1000 + CHALLENGE_SECONDS
