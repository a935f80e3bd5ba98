"""Restarts that an act of ours is about to cause, so that no check takes one for a death."""

from __future__ import annotations

import time
from collections.abc import Callable

# A container's back-off between restarts grows to 5 minutes (Kubernetes docs, Pod Lifecycle); what is later is another.
_EXPECTED_SECONDS = 330.0

# chosen: what restarts with QEMU is there before QEMU or within two rounds of it.
_TOGETHER_SECONDS = 10.0


class Planned:
    """By subject (`qemu`, `audio`): until when one restart is expected. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def expect(self, *subjects: str) -> None:
        """Expect one restart of each."""
        self._until = dict.fromkeys(subjects, self._clock() + _EXPECTED_SECONDS)

    def take(self, subject: str) -> bool:
        """Tell whether a restart that has just been seen was expected; the next one isn't.

        With it what was expected beside it must come soon, or it is another: a sound server may also stay.
        """
        now = self._clock()
        is_expected = now < self._until.get(subject, 0.0)
        if is_expected:
            soon = now + _TOGETHER_SECONDS
            self._until = {other: min(until, soon) for other, until in self._until.items() if other != subject}
        return is_expected
