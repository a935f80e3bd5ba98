"""Waiting for what was just started."""

from __future__ import annotations

import time
from collections.abc import Callable

from agent.decoy.errors import DecoyError

_PAUSE_SECONDS = 0.1


def until(is_so: Callable[[], bool], *, seconds: float) -> bool:
    """Ask until the answer is yes, and tell whether it was within so many seconds."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def until_it_works(act: Callable[[], object], *, seconds: float) -> None:
    """Try until it works. Raises: the last DecoyError when it doesn't within so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            act()
        except DecoyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return
