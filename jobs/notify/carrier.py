"""One destination's carrier: a task at a time in a thread of its own, and ever longer pauses while nothing arrives.

A receiver that is slow or away so holds up neither the others nor the run.
"""

from __future__ import annotations

import logging
import threading
import time
from math import inf

from jobs.notify.sending import Destination, Report, Task

logger = logging.getLogger(__name__)

# chosen: so long may it take until a receiver that has come back hears what waits.
MAX_PAUSE_SECONDS = 60.0

# chosen: SENDING_SECONDS, the 12 s of a last request, and a slow resolver; whatever takes longer is left behind.
_HANGS_AFTER_SECONDS = 60.0

_HANGS = f"it neither took nor refused a message within {_HANGS_AFTER_SECONDS:g} s"
_BUG = "sending it failed here, the log says how"


class Carrier:
    """The way of tasks to a destination and of reports back. problem: why nothing arrives, None while it does."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.problem: str | None = None
        self._task: Task | None = None
        self._began_at = 0.0
        self._reports: list[Report] = []
        self._failures = 0
        self._silent_until = -inf
        self._repeat_at = -inf

    @property
    def is_free(self) -> bool:
        """Tell whether it may be given a task now."""
        return self._task is None and time.monotonic() >= self._silent_until

    @property
    def is_to_repeat(self) -> bool:
        """Tell whether its destination is to hear again of what is open."""
        return self.destination.repeat_seconds is not None and time.monotonic() >= self._repeat_at

    def start(self, task: Task) -> None:
        """Send a task, beside whatever else goes on; with an empty one, only note that nothing is to be repeated."""
        if self.is_to_repeat and self.destination.repeat_seconds is not None:
            self._repeat_at = time.monotonic() + self.destination.repeat_seconds
        if not (task.letters or task.standing):
            return
        self._task, self._began_at, self._reports = task, time.monotonic(), []
        name = f"notify {self.destination.name}"
        threading.Thread(target=self._send, args=(task, self._reports), name=name, daemon=True).start()

    def take(self) -> Report | None:
        """Return what became of the task, None while it is on its way or there is none."""
        if self._task is None:
            return None
        if self._reports:
            report = self._reports[0]
        elif time.monotonic() - self._began_at > _HANGS_AFTER_SECONDS:
            report = Report(problem=_HANGS)
        else:
            return None
        self._task = None
        self._note(report)
        return report

    def _send(self, task: Task, reports: list[Report]) -> None:
        try:
            reports.append(self.destination.send(task))
        except Exception:  # a bug in telling must not keep anybody from acting
            logger.exception("notifications can't be sent", extra={"destination": self.destination.name})
            reports.append(Report(problem=_BUG))

    def _note(self, report: Report) -> None:
        """Pause after a failure, the longer the more have come in a row; have told again what may be forgotten."""
        if report.problem is None or any(one.problem is None for one in report.sent):
            self._failures = 0
        if report.problem is None:
            self.problem = None
            return
        pause_seconds = max(min(2.0**self._failures, MAX_PAUSE_SECONDS), report.retry_seconds)
        self._failures += 1
        self._silent_until = time.monotonic() + pause_seconds
        self._repeat_at = -inf
        problem = f"{self.destination.name} {self.destination.place}: {report.problem}"
        if problem != self.problem:
            logger.warning("notifications don't arrive", extra={"problem": problem})
        self.problem = problem
