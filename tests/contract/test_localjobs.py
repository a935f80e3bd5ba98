"""Recoveries as processes of this machine: they run `recover`, outlive who started them, are known by their names."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import psutil
import pytest
from api_server import wait_for
from stores import a_fleet, an_instance

from jobs.clock import Clock
from jobs.health.model import ProbeOutcome
from jobs.health.recovery import Action, AttemptOutcome, AttemptState, Limits, Order
from jobs.recovery.jobs import JobState
from jobs.recovery.launcher import Launcher
from jobs.recovery.processes import LocalJobs
from jobs.store import ledger
from jobs.store.connection import open_store, transaction

# Nothing listens there.
SICK = replace(an_instance(), health_url="http://127.0.0.1:1/health", vnc_address=None)
REFUSED = {"instance-0": ProbeOutcome.REFUSED}
CLOCK = Clock()


@pytest.fixture
def path(tmp_path):
    """Return a store with one booked attempt."""
    path = tmp_path / "loco.db"
    with a_fleet(path, [SICK], at_ms=CLOCK.wall_ms()) as fleet:
        fleet.ticks(3, REFUSED)
        ((incident, key),) = fleet.connection.execute("SELECT id, key FROM incidents").fetchall()
        now = CLOCK.moment()
        with transaction(fleet.connection):
            ledger.adopt(fleet.connection, (), now=now)
            ledger.book(
                fleet.connection, Order(key=key, action=Action.RESET_AUDIO, incident=incident), Limits(), now=now
            )
    return path


@pytest.fixture
def connection(path):
    with closing(open_store(path)) as connection:
        yield connection


def a_launcher(jobs):
    return Launcher(jobs, clock=CLOCK, limits=Limits())


def go(launcher, connection):
    """Make a round; return the attempt as it is then."""
    observed = launcher.observe(connection)
    if observed.write:
        with transaction(connection):
            observed.write(connection)
    return ledger.find(connection, 1)


def test_an_attempt_is_run_by_a_process_that_writes_down_how_it_ended(path, connection, monkeypatch):
    monkeypatch.delenv("LOCO_MASTER_KEY_FILE", raising=False)
    jobs = LocalJobs(path)
    launcher = a_launcher(jobs)
    job = go(launcher, connection).job
    wait_for(lambda: go(launcher, connection).state is AttemptState.ENDED, seconds=60)
    attempt = ledger.find(connection, 1)
    wait_for(lambda: jobs.look(attempt).state is JobState.FINISHED)

    assert (job, AttemptOutcome.STOOD_DOWN) == (attempt.runner, attempt.outcome)
    assert attempt.detail.startswith("NoKey: ")


def test_a_process_goes_by_the_policy_and_the_switches_of_who_started_it(path, connection, tmp_path):
    jobs = LocalJobs(path, policy=tmp_path / "policy.toml", control=tmp_path / "switches")
    attempt = go(a_launcher(jobs), connection)
    pid = int(attempt.job.split(":")[1])
    told = psutil.Process(pid).environ()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: jobs.look(attempt).state is JobState.FINISHED)

    assert str(tmp_path / "policy.toml") == told["LOCO_POLICY"]
    assert str(tmp_path / "switches") == told["LOCO_CONTROL"]


def test_dispatch_hands_on_the_switches_that_it_was_given(path, connection, tmp_path):
    (tmp_path / "switches").mkdir()
    (tmp_path / "switches" / "recovery").write_text("off")
    words = ("--control", tmp_path / "switches", "--recovery-namespace", "")
    command = [sys.executable, "-m", "jobs", "dispatch", "--store", path, "--window", "60", *words]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as dispatch:
        try:
            wait_for(lambda: ledger.find(connection, 1).state is AttemptState.ENDED, seconds=60)
        finally:
            dispatch.terminate()

    assert "KillSwitch: recovery is switched off in loco-control" == ledger.find(connection, 1).detail


def test_a_process_that_is_killed_is_noticed_by_who_started_it_and_by_the_next(path, connection):
    jobs = LocalJobs(path)
    attempt = go(a_launcher(jobs), connection)
    own = jobs.look(attempt), LocalJobs(path).look(attempt)
    os.kill(int(attempt.job.split(":")[1]), signal.SIGKILL)
    wait_for(lambda: jobs.look(attempt).state is JobState.FINISHED)
    successor = a_launcher(LocalJobs(path))
    wait_for(lambda: go(successor, connection).state is AttemptState.ENDED)
    attempt = ledger.find(connection, 1)

    assert {JobState.ACTIVE} == {look.state for look in own}
    assert "exit code -9" == jobs.look(attempt).detail
    assert (AttemptOutcome.UNKNOWN, "its Job has ended, no act was begun") == (attempt.outcome, attempt.detail)


def test_a_process_that_somebody_stopped_is_not_given_up(path, connection):
    jobs = LocalJobs(path)
    attempt = go(a_launcher(jobs), connection)
    pid = int(attempt.job.split(":")[1])
    os.kill(pid, signal.SIGSTOP)
    try:
        assert JobState.ACTIVE is LocalJobs(path).look(attempt).state
    finally:
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: jobs.look(attempt).state is JobState.FINISHED)
