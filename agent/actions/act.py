"""What an act is: why it can't be done here, what it does within a deadline, and whether that held."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.actions.scene import Scene
from agent.report import HealthReport

# chosen: what acts wait for happens within milliseconds, and a look costs microseconds.
_PAUSE_SECONDS = 0.05


class CannotAct(Exception):
    """The act can't be done here, and nothing was done; the text is one clause."""


class ActFailed(Exception):
    """The act was begun and something refused; the text is one clause."""


@dataclass(slots=True)
class Work:
    """One act under way: when it must be over (monotonic), and what was done so far."""

    deadline: float
    steps: list[str] = field(default_factory=list)

    @property
    def seconds_left(self) -> float:
        """Return the time until the deadline, 0 after it."""
        return max(self.deadline - time.monotonic(), 0.0)

    def note(self, step: str) -> None:
        """Say what was just done."""
        self.steps.append(step)

    def until(self, is_so: Callable[[], bool]) -> bool:
        """Ask at least once and until the answer is yes, and tell whether it was before the deadline."""
        while not is_so():
            if not self.seconds_left:
                return False
            time.sleep(_PAUSE_SECONDS)
        return True


@dataclass(frozen=True, slots=True)
class Done:
    """How an act ended. held: measured afterwards; None where this agent can't measure it."""

    held: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Act:
    """One row of the table.

    why_not: one clause about why it can't be done here, by settings and the last round's report; it costs nothing.
    perform: does it. Raises: CannotAct, ActFailed.
    """

    name: str
    why_not: Callable[[Scene, HealthReport], str | None]
    perform: Callable[[Scene, Work], Done]
