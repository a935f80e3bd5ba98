"""SIGKILL of a writer, anywhere: what it committed is there, what it didn't is gone, and the next one carries on."""

import os
import random
import signal
import time
from contextlib import closing
from dataclasses import replace

import pytest
from builders import a_handshake, a_probe, an_assessment, an_instance

from agent.report import encode
from jobs.errors import StoreReadOnly
from jobs.health.model import InstanceKey
from jobs.store import reader
from jobs.store.connection import open_reader, open_store, reading, transaction
from jobs.store.writer import TickRow, record_inventory, record_tick

KEYS = [InstanceKey(f"static/instance-{ordinal}") for ordinal in range(20)]
BODY = encode(a_probe().report)
ROUNDS = 60


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "loco.db"
    with closing(open_store(path)) as connection, transaction(connection):
        instances = [an_instance(key=key, public_id=key.rpartition("/")[2]) for key in KEYS]
        record_inventory(connection, instances, at_ms=0)
    return path


def _rows(tick):
    at_ms = tick * 15_000
    assessment = an_assessment(*["QemuDead"] * (tick % 3 == 0), at_ms=at_ms)
    return [
        TickRow(a_probe(at_ms=at_ms, key=key, body=BODY), replace(assessment, key=key), a_handshake(at_ms=at_ms))
        for key in KEYS
    ]


def _in_a_process(act):
    """Run `act` in a forked process; return its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
        finally:
            os._exit(1)
    return pid


def _kill(pid):
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _tick_for_ever(path, said):
    with closing(open_store(path)) as connection:
        (tick,) = connection.execute("SELECT coalesce(max(tick), 0) FROM reports").fetchone()
        while True:
            tick += 1
            with transaction(connection):
                record_tick(connection, tick, _rows(tick))
            os.write(said, tick.to_bytes(4, "big"))


def test_a_writer_killed_at_any_moment_loses_nothing_that_it_committed(path):
    chance = random.Random(4)
    journals = committed = 0
    for number in range(ROUNDS):
        heard, said = os.pipe()
        pid = _in_a_process(lambda said=said: _tick_for_ever(path, said))
        os.close(said)
        # Every other one is given the time to commit; the rest may die while they open the store.
        first = os.read(heard, 4) if number % 2 else b""
        time.sleep(chance.uniform(0, 0.02))
        assert -signal.SIGKILL == _kill(pid)
        with os.fdopen(heard, "rb") as file:
            ticks = first + file.read()
        committed = int.from_bytes(ticks[-4:], "big") or committed
        journals += path.with_name("loco.db-journal").exists()
        committed = _checked(path, committed)

    assert committed >= ROUNDS / 2
    assert journals > 0, "no round was killed inside a transaction"


def _checked(path, committed):
    """Return the newest tick, once the store is found whole and not behind what was said to be committed."""
    with closing(open_store(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (newest,) = connection.execute("SELECT coalesce(max(tick), 0) FROM reports").fetchone()
        assert newest - committed in (0, 1)  # committed, and killed before it could say so
        assert connection.execute("SELECT count(*) FROM reports").fetchone() == (newest * len(KEYS),)
        assert connection.execute("SELECT total(healthy + unhealthy) FROM minutes").fetchone() == (newest * len(KEYS),)
        assert reader.revision(connection) == newest + 1
        if newest:
            assert {newest} == {latest.tick for latest in reader.latest(connection).values()}
    return newest


def _die_with_a_hot_journal(path):
    with closing(open_store(path)) as connection:
        connection.execute("PRAGMA cache_size=1")  # so that pages reach the file before the commit
        with transaction(connection):
            record_tick(connection, 1, _rows(1))
            os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_dead_writer_left_waits_for_a_job_and_is_rolled_back_by_it(path):
    pid = _in_a_process(lambda: _die_with_a_hot_journal(path))
    assert -signal.SIGKILL == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert path.with_name("loco.db-journal").stat().st_size > 0

    with pytest.raises(StoreReadOnly, match="a dead writer's journal waits for a job to roll it back"):
        open_reader(path)

    with closing(open_store(path)) as connection:
        assert {} == reader.latest(connection)
    with closing(open_reader(path)) as read_only, reading(read_only):
        assert 20 == len(reader.inventory(read_only))
