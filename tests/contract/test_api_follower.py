"""A store that refuses, breaks or is replaced while it is followed: the last snapshot stays, and says why."""

import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress

import pytest
from stores import TICK_MS, a_fleet, an_instance

from api.follower import Follower
from jobs.errors import StoreCorrupt, StoreError, StoreLocked
from jobs.health.model import Verdict
from jobs.store import reader
from jobs.store.connection import open_store
from jobs.store.fleet import Uptime

START_MS = 1_795_550_863_000
NOW_MS = START_MS + TICK_MS + 1000


@pytest.fixture
def store(tmp_path):
    """A store with one healthy instance."""
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=START_MS) as fleet:
        fleet.ticks()
    return tmp_path / "loco.db"


@pytest.fixture
def follower(store):
    """A follower that has seen the store."""
    with closing(Follower(store, lambda: NOW_MS)) as made:
        assert [Verdict.HEALTHY] == verdicts(made)
        yield made


def verdicts(follower):
    """Return the verdicts that a look gives."""
    return [standing.verdict for standing in follower.look().standings.values()]


def test_nothing_moved_gives_the_same_fleet(follower):
    assert follower.look() is follower.look()


def test_a_clock_that_goes_on_makes_it_stale_without_any_write(store):
    clock = [NOW_MS]
    with closing(Follower(store, lambda: clock[0])) as follower:
        fresh = verdicts(follower)
        clock[0] += 60_000

        assert ([Verdict.HEALTHY], [Verdict.UNKNOWN], True) == (
            fresh,
            verdicts(follower),
            follower.look().is_silent,
        )


def test_a_run_that_ticks_over_an_unchanged_revision_is_seen(store, follower):
    before = follower.look().snapshot
    with closing(sqlite3.connect(store)) as writing:
        writing.execute("UPDATE runs SET last_success_at_ms = ?", (NOW_MS + 5,))
        writing.commit()
    after = follower.look().snapshot

    assert NOW_MS + 5 == after.last_successes["collect"]
    assert before.latest is after.latest


def test_the_last_tick_of_any_run_counts_while_its_successor_warms_up(store, follower):
    with closing(sqlite3.connect(store)) as writing:
        for run, started_at_ms, ticked_at_ms in (("old", 1, NOW_MS - 900_000), ("new", NOW_MS, None)):
            writing.execute(
                "INSERT INTO runs (id, command, holder, started_at_ms, last_success_at_ms)"
                " VALUES (?, 'collect', 'x', ?, ?)",
                (run, started_at_ms, ticked_at_ms),
            )
        writing.commit()
    fleet = follower.look()

    assert ("new", START_MS + TICK_MS) == (
        fleet.snapshot.runs["collect"].id,
        fleet.snapshot.last_successes["collect"],
    )
    assert not fleet.is_silent


def test_the_uptime_is_of_the_last_hour_alone(store, follower):
    with closing(sqlite3.connect(store)) as writing:
        writing.execute(
            "INSERT INTO minutes (key, start_at_ms, unhealthy) VALUES ('static/instance-0', ?, 4)",
            (NOW_MS - 4_000_000,),
        )
        writing.execute("UPDATE totals SET value = value + 1")
        writing.commit()

    assert Uptime(1, 1, 1) == follower.look().standings["instance-0"].uptime


def test_minutes_after_the_newest_observation_as_a_clock_set_back_leaves_them_are_not_of_the_last_hour(store, follower):
    with closing(sqlite3.connect(store)) as writing:
        writing.execute(
            "INSERT INTO minutes (key, start_at_ms, unhealthy) VALUES ('static/instance-0', ?, 4)",
            (NOW_MS + 4_000_000,),
        )
        writing.execute("UPDATE totals SET value = value + 1")
        writing.commit()

    assert Uptime(1, 1, 1) == follower.look().standings["instance-0"].uptime


@contextmanager
def a_hanging_query(follower):
    """Have another thread's query hang for the block."""
    hangs, may_go_on = threading.Event(), threading.Event()

    def hang(_connection):
        hangs.set()
        may_go_on.wait(20)

    querying = threading.Thread(target=follower.query, args=(hang,))
    querying.start()
    hangs.wait(20)
    try:
        yield
    finally:
        may_go_on.set()
        querying.join()


def test_a_thread_that_hangs_in_the_store_keeps_no_old_verdict_alive(store):
    clock = [NOW_MS]
    with closing(Follower(store, lambda: clock[0])) as follower:
        fresh = verdicts(follower)
        with a_hanging_query(follower):
            clock[0] += 60_000
            meanwhile = verdicts(follower)

    assert ([Verdict.HEALTHY], [Verdict.UNKNOWN]) == (fresh, meanwhile)


def test_a_long_query_keeps_no_tick_from_being_seen(store, follower):
    with a_hanging_query(follower):
        with closing(sqlite3.connect(store)) as writing:
            writing.execute("UPDATE totals SET value = 77 WHERE name = 'revision'")
            writing.commit()
        meanwhile = follower.look().snapshot.revision

    assert 77 == meanwhile


def test_a_replaced_file_is_the_new_fleet_even_under_the_same_revision(store, follower, tmp_path):
    with a_fleet(tmp_path / "other.db", [an_instance(5)], at_ms=START_MS) as fleet:
        fleet.ticks()
    (tmp_path / "other.db").replace(store)

    assert ["instance-5"] == list(follower.look().standings)


def test_a_file_that_vanishes_leaves_the_last_snapshot_and_comes_back(store, follower, tmp_path):
    store.rename(tmp_path / "away.db")
    gone = follower.look()
    (tmp_path / "away.db").rename(store)

    assert (True, ["instance-0"]) == ("isn't there yet" in gone.problem, list(gone.standings))
    assert "" == follower.look().problem


def test_a_writer_that_holds_the_file_leaves_the_last_snapshot_soon(store, follower):
    with closing(sqlite3.connect(store, isolation_level=None)) as writing:
        writing.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        held = follower.look()
        seconds = time.monotonic() - started
        writing.execute("ROLLBACK")

    assert (f"store {store} was held by a writer for over 250 ms", ["instance-0"]) == (
        held.problem,
        list(held.standings),
    )
    assert seconds < 2
    assert "" == follower.look().problem


def test_a_query_waits_no_longer_for_a_held_store_than_the_look_that_found_it_so(store, follower):
    follower.query(lambda _: None)
    with closing(sqlite3.connect(store, isolation_level=None)) as writing:
        writing.execute("BEGIN EXCLUSIVE")
        follower.look()
        with pytest.raises(StoreLocked) as refused:
            follower.query(lambda connection: connection.execute("SELECT 1 FROM totals").fetchall())
        writing.execute("ROLLBACK")
    waited_ms = int(re.search(r"for over (\d+) ms", str(refused.value))[1])

    assert waited_ms <= 250
    follower.look()
    assert [(1,)] == follower.query(lambda connection: connection.execute("SELECT 1").fetchall())


def test_a_query_waits_for_its_turn_within_bounds(store, follower, monkeypatch):
    monkeypatch.setattr("api.follower.QUERY_WAIT_MS", 50)
    with a_hanging_query(follower), pytest.raises(StoreLocked) as refused:
        follower.query(lambda _: None)

    assert f"other queries of this API kept store {store} busy for over 50 ms" == str(refused.value)
    assert "read" == follower.query(lambda _: "read")


# Its cache spills into the file, under a journal, before it dies: what a power cut in mid-transaction leaves.
DIES_WRITING = """
import os, signal, sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA cache_size=2")
c.execute("BEGIN IMMEDIATE")
for n in range(500):
    c.execute("INSERT INTO screens VALUES (?, 'x', 0, zeroblob(4000))", (f"static/{n}",))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_hot_journal_leaves_the_last_snapshot_until_a_writer_has_rolled_it_back(store, follower):
    died = subprocess.run([sys.executable, "-c", DIES_WRITING, store], check=False, timeout=20)
    hot = follower.look()
    with closing(Follower(store, lambda: NOW_MS)) as newcomer:
        blind = newcomer.look()
    open_store(store).close()

    assert -signal.SIGKILL == died.returncode
    assert (True, ["instance-0"]) == (bool(hot.problem), list(hot.standings))
    assert (None, True) == (blind.snapshot, bool(blind.problem))
    assert ("", ["instance-0"]) == (follower.look().problem, list(follower.look().standings))


def test_a_damaged_file_leaves_the_last_snapshot_and_names_the_damage(store, follower):
    with store.open("r+b") as file:
        file.seek(0)
        file.write(b"\0" * 8192)

    broken = follower.look()

    assert (True, ["instance-0"]) == (bool(broken.problem), list(broken.standings))


def test_a_row_that_cant_be_read_is_a_damaged_store(store, follower):
    with closing(sqlite3.connect(store)) as writing:
        writing.execute("UPDATE assessments SET reasons = '{'")
        writing.execute("UPDATE totals SET value = value + 1")
        writing.commit()

    broken = follower.look()

    assert (True, ["instance-0"]) == ("a row can't be read" in broken.problem, list(broken.standings))


def test_a_query_that_meets_such_a_row_says_the_same(store, follower):
    with closing(sqlite3.connect(store)) as writing:
        writing.execute(
            "INSERT INTO incidents VALUES ('x', 'static/instance-0', 1, 1, NULL, 'qemu', 'unhealthy', '', '{')"
        )
        writing.commit()

    with pytest.raises(StoreCorrupt):
        follower.query(reader.incidents)


def test_a_query_of_a_store_that_isnt_there_is_a_store_error(tmp_path):
    with closing(Follower(tmp_path / "none.db", lambda: NOW_MS)) as follower, pytest.raises(StoreError):
        follower.query(reader.revision)


def test_threads_look_and_query_at_once_while_a_writer_ticks(store, follower):
    failures, queried = [], []
    done = threading.Event()

    def read():
        count = 0
        try:
            while not (done.is_set() and count):
                assert follower.look().standings
                with suppress(StoreLocked):  # a commit may outlast the wait on a slow disk
                    follower.query(reader.last_runs)
                    count += 1
            queried.append(count)
        except BaseException as error:  # noqa: BLE001 - the test's thread hands it over
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    with closing(open_store(store)) as writing:
        for _ in range(60):
            writing.execute("UPDATE totals SET value = value + 1")
    done.set()
    for thread in threads:
        thread.join(20)

    assert ([], 4) == (failures, len(queried))
    assert 60 <= follower.look().snapshot.revision
