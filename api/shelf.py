"""What was read of spans of time, kept while it can't change any more."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from api.spans import Span
from jobs.health.rollup import MINUTE_MS

Value = TypeVar("Value")
Ask = Callable[[Callable[[sqlite3.Connection], Any]], Any]

# chosen: a report is waited for 10 s and a commit for 5 s, so a minute later all that a span saw stands in the store.
GRACE_MS = MINUTE_MS


class Shelf(Generic[Value]):
    """One value a span; one thread at a time.

    A clock that is set back adds to spans that were over. So each visit reads one kept span anew, in turn: whatever
    went by unseen is put right after as many visits as there are spans.
    """

    def __init__(self) -> None:
        # Each with the moment as of which it was read; ordered by when that was done.
        self._kept: dict[Span, tuple[Value, int]] = {}
        self._connection: sqlite3.Connection | None = None

    def take(
        self, spans: Sequence[Span], ask: Ask, read: Callable[[sqlite3.Connection, Span], Value], *, now_ms: int
    ) -> list[Value]:
        """Return the value of each span, each read in a transaction of its own; forget all other spans.

        Raises: what `ask` raises; what was read before that is kept.
        """
        self._drop(frozenset(spans), now_ms)
        # Another file empties the shelf on the way; then it begins anew.
        while missing := next((span for span in spans if span not in self._kept), None):
            self._put(missing, *ask(partial(_read, read, missing)), now_ms=now_ms)
        return [self._kept[span][0] for span in spans]

    def _drop(self, wanted: frozenset[Span], now_ms: int) -> None:
        """Forget what is wanted no more or may have changed since it was read, and the one that was read longest ago.

        What was read before its span was over says nothing about the rest of it, however long that is over by now.
        """
        over = {
            span: (value, read_at_ms)
            for span, (value, read_at_ms) in self._kept.items()
            if span in wanted and span.to_ms + GRACE_MS <= min(read_at_ms, now_ms)
        }
        over.pop(next(iter(over), Span(0, 0)), None)
        self._kept = over

    def _put(self, span: Span, connection: sqlite3.Connection, value: Value, *, now_ms: int) -> None:
        """Keep a value. A connection that isn't the one before reads another file."""
        if connection is not self._connection:
            self._kept.clear()
            self._connection = connection
        self._kept[span] = value, now_ms


def _read(
    read: Callable[[sqlite3.Connection, Span], Value], span: Span, connection: sqlite3.Connection
) -> tuple[sqlite3.Connection, Value]:
    """Return the value, and what it was read from."""
    return connection, read(connection, span)
