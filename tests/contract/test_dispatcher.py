"""`dispatch` as a run: it launches and tells in one round, and a slow API server delays the telling alone."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from api_server import wait_for
from launching import CRONJOB, JOBS, Dispatch, a_fleet, cluster_jobs, jobs_of, put_template
from notifying import a_webhook
from object_server import an_object_server
from receivers import a_receiver

from jobs import dispatcher as dispatcher_module
from jobs.clock import Clock
from jobs.courier import Courier
from jobs.dispatcher import LOOK, TICK, Dispatcher
from jobs.health.causes import FLEET
from jobs.health.incident import ChangeKind, Incident, IncidentChange
from jobs.health.model import FailureClass, Verdict
from jobs.notifier import Notifier
from jobs.store.connection import transaction
from jobs.store.writer import record_brakes


@pytest.fixture
def server():
    with an_object_server() as (objects, connect):
        put_template(objects)
        yield objects, connect


@pytest.fixture
def fleet(tmp_path):
    with a_fleet(tmp_path / "loco.db") as fleet:
        fleet.tick()
        yield fleet


def events(objects):
    """Return the reasons of the Events at the API server."""
    return [one["reason"] for one in objects.kept.values() if one.get("kind") == "Event"]


def a_dispatcher(fleet, connect, *destinations):
    client = connect()
    launcher = Dispatch(fleet, cluster_jobs(connect)).launcher

    def clock():
        return fleet.time.wall_ms

    dispatcher = Dispatcher(launcher, Courier(lambda: client, clock=clock), Notifier(destinations, clock=clock))
    dispatcher.resume(fleet.connection)
    return dispatcher


def go(dispatcher, fleet):
    observed = dispatcher.observe(LOOK, 1)
    if observed.write:
        with transaction(fleet.connection):
            observed.write(fleet.connection)
    fleet.time.wait(1)
    return observed


def test_one_round_launches_and_tells(fleet, server):
    objects, connect = server
    dispatcher = a_dispatcher(fleet, connect)
    go(dispatcher, fleet)

    assert (1, ["RecoveryPlanned"]) == (len(fleet.attempts()), events(objects))


def test_what_was_launched_slowly_is_told_in_a_later_round(fleet, server, monkeypatch):
    objects, connect = server
    dispatcher = a_dispatcher(fleet, connect)
    monkeypatch.setattr(dispatcher_module, "_LAUNCH_SECONDS", 0.0)  # any launch is a slow one
    launched = dispatcher.observe(LOOK, 1)
    monkeypatch.undo()
    told_then = events(objects)
    go(dispatcher, fleet)

    assert launched.write is not None
    assert ([], ["RecoveryPlanned"]) == (told_then, events(objects))


def test_a_slow_launch_keeps_no_notification(fleet, server, tmp_path, monkeypatch):
    _, connect = server
    with a_receiver() as receiver:
        dispatcher = a_dispatcher(fleet, connect, a_webhook(receiver, tmp_path))
        go(dispatcher, fleet)
        monkeypatch.setattr(dispatcher_module, "_LAUNCH_SECONDS", 0.0)  # any launch is a slow one
        cause = Incident("c0ffee", FLEET, 0, 1, FailureClass.NONE, Verdict.UNREACHABLE, (), (), 1, members=("a/b",))
        with transaction(fleet.connection):
            record_brakes(fleet.connection, [IncidentChange(ChangeKind.OPENED, cause)], at_ms=fleet.time.wall_ms)

        def is_told():
            dispatcher.observe(TICK, 1)
            return receiver.taken

        wait_for(is_told)

    assert ["c0ffee-opened"] == receiver.ids


def test_the_problem_of_a_launch_goes_before_one_of_the_telling(fleet, server):
    objects, connect = server
    del objects.kept[CRONJOB]

    assert go(a_dispatcher(fleet, connect), fleet).problem.startswith("CronJob recover, the template of")


@contextmanager
def a_run(fleet, connect, folder):
    """Run the command as a CronJob does, its API server the one of the test."""
    host = connect()._api.configuration.host
    kubeconfig = {
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": host}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(kubeconfig))
    command = [sys.executable, "-m", "jobs", "dispatch", "--store", str(fleet.path), "--window", "60"]
    environment = {
        **os.environ,
        "KUBECONFIG": str(folder / "kubeconfig"),
        "LOCO_RECOVERY_NAMESPACE": "loco-health",
    }
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_the_command_makes_a_job_of_a_due_plan_within_seconds(fleet, server, tmp_path):
    objects, connect = server
    tick_now(fleet)
    with a_run(fleet, connect, tmp_path) as process:
        wait_for(lambda: jobs_of(objects))
        wait_for(lambda: fleet.attempts()[0].job)

    assert 0 == process.returncode
    assert [fleet.attempts()[0].job] == [job["metadata"]["name"] for job in jobs_of(objects)]


def test_the_command_makes_none_of_a_plan_that_is_older_than_a_switch(fleet, server, tmp_path):
    objects, connect = server
    (tmp_path / "control").mkdir()
    switch = tmp_path / "control" / "recovery"
    switch.write_text("off")
    tick_now(fleet)
    with a_run(fleet, connect, tmp_path):
        wait_for(lambda: ("GET", JOBS) in objects.asked)
        time.sleep(2)  # a round is made each second
        before = fleet.attempts()
        switch.unlink()
        tick_now(fleet)
        wait_for(lambda: jobs_of(objects))

    assert [] == before


def tick_now(fleet):
    """Have collect's last tick made at this moment of this boot."""
    clock = Clock()
    with transaction(fleet.connection):
        fleet.connection.execute("UPDATE leases SET slot_ms = ?, boot_id = ?", (clock.boottime_ms(), clock.boot_id))
