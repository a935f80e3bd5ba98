"""Answers that depend on the fleet alone: made once a fleet, whichever thread is asked first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from api.answer import Answer
from api.fleet import Fleet

# Path, query where the route takes one, and variant.
Key: TypeAlias = tuple[str, str, str]

# chosen: as many filters of the wall as people look through at once; its answers for 1,000 instances stay below 20 MiB.
MAX_QUERIES = 32


class _Place:
    """Where an answer is put; the lock is held while it is made."""

    __slots__ = ("answer", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.answer: Answer | None = None


class Kept:
    """Keep one fleet's answers; safe for threads."""

    def __init__(self) -> None:
        # Replaced whole, so that no thread adds to another fleet's.
        self._kept: tuple[Fleet | None, dict[Key, _Place]] = (None, {})

    def answer(self, fleet: Fleet, key: Key, make: Callable[[], Answer], is_final: Callable[[], bool]) -> Answer:
        """Return the answer that this fleet gave to the same before, or make it; what `make` raises isn't kept.

        is_final: whether what was just made holds for as long as the fleet; what doesn't is for those who wait for it.
        """
        known, places = self._kept
        if known is not fleet:
            places = {}
            self._kept = (fleet, places)
        place = places.get(key)
        if place is None:
            if key[1] and sum(bool(query) for _, query, _ in tuple(places)) >= MAX_QUERIES:
                return make()
            place = places.setdefault(key, _Place())
        if place.answer is not None:
            return place.answer
        with place.lock:
            if place.answer is None:  # no other thread made it while this one waited
                place.answer = _made(places, key, make, is_final)
            return place.answer


def _made(places: dict[Key, _Place], key: Key, make: Callable[[], Answer], is_final: Callable[[], bool]) -> Answer:
    """Return a new answer; leave no place behind where there is none to be kept."""
    is_kept = False
    try:
        answer = make()
        is_kept = is_final()
        return answer
    finally:
        if not is_kept:
            places.pop(key, None)
