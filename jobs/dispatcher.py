"""The rounds of `dispatch`: people are notified, what is due is launched, then what happened becomes Events."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from functools import reduce

from jobs.courier import Courier
from jobs.notifier import Notifier
from jobs.recovery.launcher import Launcher
from jobs.window import Beat, Observed

# chosen: like discover's; it costs a write, and only a run by hand and its record need it.
TICK = Beat("tick", 30, is_tick=True)

# architecture section 3
LOOK = Beat("look", 1)

# chosen: after a slower launch no Event is sent in the same round, which is to end before the 20 s after which it is
# taken to hang.
_LAUNCH_SECONDS = 1.0


class Dispatcher:
    """Launch recoveries and tell of what happens; neither ever fails a run."""

    name = "dispatch"
    beats = (TICK, LOOK)

    def __init__(self, launcher: Launcher, courier: Courier, notifier: Notifier) -> None:
        self._launcher = launcher
        self._courier = courier
        self._notifier = notifier
        self._connection: sqlite3.Connection

    def warm(self, connection: sqlite3.Connection) -> None:
        """Nothing is to be got ready: a client is loaded once there is something to ask."""

    def resume(self, connection: sqlite3.Connection) -> None:
        """Look anew at everything."""
        self._connection = connection
        self._launcher.resume()
        self._courier.resume()
        self._notifier.resume()

    def observe(self, beat: Beat, tick: int) -> Observed:  # noqa: ARG002 - the protocol's signature
        """Launch what is due and send what waits; return what is to be written of both."""
        notified = self._notifier.observe(self._connection, is_tick=beat.is_tick)  # waits for nobody
        began_at = time.monotonic()
        launched = self._launcher.observe(self._connection)
        if time.monotonic() - began_at > _LAUNCH_SECONDS:
            return _joined(launched, notified)
        told = self._courier.observe(self._connection, is_tick=beat.is_tick)
        return reduce(_joined, (told, notified), launched)


def _joined(first: Observed, second: Observed) -> Observed:
    """Return two observations as one."""
    problems = [problem for problem in (first.problem, second.problem) if problem]
    return Observed(_both(first.write, second.write), first.instances + second.instances, "; ".join(problems) or None)


_Write = Callable[[sqlite3.Connection], None]


def _both(first: _Write | None, second: _Write | None) -> _Write | None:
    """Return what writes both, None where there is nothing."""
    writes = [write for write in (first, second) if write]

    def write(connection: sqlite3.Connection) -> None:
        for one in writes:
            one(connection)

    return write if writes else None
