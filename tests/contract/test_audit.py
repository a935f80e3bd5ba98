"""`audit` on real stores: what it says, what it exits with, and that it finds rows that were planted."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from ledgers import an_adopted_store, an_order, at

from jobs.health.recovery import AttemptOutcome, Limits
from jobs.store import ledger
from jobs.store.connection import transaction
from jobs.store.ledger import Ending


@pytest.fixture
def path(tmp_path):
    """Return a store with three acts in it, within ten minutes, and one attempt that is planned an hour later."""
    path = tmp_path / "loco.db"
    with closing(an_adopted_store(path)) as connection:
        for begins in (0, 200, 400):
            _act(connection, begins)
        with transaction(connection):
            ledger.book(connection, an_order(), Limits(), now=at(4000))
    return path


def _act(connection, begins):
    with transaction(connection):
        attempt = ledger.book(connection, an_order(), Limits(), now=at(begins))
        ledger.claim(connection, attempt.id, "pod-1", now=at(begins + 1))
        ledger.begin_act(connection, attempt.id, "pod-1", now=at(begins + 2))
        ending = Ending(AttemptOutcome.NO_EFFECT, "as the test says")
        ledger.end(connection, attempt.id, ending, now=at(begins + 60), runner="pod-1")


def _audit(path, *options):
    return subprocess.run(
        [sys.executable, "-m", "jobs", "audit", "--store", str(path), *options],
        check=False,
        capture_output=True,
        text=True,
    )


def _plant(path, statement):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_a_ledger_that_kept_its_promises_is_one_line(path):
    said = _audit(path)

    assert (
        "4 attempts on 1 instances: at most 3 that may have acted in any 60 minutes, none overlapped, "
        "3 acts each with its pod's uid, 3 ended with an outcome, 1 open\n"
    ) == said.stdout
    assert (0, "") == (said.returncode, said.stderr)


def test_planted_rows_are_told_one_by_one(path):
    _plant(path, "UPDATE attempts SET booked_ms = 500000, acted_ms = 500000, runner = 'pod-2' WHERE id = 4")
    _plant(path, "UPDATE attempts SET uid = NULL WHERE id = 2")

    said = _audit(path)

    assert 1 == said.returncode
    row = "{:<18}  loco-instances/loco-emulator-0    {:<15}  {}"
    assert [
        "4 attempts on 1 instances: 2 breaches",
        "BREACH              INSTANCE                          ATTEMPTS         DETAIL",
        row.format("TooManyActs", "1 2 3 4", "4 may have acted within 60 minutes, at most 3 are allowed"),
        row.format("ActWithoutUid", "2", "it acted on a pod without the pod's uid"),
    ] == said.stdout.splitlines()


def test_the_same_as_one_json_object(path):
    _plant(path, "UPDATE attempts SET outcome = NULL WHERE id = 3")

    said = _audit(path, "-o", "json")

    assert 1 == said.returncode
    assert [
        {
            "promise": "EndWithoutOutcome",
            "key": "loco-instances/loco-emulator-0",
            "attempts": [3],
            "detail": "it ended without an outcome or a time",
        }
    ] == json.loads(said.stdout)["breaches"]


def test_a_store_that_is_not_there_cannot_be_audited_now(tmp_path):
    said = _audit(tmp_path / "none.db")

    assert (75, "") == (said.returncode, said.stdout)
    assert said.stderr.endswith("none.db isn't there yet; a job makes it at its first run\n")


def test_audit_changes_nothing(path):
    before = path.read_bytes()

    _audit(path)

    assert before == path.read_bytes()
