"""`python -m jobs local`: the scheduler of one machine, starting the commands that CronJobs start in a cluster."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path

import click

from agent.commandline import log_level_option, start_logging
from jobs.children import Child, adopt_orphans, reap_orphans, start_child, stop_children, stop_orphans
from jobs.commands.keys import MASTER
from jobs.commands.options import instances_option, store_option
from jobs.schedule import DEFAULT_WINDOW_SECONDS

logger = logging.getLogger(__name__)

_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

# chosen: how late a window may start or a death may be noticed; looking costs 100 us.
_STEP_SECONDS = 0.2

# A dead run is started again within a second; one that dies at once, ever later, so that it can't eat a core.
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_AT_ONCE_SECONDS = 5.0

_STOP_SECONDS = 10

# chosen: a recovery writes down within this what it came to, unless it waits for an agent's act.
_STOP_RECOVERY_SECONDS = 4
_COMPACT_SECONDS = 3600

# chosen: upkeep starts when the first ticks are done, for a machine that is on for less than an hour at a time.
_COMPACT_DELAY_SECONDS = 60


@click.command(short_help="Run all commands on this machine, without a cluster.")
@instances_option
@store_option
@click.option(
    "--window",
    type=click.IntRange(min=1),
    envvar="LOCO_WINDOW",
    show_envvar=True,
    default=DEFAULT_WINDOW_SECONDS,
    help="Seconds between two starts of a command.",
)
@log_level_option
def local(*, instances: Path, store: Path, window: int, log_level: str) -> int:
    """Start discover, collect and dispatch once a window and compact once an hour, as CronJobs do in a cluster.

    They are child processes, so any may be killed: it is started again within a second. SIGTERM ends them all.
    Beside the store it keeps the instances' keys, in folder keys, and reads the fleet's switches, in folder control.

    Example: python -m jobs local --instances instances.json --store loco.db --window 60
    """
    start_logging(log_level)
    shared = ("--store", str(store), "--log-level", log_level)
    windowed = (*shared, "--window", str(window))
    now = time.monotonic()
    schedules = [
        Schedule(("discover", "--instances", str(instances), *windowed), window, now, is_windowed=True),
        Schedule(("collect", *windowed), window, now, is_windowed=True),
        Schedule(("dispatch", "--recovery-namespace", "", *windowed), window, now, is_windowed=True),
        Schedule(("compact", *shared), _COMPACT_SECONDS, now + _COMPACT_DELAY_SECONDS, is_windowed=False),
    ]
    if keys := _own_keys(store.absolute().parent):
        arguments = ("keys", "--local", str(keys), "--instances", str(instances), "--log-level", log_level)
        schedules.append(Schedule(arguments, window, now, is_windowed=False))
    _run(schedules)
    return 0


def _own_keys(folder: Path) -> Path | None:
    """Have all runs find keys beside the store; return where keys are to be made, None for the user's."""
    if "LOCO_CONTROL" not in os.environ:
        with suppress(OSError):  # who sets a switch makes it; that none is there forbids nothing
            (folder / "control").mkdir(exist_ok=True)
    if "LOCO_MASTER_KEY_FILE" in os.environ:
        return None
    os.environ["LOCO_MASTER_KEY_FILE"] = str(folder / "keys" / MASTER)
    return folder / "keys"


def _run(schedules: Sequence[Schedule]) -> None:
    """Keep the schedules until SIGTERM or SIGINT, then end what runs, recoveries last."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    adopt_orphans()
    while not signal.sigpending() & _SIGNALS:
        for schedule in schedules:
            schedule.step(time.monotonic())
        reap_orphans(_children(schedules))
        time.sleep(_STEP_SECONDS)
    stop_children(_children(schedules), _STOP_SECONDS)
    stop_orphans(_STOP_RECOVERY_SECONDS)
    logger.info("local stopped")


def _children(schedules: Iterable[Schedule]) -> list[Child]:
    return [child for schedule in schedules for child in schedule.children]


class Schedule:
    """The runs of one command.

    is_windowed: a run lives until the next has taken over, so one that ends before is started again; a command that
    isn't ends by itself, and is started again only when it failed.
    """

    def __init__(
        self, arguments: tuple[str, ...], period_seconds: float, first_at: float, *, is_windowed: bool
    ) -> None:
        self.children: list[Child] = []
        self._arguments = arguments
        self._period_seconds = period_seconds
        self._is_windowed = is_windowed
        self._window_at = first_at
        self._again_at = inf
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._newest: Child | None = None

    def step(self, now: float) -> None:
        """Start a run where one is due, at a window's start or after a death. now: on the monotonic clock."""
        self._look_at_newest(now)
        self.children = [child for child in self.children if child.exit_code is None]
        if now >= self._window_at:
            missed = (now - self._window_at) // self._period_seconds
            self._window_at += (missed + 1) * self._period_seconds
        elif now < self._again_at:
            return
        self._again_at = inf
        self._start(now)

    def _start(self, now: float) -> None:
        try:
            self._newest = start_child(self._arguments)
        except OSError as error:
            self._try_again(now, f"can't be started: {error}")
        else:
            self.children.append(self._newest)

    def _look_at_newest(self, now: float) -> None:
        """Arrange for another run when the newest is dead or stopped, though its window isn't over."""
        if self._newest is None or self._newest.is_working:
            return
        newest, self._newest = self._newest, None
        if newest.exit_code == 0 and not self._is_windowed:
            return
        if now - newest.started_at >= _AT_ONCE_SECONDS:
            self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._try_again(now, "was stopped" if newest.exit_code is None else f"ended with {newest.exit_code}")

    def _try_again(self, now: float, cause: str) -> None:
        """Start the command again after a pause that grows while its runs die at once."""
        self._again_at = now + self._pause_seconds
        extra = {"command": self._arguments[0], "cause": cause, "pause_seconds": self._pause_seconds}
        logger.warning("run is started again", extra=extra)
        self._pause_seconds = min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS)
