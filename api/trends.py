"""What pages tell of each instance's past: the last hour by minutes, the last day by verdicts, uptimes.

Time is cut into spans. What a span that is over held is read once and kept; those that may still change are read anew
whenever the fleet moved: 1,000 instances have 720,000 hours a month, and a tick adds to 1,000 minutes.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from math import floor

from api.fleet import Fleet
from api.instants import rfc3339
from api.shelf import Ask, Shelf
from api.spans import BEATS, DAY_MS, HALF_HOUR_MS, PERIODS, Span, begin_of, half_hour_spans, minute_spans, older_spans
from jobs.errors import JobError
from jobs.health.model import InstanceKey, Verdict
from jobs.health.rollup import Rollup, Shares, shares
from jobs.health.rules import BADNESS
from jobs.store import trends as store
from jobs.store.trends import Measured, Ticks

# architecture section 3: a report each 15 s.
TICK_MS = 15_000

# chosen: a page without its past is better than one that keeps a reader, and a thread, waiting for longer.
FIRST_WAIT_SECONDS = 1.0

_Table = Mapping[InstanceKey, Ticks]
_UNMEASURED = Measured(None, None)


@dataclass(frozen=True, slots=True)
class Beat:
    """One span of the heartbeat bar. verdict: the worst that was met, None where nothing was observed.

    codes: reasons that were met, sorted. healthy_share: of the ticks that should have been, 0-1; None where nothing
    was observed.
    """

    start_at_ms: int
    seconds: int
    verdict: Verdict | None
    codes: tuple[str, ...]
    healthy_share: float | None


@dataclass(frozen=True, slots=True)
class Trend:
    """One instance's past.

    frame_rates: per second; levels: peaks, 0-1; each of one minute of the last 60, oldest first, None unmeasured.
    beats: of the last 48 half hours, the one that isn't over included, oldest first.
    uptimes: by the names of PERIODS, of the ticks that should have been since then or since the instance was found.
    found_at_ms: by the periods that reach back further than the instance, when it was found.
    """

    frame_rates: tuple[float | None, ...]
    levels: tuple[float | None, ...]
    beats: tuple[Beat, ...]
    uptimes: Mapping[str, Shares]
    found_at_ms: Mapping[str, int]

    def uptime(self, period: str) -> float | None:
        """Return the share of healthy ticks, 0-1, None where nothing was observed."""
        found = self.uptimes[period]
        return None if found.not_observed == 1 else found.healthy

    @property
    def periods(self) -> list[str]:
        """Return the periods that say something: each that has passed, and the first that hasn't, as the rest would."""
        passed = [period for period in PERIODS if period not in self.found_at_ms]
        return list(PERIODS)[: len(passed) + 1]


@dataclass(frozen=True, slots=True)
class Told:
    """Each instance's trend. is_final: the same fleet is told nothing else later."""

    by_key: Mapping[InstanceKey, Trend]
    is_final: bool


@dataclass(frozen=True, slots=True)
class _HalfHour:
    """What one half hour saw of each instance."""

    ticks: Mapping[InstanceKey, Ticks]
    beats: Mapping[InstanceKey, Beat]
    unseen: Beat


class Trends:
    """The fleet's trends, kept from request to request; safe for threads.

    Memory: 60 minutes, 49 half hours and 33 days of each instance that they saw, about 40 KiB an instance.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minutes: Shelf[Mapping[InstanceKey, Measured]] = Shelf()
        self._half_hours: Shelf[_HalfHour] = Shelf()
        self._days: Shelf[Mapping[InstanceKey, Ticks]] = Shelf()
        self._fleet: Fleet | None = None
        self._told: Mapping[InstanceKey, Trend] = {}

    def of(self, ask: Ask, fleet: Fleet) -> Told:
        """Return each instance's trend as of `fleet`; the last ones known while the store can't be read.

        Final are those of `fleet`, and the last ones known where the fleet itself says that there are no others.

        Cost: the first time 2 s for 1,000 instances with a month of hours, then 0.2 s whenever the fleet moved. While
        another thread reads, the ones before are told at once, and none at all after a second of the first time.
        """
        if not self._lock.acquire(timeout=0 if self._told else FIRST_WAIT_SECONDS):
            return Told(self._told, is_final=False)
        try:
            if fleet is not self._fleet and fleet.snapshot and not fleet.problem:
                self._told = self._read(ask, fleet, fleet.snapshot.discovered)
                self._fleet = fleet
            return Told(self._told, is_final=True)
        except JobError:
            return Told(self._told, is_final=False)  # the page that asks says itself that the store can't be read
        finally:
            self._lock.release()

    def _read(self, ask: Ask, fleet: Fleet, discovered: Mapping[InstanceKey, int]) -> Mapping[InstanceKey, Trend]:
        """Return each instance's trend."""
        now_ms = moment_of(fleet)
        minutes = self._minutes.take(minute_spans(now_ms), ask, _measured, now_ms=now_ms)
        half_spans, day_spans = half_hour_spans(now_ms), older_spans(now_ms)
        read = partial(_half_hour, discovered=discovered, now_ms=now_ms)
        halves = self._half_hours.take(half_spans, ask, read, now_ms=now_ms)
        days = self._days.take(day_spans, ask, _ticks, now_ms=now_ms)
        tables = zip([*half_spans, *day_spans], [*(half.ticks for half in halves), *days], strict=True)
        parts = _by_period(tables, now_ms)
        return {
            key: _trend(
                key,
                minutes,
                halves[-BEATS:],
                _uptimes(key, parts, since_ms=since_ms, now_ms=now_ms),
                {period: since_ms for period in PERIODS if begin_of(period, now_ms) < since_ms},
            )
            for key, since_ms in discovered.items()
        }


def moment_of(fleet: Fleet) -> int:
    """Return the moment as of which the past is told: the newest observation's, the clock's while there are none.

    So a page changes only with the news, and the hours in which nobody watched are seen to grow all the same.
    """
    observed_at_ms = fleet.observed_at_ms
    return fleet.from_ms if fleet.is_silent or observed_at_ms is None else observed_at_ms


def beat(span: Span, ticks: Ticks, codes: tuple[str, ...], *, since_ms: int, now_ms: int) -> Beat:
    """Return one beat. since_ms: when the instance was found, before which no tick should have been."""
    met = [verdict for verdict, count in zip(Verdict, ticks, strict=True) if count]
    worst = max(met, key=BADNESS.__getitem__, default=None)
    share = _shares(ticks, max(span.from_ms, since_ms), min(span.to_ms, now_ms)).healthy if met else None
    return Beat(span.from_ms, (span.to_ms - span.from_ms) // 1000, worst, codes, share)


def since(at_ms: int, *, now_ms: int) -> str:
    """Return `since 20:07 UTC`, or `since 2026-11-24` for what is a day ago or more."""
    at = rfc3339(at_ms)
    return f"since {at[11:16]} UTC" if now_ms - at_ms < DAY_MS else f"since {at[:10]}"


def percent(share: float) -> str:
    """Return `99.98 %`; rounded down, so that nothing but the whole reads as 100 %."""
    return f"{floor(share * 10_000 + 1e-6) / 100:g} %"


def _measured(connection: sqlite3.Connection, span: Span) -> Mapping[InstanceKey, Measured]:
    return store.measured(connection, span.from_ms)


def _ticks(connection: sqlite3.Connection, span: Span) -> Mapping[InstanceKey, Ticks]:
    return store.ticks(connection, *span)


def _half_hour(
    connection: sqlite3.Connection, span: Span, *, discovered: Mapping[InstanceKey, int], now_ms: int
) -> _HalfHour:
    """Return what one half hour saw."""
    seen = store.seen(connection, *span)
    beats = {
        key: beat(span, one.ticks, one.codes, since_ms=discovered.get(key, 0), now_ms=now_ms)
        for key, one in seen.items()
    }
    unseen = Beat(span.from_ms, HALF_HOUR_MS // 1000, None, (), None)
    return _HalfHour({key: one.ticks for key, one in seen.items()}, beats, unseen)


def _trend(
    key: InstanceKey,
    minutes: Iterable[Mapping[InstanceKey, Measured]],
    halves: Iterable[_HalfHour],
    uptimes: Mapping[str, Shares],
    found_at_ms: Mapping[str, int],
) -> Trend:
    frame_rates, levels = zip(*(minute.get(key, _UNMEASURED) for minute in minutes), strict=True)
    beats = tuple(half.beats.get(key, half.unseen) for half in halves)
    return Trend(frame_rates, levels, beats, uptimes, found_at_ms)


def _by_period(tables: Iterable[tuple[Span, _Table]], now_ms: int) -> Mapping[str, list[_Table]]:
    """Return for each period, the shortest first, what it has beyond the one before."""
    parts: dict[str, list[_Table]] = {period: [] for period in PERIODS}
    for span, table in tables:
        parts[next(period for period in PERIODS if span.from_ms >= begin_of(period, now_ms))].append(table)
    return parts


def _uptimes(
    key: InstanceKey, parts: Mapping[str, list[_Table]], *, since_ms: int, now_ms: int
) -> Mapping[str, Shares]:
    """Return the shares of each period."""
    found = {}
    ticks = Ticks()
    for period, tables in parts.items():
        ticks = _sum((ticks, *(table[key] for table in tables if key in table)))
        found[period] = _shares(ticks, max(begin_of(period, now_ms), since_ms), now_ms)
    return found


def _sum(parts: Iterable[Ticks]) -> Ticks:
    return Ticks(*map(sum, zip(*parts, strict=True)))


def _shares(ticks: Ticks, from_ms: int, to_ms: int) -> Shares:
    """Return shares of the ticks that a span should have had.

    One may be missing without being missed: a late one falls into the next span.
    """
    return shares([Rollup(from_ms, *ticks)], expected_ticks=max(0, (to_ms - from_ms) // TICK_MS - 1))
