"""The window: one life of a scheduled run, and the ticks inside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Protocol

import click

from jobs.baton import Baton, Silence
from jobs.errors import JobError, StoreError, Superseded
from jobs.record import Outcome, Record
from jobs.schedule import WindowSettings, next_due_ms
from jobs.store.asked import answer, answer_of, ask_tick, last_asked
from jobs.store.connection import open_store, reading, transaction
from jobs.store.lease import advance, renew
from jobs.watch import Watch

# chosen: an agent renews its cheap checks every 3 s, so an earlier tick would read the same values again.
_ASKED_SPACING_SECONDS = 3

# chosen: how soon a tick that somebody asked for begins, at the cost of two reads a second of one row.
_IDLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Beat:
    """One rhythm inside a window. is_tick: the lease numbers it; any other beat only renews the lease."""

    name: str
    seconds: float
    is_tick: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """What one round found. write: called inside the fenced transaction, must not begin or end one; None for nothing.

    instances: how many were looked at. problem: one sentence when something is wrong though the run goes on.
    """

    write: Callable[[sqlite3.Connection], None] | None
    instances: int
    problem: str | None = None


class Rounds(Protocol):
    """What a command brings into its window."""

    @property
    def name(self) -> str:
        """The command's name, which is its lease's."""

    @property
    def beats(self) -> tuple[Beat, ...]:
        """The rhythms; exactly one is the tick."""

    def warm(self, connection: sqlite3.Connection) -> None:
        """Get ready before the run announces itself: imports done, connections open."""

    def resume(self, connection: sqlite3.Connection) -> None:
        """Load what is known as of the last committed tick; called each time this run gets the baton."""

    def observe(self, beat: Beat, tick: int) -> Observed:
        """Look, and compute what to write, outside of any transaction. tick: the number that a tick will have."""


def run_window(rounds: Rounds, settings: WindowSettings) -> int:
    """Live one window: get the baton, tick, hand it over; or, by hand, see to one tick.

    Returns the exit code 0. Raises: StoreError when the store can't be used now; whatever a round raises.
    """
    with Watch(settings) as watch, closing(open_store(settings.store)) as connection:
        baton = Baton(connection, rounds.name, settings, watch)
        record = Record(connection, rounds.name, baton.own_name, settings.clock)
        run = _Run(rounds, settings, connection, baton, record)
        outcome, problem = Outcome.FAILED, None
        try:
            outcome = run.live() if settings.window_seconds else run.see_to_one_tick()
        except Superseded as superseded:
            outcome, problem = Outcome.SUPERSEDED, str(superseded)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            raise
        finally:
            with suppress(StoreError):
                baton.leave()
            record.end(outcome, problem)
    return 0


class _Run:
    """The beats of one run: which is due, its round, and the baton's part in it."""

    def __init__(
        self,
        rounds: Rounds,
        settings: WindowSettings,
        connection: sqlite3.Connection,
        baton: Baton,
        record: Record,
    ) -> None:
        self._rounds = rounds
        self._settings = settings
        self._clock = settings.clock
        self._connection = connection
        self._baton = baton
        self._watch = baton.watch
        self._record = record
        self._ticked_at = -inf
        self._due_ms: dict[Beat, int] = {}
        (self._tick_beat,) = (beat for beat in rounds.beats if beat.is_tick)

    def live(self) -> Outcome:
        """Wait for the turn; then tick until the successor does, somebody asks to leave, or life is over."""
        self._rounds.warm(self._connection)
        if not self._baton.wait_turn():
            return Outcome.DONE if self._watch.leaving.is_set() else Outcome.SUPERSEDED
        self._begin_turn()
        while not self._is_over():
            beat = self._await_beat()
            try:
                if beat:
                    self._round(beat)
            except Superseded:
                if not self._goes_on():
                    raise
            else:
                if beat is self._tick_beat and self._baton.held.successor and not self._goes_on():
                    break
        return Outcome.DONE

    def see_to_one_tick(self) -> Outcome:
        """Ask the holder for a tick and wait for it; make it when nobody holds the baton. Prints one line about it.

        Raises: JobError when the holder lives and doesn't tick.
        """
        with transaction(self._connection):
            asked_id = ask_tick(self._connection, self._rounds.name, self._baton.own_name, self._clock.wall_ms())
        silence = Silence()
        while not self._watch.leaving.is_set():
            lease = self._baton.look_again()
            with reading(self._connection):
                line = answer_of(self._connection, asked_id)
            if line:
                click.echo(f"{self._rounds.name}: {line}")
                break
            if self._baton.is_free(lease, silence) and self._baton.take(lease):
                self._tick_by_hand()
            elif self._record.seconds > self._settings.ask_seconds:
                raise JobError(
                    f"{self._rounds.name}: {lease.holder} holds the lease and renews it, but made no tick in the "
                    f"{self._record.seconds:.0f} s since it was asked; the request stays"
                )
        return Outcome.DONE

    def _tick_by_hand(self) -> None:
        """Make one tick; when another run takes the baton meanwhile, its tick is the answer."""
        self._rounds.warm(self._connection)
        self._begin_turn()
        with suppress(Superseded):
            self._round(self._tick_beat)

    def _is_over(self) -> bool:
        return self._watch.leaving.is_set() or self._record.seconds > self._settings.life_seconds

    def _begin_turn(self) -> None:
        """Load what the last holder left, and find out when each beat is due."""
        self._rounds.resume(self._connection)
        held = self._baton.held
        for beat in self._rounds.beats:
            is_known = beat.is_tick and held.boot_id == self._clock.boot_id
            self._schedule(beat, held.slot_ms if is_known else None)

    def _schedule(self, beat: Beat, slot_ms: int | None) -> None:
        """Say when a beat is due after its slot at `slot_ms`; at once when that isn't known."""
        now_ms, wall_ms = self._clock.boottime_ms(), self._clock.wall_ms()
        self._due_ms[beat] = next_due_ms(slot_ms, beat.seconds, now_ms=now_ms, wall_ms=wall_ms)

    def _await_beat(self) -> Beat | None:
        """Return the beat that is due, the tick before others; None after a short wait when none is."""
        now_ms = self._clock.boottime_ms()
        due = [beat for beat in self._rounds.beats if self._due_ms[beat] <= now_ms]
        if self._tick_beat in due or self._is_asked():
            return self._tick_beat
        if due:
            return due[0]
        self._watch.leaving.wait(min(_IDLE_SECONDS, (min(self._due_ms.values()) - now_ms) / 1000))
        return None

    def _is_asked(self) -> bool:
        """Tell whether a tick beside the grid is asked for, and the last one isn't too fresh."""
        if self._clock.monotonic() - self._ticked_at < _ASKED_SPACING_SECONDS:
            return False
        return self._last_asked() > 0

    def _last_asked(self) -> int:
        with reading(self._connection):
            return last_asked(self._connection, self._rounds.name)

    def _round(self, beat: Beat) -> None:
        """Observe, and write behind the fence; a tick that was asked for before it is due leaves the grid as it is.

        Raises: Superseded when another run has the baton; nothing was written then.
        """
        slot_ms = self._slot_ms(beat)
        with self._watch.in_round():
            if beat.is_tick:
                self._tick(beat, slot_ms)
            else:
                observed = self._rounds.observe(beat, self._baton.held.tick + 1)
                if observed.write:
                    with self._baton.fenced(renew):
                        observed.write(self._connection)
        if slot_ms is not None:
            self._schedule(beat, slot_ms)

    def _slot_ms(self, beat: Beat) -> int | None:
        """Return the moment on the beat's grid that this round stands for, None when it isn't due yet."""
        now_ms, due_ms = self._clock.boottime_ms(), self._due_ms[beat]
        if now_ms < due_ms:
            return None
        return due_ms if now_ms - due_ms < beat.seconds * 1000 else now_ms

    def _tick(self, beat: Beat, slot_ms: int | None) -> None:
        asked_id, self._ticked_at = self._last_asked(), self._clock.monotonic()
        observed = self._rounds.observe(beat, self._baton.held.tick + 1)
        duration_seconds = self._clock.monotonic() - self._ticked_at
        with self._baton.fenced(partial(advance, slot_ms=slot_ms, boot_id=self._clock.boot_id)) as held:
            if observed.write:
                observed.write(self._connection)
            answer(self._connection, self._rounds.name, asked_id, held.tick)
            self._record.note_tick(
                instances=observed.instances, duration_seconds=duration_seconds, problem=observed.problem
            )

    def _goes_on(self) -> bool:
        """Stand by for the successor; returns whether this run ticks on, its history loaded again if it took back."""
        token = self._baton.held.token
        if not self._baton.stand_by(self._due_ms[self._tick_beat]):
            return False
        if self._baton.held.token != token:
            self._begin_turn()
        return True
