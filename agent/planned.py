"""Restarts that an act of ours is about to cause, so that no check takes one for a death."""

from __future__ import annotations

import time

# A container's back-off between restarts grows to 5 minutes (Kubernetes docs, Pod Lifecycle); what is later is another.
_EXPECTED_SECONDS = 330.0


class Planned:
    """By subject (`qemu`, `audio`): until when one restart is expected."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def expect(self, *subjects: str) -> None:
        """Expect one restart of each."""
        until = time.monotonic() + _EXPECTED_SECONDS
        self._until.update(dict.fromkeys(subjects, until))

    def take(self, subject: str) -> bool:
        """Tell whether a restart that has just been seen was expected; the next one isn't."""
        return time.monotonic() < self._until.pop(subject, 0.0)
