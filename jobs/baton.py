"""One run's side of the lease: announce, wait for the turn, write behind the fence, stand by, take back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from jobs.holder import is_gone, own_name
from jobs.schedule import WindowSettings
from jobs.store.connection import reading, transaction
from jobs.store.lease import Lease, announce, read_lease, take, vacate
from jobs.watch import Watch

# chosen: a successor takes this soon after the holder's tick; reading one row costs 30 us.
_POLL_SECONDS = 0.25

# chosen: a successor that hasn't taken the baton after eight looks is late or dead; the holder's other beats go on.
_TAKE_SECONDS = 2


@dataclass(slots=True)
class Silence:
    """How long a lease has shown no sign of its holder, on the clock of the one who watches."""

    sign: tuple[int, int] | None = None
    since: float = 0.0

    def seconds(self, lease: Lease, now: float) -> float:
        """Return the seconds without a new token or renewal, as of this reading; 0 at the first."""
        if self.sign != (lease.token, lease.renewals):
            self.sign = (lease.token, lease.renewals)
            self.since = now
        return now - self.since


class Baton:
    """The right to tick, as one run sees it.

    held: the lease as of this run's last write; token 0 before its first turn. watch: renews it meanwhile.
    """

    def __init__(self, connection: sqlite3.Connection, name: str, settings: WindowSettings, watch: Watch) -> None:
        self.own_name = own_name()
        self.held = Lease(name, None, 0, 0, 0, None, None, None)
        self._connection = connection
        self._settings = settings
        self.watch = watch

    def wait_turn(self) -> bool:
        """Announce this run and take the baton: after the holder's next tick, or when there is no holder any more.

        Returns False when another run was announced after this one, or somebody asked this one to leave.
        """
        with transaction(self._connection):
            announced = lease = announce(self._connection, self.held.name, self.own_name)
        silence = Silence()
        while lease.successor == self.own_name and not self.watch.leaving.is_set():
            if (lease.tick != announced.tick or self.is_free(lease, silence)) and self.take(lease):
                return True
            lease = self.look_again()
        return False

    def stand_by(self, due_ms: int) -> bool:
        """Wait for the successor's first tick, which is due at `due_ms`; returns False once it is committed.

        Returns True when this run has to go on: the successor never took the baton, or this run took it back.
        """
        clock = self._settings.clock
        patience_ends_ms = max(due_ms, clock.boottime_ms()) + round(self._settings.take_back_seconds * 1000)
        silence, began_at = Silence(), clock.monotonic()
        while not self.watch.leaving.is_set():
            lease = self.look_again()
            if lease.token == self.held.token:
                if clock.monotonic() - began_at > _TAKE_SECONDS or clock.boottime_ms() >= due_ms:
                    return True
            elif lease.tick != self.held.tick:
                return False
            else:
                self.watch.holds(None)
                # A first round may take its 10 s; a successor that still renews is given them.
                is_silent = silence.seconds(lease, clock.monotonic()) > self._settings.renew_seconds
                is_late = clock.boottime_ms() > patience_ends_ms and is_silent
                if (is_late or _is_vacant(lease)) and self.take(lease):
                    return True
        return False

    def is_free(self, lease: Lease, silence: Silence) -> bool:
        """Tell whether nobody holds the lease, as far as can be known: vacant, its process gone, or silent."""
        silent_seconds = silence.seconds(lease, self._settings.clock.monotonic())
        return _is_vacant(lease) or silent_seconds >= self._settings.silence_seconds

    def take(self, seen: Lease) -> bool:
        """Take the baton from the lease as it was seen; returns False when it has moved since."""
        with transaction(self._connection):
            taken = take(self._connection, seen, self.own_name)
        if taken:
            self._keep(taken)
        return taken is not None

    @contextmanager
    def fenced(self, fence: Callable[[sqlite3.Connection, Lease], Lease]) -> Iterator[Lease]:
        """Hold one transaction for the block, begun by `fence`; the lease as it will be is handed in.

        Raises: Superseded when another run has the baton; nothing of the block is written then.
        """
        with transaction(self._connection):
            held = fence(self._connection, self.held)
            yield held
        self._keep(held)

    def leave(self) -> None:
        """Make the lease vacant, if this run holds it."""
        self.watch.holds(None)
        with transaction(self._connection):
            vacate(self._connection, self.held)

    def look_again(self) -> Lease:
        """Return the lease as it is a moment later."""
        self.watch.leaving.wait(_POLL_SECONDS)
        with reading(self._connection):
            return read_lease(self._connection, self.held.name)

    def _keep(self, held: Lease) -> None:
        self.held = held
        self.watch.holds(held)


def _is_vacant(lease: Lease) -> bool:
    """Tell whether the lease has no holder that could still live, or is held by nobody known."""
    return lease.holder is None or is_gone(lease.holder)
