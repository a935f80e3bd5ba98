"""`python -m jobs recover`: one attempt on one instance, then proof that it helped."""

from __future__ import annotations

import functools
import re
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import click

from agent.commandline import log_level_option, start_logging
from jobs.clock import Clock
from jobs.commands.options import recovery_options, store_option
from jobs.errors import ClusterError, ConfigError, StoreError
from jobs.health.model import Instance, InstanceKey
from jobs.health.recovery import Action, Attempt, AttemptOutcome
from jobs.holder import own_name
from jobs.planner import Recovery, user_wait_left_seconds
from jobs.recovery.assembly import Place, means_for
from jobs.recovery.means import Means, Pace, Patience
from jobs.recovery.recoverer import Recoverer, Result
from jobs.recovery.request import Asked, book_asked, instance_asked, nothing_done
from jobs.recovery.termination import line_of, tell
from jobs.store import ledger, reader
from jobs.store.connection import open_store, reading, transaction
from jobs.template import CRONJOB

# As jobs.template.attempt_job_name makes it.
_ATTEMPT_JOB = re.compile(rf"{CRONJOB}-([0-9a-f]{{6}})-.*-([0-9]{{1,18}})")

# As the Job's activeDeadlineSeconds, where there is no Job: whatever a run hangs in, it ends.
LONGEST_SECONDS = 300

_ENDS = (signal.SIGTERM, signal.SIGINT)

# chosen: at once by a person's measure.
_STEP_SECONDS = 0.2


def asked_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of a request, handed on as `asked`."""

    @click.option("--instance", envvar="LOCO_INSTANCE", show_envvar=True, default="", help="Id of the instance.")
    @click.option("--action", envvar="LOCO_ACTION", show_envvar=True, default="", help="The act; else the next rung.")
    @click.option(
        "--force/--no-force",
        "is_forced",
        envvar="LOCO_FORCE",
        show_envvar=True,
        default=False,
        help="Wait neither for the cool-down nor for people; budget and identity still count.",
    )
    @click.option("--requested-by", envvar="LOCO_REQUESTED_BY", show_envvar=True, default="", help="Who asks.")
    @click.option("--job-name", envvar="LOCO_JOB_NAME", show_envvar=True, default="", help="The Job of this run.")
    @functools.wraps(command)
    def with_asked(
        *, instance: str, action: str, is_forced: bool, requested_by: str, job_name: str, **options: object
    ) -> int:
        asked = Asked(
            instance=instance, action=_action(action), is_forced=is_forced, requested_by=requested_by, job=job_name
        )
        return command(asked=asked, **options)

    return with_asked


def place_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command what says where it runs, handed on as `place`."""

    @store_option
    @recovery_options
    @click.option(
        "--recovery-namespace",
        envvar="LOCO_RECOVERY_NAMESPACE",
        show_envvar=True,
        default="",
        help="Namespace of the recovery Jobs; without it this machine has no cluster.",
    )
    @click.option(
        "--master-key-file",
        type=click.Path(path_type=Path),
        envvar="LOCO_MASTER_KEY_FILE",
        show_envvar=True,
        help="File of the master key; without one no agent takes an act.",
    )
    @functools.wraps(command)
    def with_place(
        *, store: Path, recovery: Recovery, recovery_namespace: str, master_key_file: Path | None, **options: object
    ) -> int:
        place = Place(store=store, recovery=recovery, namespace=recovery_namespace, master=master_key_file)
        return command(place=place, **options)

    return with_place


@click.command(short_help="Recover one instance, once.")
@place_options
@asked_options
@click.option("--attempt", envvar="LOCO_ATTEMPT", show_envvar=True, default="", help="Number of a booked attempt.")
@click.option("--runner", envvar="LOCO_RUNNER", show_envvar=True, default="", help="uid of this run's pod.")
@log_level_option
def recover(*, place: Place, asked: Asked, attempt: str, runner: str, log_level: str) -> int:
    """Claim a booked attempt, or plan and book one; act; look until the instance is well or the deadline has passed.

    Exit code 0: healed, or nothing was to be done; 1: it didn't help, or nobody knows; 75: API server or store failed.

    Example: python -m jobs recover --store loco.db --instance instance-3 --dry-run
    """
    start_logging(log_level)
    signal.alarm(LONGEST_SECONDS)
    run = _Run(place, asked, runner or own_name())
    try:
        with closing(open_store(place.store)) as connection:
            public_id, result = run.booked(connection, attempt) if attempt else run.asked_for(connection)
    except (ClusterError, StoreError) as error:
        # Only what comes before the claim, or is the claim, gets here.
        public_id = asked.instance
        result = Result(AttemptOutcome.STOOD_DOWN, f"nothing was done: {error}", is_unusable=True)
    line = line_of(result, public_id)
    tell(line)
    click.echo(line)
    return result.exit_code


class _Run:
    """One run of the command."""

    def __init__(self, place: Place, asked: Asked, runner: str) -> None:
        self._place = place
        self._asked = asked
        self._runner = runner
        self._clock = Clock()
        self._is_leaving = False
        # The process ends by itself, with the outcome written down; kubelet waits 30 s for that.
        for number in _ENDS:
            signal.signal(number, self._leave)
        # A dispatcher without a cluster keeps them for itself, and what it starts begins as it is.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)

    def booked(self, connection: sqlite3.Connection, line: str) -> tuple[str, Result]:
        """Run an attempt that the dispatcher has booked."""
        match = _ATTEMPT_JOB.fullmatch(self._asked.job)
        if match is None or match[2] != line:
            raise ConfigError(
                f"attempt {line[:40]!r} and Job name {self._asked.job!r} don't belong together, "
                f"{CRONJOB}-STORE-INSTANCE-{line[:40]} is needed; nothing was done"
            )
        with reading(connection):
            attempt = ledger.find(connection, int(line))
            instances = {one.key: one for one in reader.inventory(connection)}
        if attempt is None:
            return self._asked.instance, Result(AttemptOutcome.SUPERSEDED, f"this store knows of no attempt {line}")
        known = instances.get(attempt.key)
        gone = Instance(attempt.key, attempt.key, attempt.key, health_url="", uid=attempt.uid)
        with means_for(self._place, connection, known or gone, clock=self._clock, is_known=known is not None) as means:
            return (known or gone).public_id, self._recover(connection, means, attempt, match[1])

    def asked_for(self, connection: sqlite3.Connection) -> tuple[str, Result]:
        """Run what a person asks for."""
        known = instance_asked(connection, self._asked)
        with means_for(self._place, connection, known, clock=self._clock) as means:
            # Before anything is booked, which costs budget: in a cluster the plan knows no switches.
            stop = means.ground.stop()
            if stop:
                return known.public_id, nothing_done(stop.hold, stop.detail)
            booked = book_asked(
                connection, self._place.recovery, known.key, self._asked, clock=self._clock, runner=self._runner
            )
            if isinstance(booked, Result):
                return known.public_id, booked
            return known.public_id, self._recover(connection, means, booked, None)

    def _recover(self, connection: sqlite3.Connection, means: Means, attempt: Attempt, store: str | None) -> Result:
        pace = Pace(clock=self._clock, sleep=self._sleep, rest=time.sleep, is_leaving=lambda: self._is_leaving)
        recoverer = Recoverer(connection, means, self._patience(connection), pace)
        is_dry_run = self._place.recovery.leave.is_dry_run
        return recoverer.run(attempt.id, self._runner, store=store, job=self._asked.job, is_dry_run=is_dry_run)

    def _patience(self, connection: sqlite3.Connection) -> Patience:
        def users_seconds(attempt: Attempt) -> float:
            with transaction(connection):
                now = self._clock.moment()
                return user_wait_left_seconds(connection, self._place.recovery, InstanceKey(attempt.key), now=now)

        verify_seconds = self._place.recovery.leave.policy.recovery.verify_seconds
        return Patience(users_seconds=users_seconds, verify_seconds=verify_seconds.__getitem__)

    def _leave(self, *_: object) -> None:
        self._is_leaving = True

    def _sleep(self, seconds: float) -> None:
        """Sleep, in short steps: a signal that comes right before a long sleep wouldn't shorten it."""
        until = time.monotonic() + seconds
        while not self._is_leaving and (left := until - time.monotonic()) > 0:
            time.sleep(min(_STEP_SECONDS, left))


def _action(name: str) -> Action | None:
    if not name:
        return None
    try:
        return Action(name)
    except ValueError as error:
        allowed = ", ".join(Action)
        raise ConfigError(f"action {name[:60]!r} is none; {allowed} are allowed; nothing was done") from error
