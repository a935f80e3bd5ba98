"""SIGKILL of a dispatcher at any statement, and before and after any call: one attempt, one Job, all the same."""

import itertools
import os
import shutil
import signal

import pytest
from launching import Dispatch, a_fleet, cluster_jobs, jobs_of, put_template
from object_server import an_object_server

from jobs.store import ledger
from jobs.store.connection import transaction
from jobs.template import ATTEMPT

ROUNDS = 4


class Mortal:
    """Counts statements and calls; kills its process at the chosen one. die_at: 0 for one that lives."""

    def __init__(self, die_at=0):
        self.count, self._die_at = 0, die_at

    def step(self, *_):
        """Count one moment at which the process may die."""
        self.count += 1
        if self.count == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, connect):
        """Return the way to a client whose calls are counted before they are made and after they were answered."""
        client = connect()
        call = client._call

        def counted(*arguments, **options):
            self.step()
            answer = call(*arguments, **options)
            self.step()
            return answer

        client._call = counted
        return lambda: client


def live(fleet, connect, mortal):
    """Make a dispatcher's first rounds, as long as it lives; return how many moments there were."""
    dispatch = Dispatch(fleet, cluster_jobs(mortal(connect)))
    dispatch.connection.set_trace_callback(mortal.step)
    dispatch.go(ROUNDS)
    dispatch.connection.set_trace_callback(None)
    return mortal.count


def die(fleet, connect, die_at):
    """Have that done by a process of its own; return how it ended."""
    pid = os.fork()
    if pid == 0:
        try:
            live(fleet, connect, Mortal(die_at))
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def claim(fleet, objects):
    """Have each Job's pod claim its attempt, as `recover` does."""
    with transaction(fleet.connection):
        for job in jobs_of(objects):
            now, name = fleet.time.clock.moment(), job["metadata"]["name"]
            number = int(job["metadata"]["annotations"][ATTEMPT])
            ledger.claim(fleet.connection, number, "pod-1", now=now, store=fleet.store(), job=name)


@pytest.mark.parametrize("is_claimed", [False, True], ids=["no pod yet", "a pod at once"])
def test_a_dispatcher_killed_at_any_moment_leaves_one_attempt_with_one_job(tmp_path, is_claimed):
    with a_fleet(tmp_path / "new.db", is_adopted=False) as fleet:
        fleet.tick()
    with an_object_server() as (objects, connect):
        count, outcomes = 0, set()
        for die_at in itertools.count():
            objects.kept.clear()
            put_template(objects)
            path = shutil.copy(tmp_path / "new.db", tmp_path / f"{die_at}.db")
            with a_fleet(path) as fleet:
                if die_at == 0:
                    count = live(fleet, connect, Mortal())
                else:
                    outcomes.add(die(fleet, connect, die_at))
                    if is_claimed:
                        claim(fleet, objects)
                    fleet.time.wait(ROUNDS)
                    Dispatch(fleet, cluster_jobs(connect)).go(ROUNDS)
                (attempt,) = fleet.attempts()
                (job,) = jobs_of(objects)
            path.unlink()

            assert job["metadata"]["name"] == attempt.job, f"killed at {die_at} of {count}"
            if die_at == count:
                break

    assert ({-signal.SIGKILL}, True) == (outcomes, count > 40)
