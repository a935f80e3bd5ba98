"""Backup, roll-up and retention of real files, also while a collector writes."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace

import pytest
from builders import a_probe, an_assessment, an_instance
from mounts import run_apart

from agent.report import encode
from jobs.errors import StoreCorrupt, StoreLocked
from jobs.health.incident import ChangeKind, Incident, IncidentChange
from jobs.health.model import FailureClass, InstanceKey, Verdict
from jobs.health.rollup import HOUR_MS, MINUTE_MS, Rollup, merge
from jobs.store import reader
from jobs.store.backup import back_up
from jobs.store.connection import backup_path, open_store, transaction
from jobs.store.evidence import MAX_AGE_SECONDS, path_of, write_bundle
from jobs.store.retention import YEAR_MS, apply_retention
from jobs.store.rollups import add_to_minutes, put_hours
from jobs.store.writer import TickRow, record_inventory, record_tick, start_run

KEYS = [InstanceKey("static/instance-0"), InstanceKey("static/instance-1")]
KEY = KEYS[0]
DAY_MS = 24 * HOUR_MS
NOW_MS = 1_795_550_400_000  # a whole hour


@pytest.fixture
def path(tmp_path):
    return tmp_path / "loco.db"


@pytest.fixture
def connection(path):
    with closing(open_store(path)) as connection:
        with transaction(connection):
            instances = [an_instance(key=key, public_id=key.rpartition("/")[2]) for key in KEYS]
            record_inventory(connection, instances, at_ms=0)
        yield connection


def _minutes(connection, *starts_ms, **counts):
    with transaction(connection):
        add_to_minutes(connection, [(key, Rollup(start, **counts)) for start in starts_ms for key in KEYS])


def _tick(connection, tick, *codes, at_ms=NOW_MS - MINUTE_MS, change=None):
    probe = a_probe(at_ms=at_ms)
    row = TickRow(replace(probe, body=encode(probe.report)), an_assessment(*codes, at_ms=at_ms), change=change)
    with transaction(connection):
        record_tick(connection, tick, [row])


def _starts(rollups):
    return [rollup.start_at_ms for rollup in rollups]


def test_an_hour_is_what_its_minutes_merge_to(connection):
    _minutes(connection, NOW_MS - 2 * HOUR_MS, healthy=4, frame_rate_sum=100.0, frame_rate_count=4)
    _minutes(connection, NOW_MS - HOUR_MS - MINUTE_MS, unhealthy=3, codes=("QemuDead",), level_max=0.25)
    _minutes(connection, NOW_MS - MINUTE_MS, healthy=1)
    minutes = reader.minutes(connection, KEY, since_ms=0)

    counts = apply_retention(connection, at_ms=NOW_MS)

    hours = [merge(*minutes[:2]), replace(minutes[2], start_at_ms=NOW_MS - HOUR_MS)]
    assert hours == reader.hours(connection, KEY, since_ms=0)
    assert 4 == counts["hours_rolled"]
    assert minutes == reader.minutes(connection, KEY, since_ms=0)


def test_an_hour_that_has_not_ended_is_not_rolled_up(connection):
    _minutes(connection, NOW_MS - MINUTE_MS, NOW_MS, NOW_MS + 5 * MINUTE_MS, healthy=4)
    apply_retention(connection, at_ms=NOW_MS + 6 * MINUTE_MS)

    assert [NOW_MS - HOUR_MS] == _starts(reader.hours(connection, KEY, since_ms=0))


def test_rolling_up_twice_counts_nothing_twice(connection):
    _minutes(connection, NOW_MS - MINUTE_MS, healthy=4)
    for _ in range(2):
        apply_retention(connection, at_ms=NOW_MS)

    assert [4] == [hour.healthy for hour in reader.hours(connection, KEY, since_ms=0)]


def test_minutes_that_a_stepped_clock_adds_to_a_rolled_hour_are_rolled_up_again(connection):
    _minutes(connection, *range(NOW_MS - 5 * HOUR_MS, NOW_MS, HOUR_MS), NOW_MS - MINUTE_MS, healthy=4)
    apply_retention(connection, at_ms=NOW_MS)
    _minutes(connection, NOW_MS - 3 * HOUR_MS + MINUTE_MS, unhealthy=1)
    apply_retention(connection, at_ms=NOW_MS)

    assert [0, 0, 1, 0, 0] == [hour.unhealthy for hour in reader.hours(connection, KEY, since_ms=0)]


def test_days_without_upkeep_are_rolled_up_before_their_minutes_go(connection):
    starts = list(range(NOW_MS - 5 * DAY_MS, NOW_MS, HOUR_MS))
    minutes = [start + step * MINUTE_MS for start in starts for step in (0, 1, 2, 3, 5, 8, 13, 59)]  # several batches
    _minutes(connection, *minutes, healthy=4)

    counts = apply_retention(connection, at_ms=NOW_MS)

    assert (starts, {32}) == (
        _starts(reader.hours(connection, KEY, since_ms=0)),
        {hour.healthy for hour in reader.hours(connection, KEY, since_ms=0)},
    )
    assert 3 * 24 * 8 * 2 == counts["minutes"]
    assert NOW_MS - 48 * HOUR_MS == reader.minutes(connection, KEY, since_ms=0)[0].start_at_ms


def test_each_kind_of_row_goes_at_its_age_and_not_before(connection):
    _minutes(connection, NOW_MS - MINUTE_MS)
    with transaction(connection):
        put_hours(connection, [(KEY, Rollup(NOW_MS - YEAR_MS + step)) for step in (-HOUR_MS, 0)])
        for run, age_ms in (("old", 7 * DAY_MS + 1), ("young", 7 * DAY_MS)):
            start_run(connection, run, command="collect", holder="host:1", at_ms=NOW_MS - age_ms)
        connection.executemany(
            "INSERT INTO requests (name, asked_by, asked_at_ms) VALUES ('collect', ?, ?)",
            [("old", NOW_MS - DAY_MS - 1), ("young", NOW_MS - DAY_MS)],
        )
    for tick, age_ms in enumerate((YEAR_MS + 1, YEAR_MS), start=1):
        _tick(connection, tick, "QemuDead" if tick % 2 else "TapDown", at_ms=NOW_MS - age_ms)

    counts = apply_retention(connection, at_ms=NOW_MS)

    assert [NOW_MS - YEAR_MS] == _starts(reader.hours(connection, KEY, since_ms=0))[:1]
    assert ["young"] == [run.id for run in reader.runs(connection, 9)]
    assert [("young",)] == connection.execute("SELECT asked_by FROM requests").fetchall()
    assert [2] == [change.tick for change in reader.changes(connection, KEY, since_ms=0, limit=9)]
    assert (1, 1, 1) == (counts["runs"], counts["requests"], counts["changes"])


def test_an_open_incident_stays_however_old_it_is(connection):
    _minutes(connection, NOW_MS - MINUTE_MS)
    long_ago = NOW_MS - 2 * YEAR_MS
    opened = Incident("a", KEY, long_ago, 1, FailureClass.QEMU, Verdict.UNHEALTHY, (), (), 1)
    closed = replace(opened, id="b", closed_at_ms=NOW_MS - YEAR_MS - 1)
    for tick, incident in enumerate((opened, closed), start=1):
        _tick(connection, tick, at_ms=NOW_MS - MINUTE_MS, change=IncidentChange(ChangeKind.UPDATED, incident))

    apply_retention(connection, at_ms=NOW_MS)

    assert [opened] == reader.incidents(connection)


def test_a_clock_that_ran_ahead_deletes_nothing_that_is_young(connection):
    _minutes(connection, NOW_MS - 40 * HOUR_MS, NOW_MS - MINUTE_MS, healthy=4)
    before = reader.minutes(connection, KEY, since_ms=0)

    counts = apply_retention(connection, at_ms=NOW_MS + 3 * YEAR_MS)

    assert before == reader.minutes(connection, KEY, since_ms=0)
    assert 0 == counts["minutes"]


def test_after_a_clock_ran_ahead_and_back_the_present_is_still_rolled_up(connection):
    _minutes(connection, NOW_MS - HOUR_MS, NOW_MS + YEAR_MS, NOW_MS + YEAR_MS + HOUR_MS, healthy=4)
    apply_retention(connection, at_ms=NOW_MS + YEAR_MS + HOUR_MS)
    assert NOW_MS + YEAR_MS == reader.hours(connection, KEY, since_ms=0)[-1].start_at_ms

    _minutes(connection, NOW_MS, healthy=3)
    apply_retention(connection, at_ms=NOW_MS + HOUR_MS)

    assert NOW_MS in _starts(reader.hours(connection, KEY, since_ms=0))


def test_an_empty_store_has_nothing_to_keep_or_to_lose(connection):
    assert {0} == set(apply_retention(connection, at_ms=NOW_MS).values())


def test_a_backup_is_a_whole_store_of_its_own(path, connection):
    _tick(connection, 1)
    path.chmod(0o640)
    size = back_up(connection, path)

    assert backup_path(path).stat().st_size == size
    assert path.stat().st_mode == backup_path(path).stat().st_mode
    assert [path.name, f"{path.name}.backup"] == sorted(entry.name for entry in path.parent.iterdir())
    with closing(open_store(backup_path(path))) as copy:
        assert reader.latest(connection) == reader.latest(copy)


def test_a_damaged_store_leaves_the_last_good_backup_alone(path, connection):
    back_up(connection, path)
    before = backup_path(path).read_bytes()
    _damage(path)

    # A new connection: one that has read the page goes on with what it read.
    with (
        closing(open_store(path)) as fresh,
        pytest.raises(StoreCorrupt, match=rf"integrity_check found .*copy {path}\.backup in its place"),
    ):
        back_up(fresh, path)

    assert before == backup_path(path).read_bytes()
    assert [] == list(path.parent.glob("*.new"))


def _damage(path):
    """Spoil a page that neither opening nor retention reads."""
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_screens_1'"
        ).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 64)


def test_leftovers_of_killed_runs_go_and_a_copy_at_work_stays(path, connection):
    old, young = (path.with_name(f"loco.db.backup.{name}.new") for name in ("old", "young"))
    old.touch()
    young.touch()
    os.utime(old, (0, 0))

    back_up(connection, path)

    assert [young] == list(path.parent.glob("*.new"))


class Disturbed:
    """A connection that can be copied from, while another writes in every pause of the copy."""

    def __init__(self, connection, writer):
        self._connection, self._writer = connection, writer

    def backup(self, target, *, pages, progress):
        """Copy as sqlite3 does."""

        def pause(*counts):
            with transaction(self._writer):
                self._writer.execute("UPDATE totals SET value = value + 1")
            progress(*counts)

        self._connection.backup(target, pages=pages, progress=pause)


def test_a_copy_that_writers_never_let_finish_is_given_up(path, connection):
    with transaction(connection):  # several steps long
        rows = [(str(number),) for number in range(5000)]
        connection.executemany("INSERT INTO screens VALUES (?, '', 0, zeroblob(4000))", rows)
    with (
        closing(open_store(path)) as other,
        pytest.raises(StoreLocked, match=r"wrote so often that no copy was done in 0\.5 s; the last backup stays"),
    ):
        back_up(Disturbed(connection, other), path, deadline_seconds=0.5)
    assert not backup_path(path).exists()


def test_a_collector_ticks_on_while_the_store_is_compacted(path, connection):
    """It may wait for a batch, never for the whole: the busy timeout is 5 s and a lease's patience 12 s."""
    _minutes(connection, *range(NOW_MS - 10 * DAY_MS, NOW_MS, MINUTE_MS), healthy=4)
    compaction = subprocess.Popen([sys.executable, "-m", "jobs", "compact", "--store", path], stderr=subprocess.PIPE)
    longest = count = 0
    with compaction:
        while compaction.poll() is None:
            began_at = time.monotonic()
            count += 1
            _tick(connection, count, at_ms=NOW_MS)
            longest = max(longest, time.monotonic() - began_at)
            time.sleep(0.05)

    assert 0 == compaction.returncode
    assert count > 10
    assert longest < 2


def _compact(path):
    return subprocess.run(
        [sys.executable, "-m", "jobs", "compact", "--store", path], capture_output=True, text=True, check=False
    )


def test_the_command_says_in_one_line_what_it_did(path, connection):
    _minutes(connection, NOW_MS - 50 * HOUR_MS, NOW_MS)

    done = _compact(path)

    (line,) = done.stderr.splitlines()
    said = json.loads(line)
    assert (0, "") == (done.returncode, done.stdout)
    assert ("run finished", "compact", "done", 2) == (said["msg"], said["command"], said["outcome"], said["minutes"])
    (run,) = reader.last_runs(connection)
    assert ("compact", "done", 1, None) == (run.command, run.outcome, run.ticks, run.instances)


def test_the_command_takes_old_evidence_away(path, connection):
    write_bundle(path, 1, b"{}")
    write_bundle(path, 2, b"{}")
    long_ago = time.time() - MAX_AGE_SECONDS - 60
    os.utime(path_of(path, 1), (long_ago, long_ago))

    assert 1 == json.loads(_compact(path).stderr)["evidence"]
    assert ["2.json"] == [bundle.name for bundle in path_of(path, 1).parent.iterdir()]


def test_the_command_stops_at_a_damaged_store_before_it_deletes_anything(path, connection):
    _minutes(connection, NOW_MS - 50 * HOUR_MS, NOW_MS)
    _damage(path)

    done = _compact(path)

    assert 75 == done.returncode
    assert done.stderr.startswith(f"loco-jobs: store {path}: ")
    assert "there is no backup" in done.stderr
    with closing(sqlite3.connect(path)) as damaged:
        assert damaged.execute("SELECT min(start_at_ms) FROM minutes").fetchone() == (NOW_MS - 50 * HOUR_MS,)


def test_without_room_for_a_copy_the_old_goes_all_the_same():
    done = run_apart(
        """
import subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"], check=True)
from contextlib import closing
from pathlib import Path
from jobs.store.connection import open_store, transaction
path = Path("/mnt/loco.db")
with closing(open_store(path)) as connection:
    with transaction(connection):
        starts = [(f"static/{number}", hour * 3_600_000) for number in range(100) for hour in (1, 100)]
        connection.executemany("INSERT INTO minutes (key, start_at_ms) VALUES (?, ?)", starts)
        connection.execute("INSERT INTO screens VALUES ('static/0', '', 0, zeroblob(600000))")
    done = subprocess.run([sys.executable, "-m", "jobs", "compact", "--store", path], capture_output=True, text=True)
    print(done.returncode, done.stderr)
    print(connection.execute("SELECT count(*) FROM minutes").fetchone())
print(list(path.parent.iterdir()))
"""
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("75 loco-jobs: store /mnt/loco.db: no space is left for it")
    assert "\n(100,)\n[PosixPath('/mnt/loco.db')]\n" in done.stdout
