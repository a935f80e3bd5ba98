"""What a destination is given to send, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from jobs.notify.letter import Letter

if TYPE_CHECKING:
    from jobs.notify.posting import Reply

# chosen: one sending begins no further request after this, so that what has arrived is soon written down.
SENDING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be sent now. letters: the oldest first. standing: of open incidents, for who may have forgotten."""

    letters: tuple[Letter, ...] = ()
    standing: tuple[Letter, ...] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one letter. problem: None where it has arrived. wait_seconds: it isn't done, and goes on then."""

    letter: Letter
    problem: str | None = None
    wait_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a task: letters that aren't named weren't tried.

    problem: why the destination can't be reached, None where it can. retry_seconds: for how long it wants its rest.
    """

    sent: Sequence[Sent] = ()
    problem: str | None = None
    retry_seconds: float = 0.0


class Destination(Protocol):
    """One receiver. repeat_seconds: how often it is told anew of what is open, None for a receiver that remembers."""

    @property
    def name(self) -> str:
        """Its name in the store."""

    @property
    def place(self) -> str:
        """Where it is, for people."""

    @property
    def repeat_seconds(self) -> float | None:
        """How often it is told anew of open incidents."""

    def send(self, task: Task) -> Report:
        """Send until all is, the time is up, or something fails; in a thread of its own, one task at a time."""

    def test(self) -> Reply:
        """Send one message that says that nothing is wrong."""
