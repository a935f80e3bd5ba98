"""Opening and locking, on real files; what needs a full or foreign file system runs in a mount namespace of its own."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from builders import an_instance
from mounts import run_apart

from jobs.errors import (
    ConfigError,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreNewer,
)
from jobs.store import connection as store
from jobs.store import schema
from jobs.store.connection import backup_path, open_reader, open_store, reading, transaction
from jobs.store.writer import record_inventory


@pytest.fixture
def path(tmp_path):
    return tmp_path / "loco.db"


@pytest.fixture
def writer(path):
    with closing(open_store(path)) as connection:
        yield connection


def _bump(connection):
    with transaction(connection):
        connection.execute("UPDATE totals SET value = value + 1 WHERE name = 'revision'")


def _revision(connection):
    with reading(connection):
        return connection.execute("SELECT value FROM totals WHERE name = 'revision'").fetchone()[0]


def _fill(connection, rows=2000):
    with transaction(connection):
        connection.executemany(
            "INSERT INTO screens (key, hash, taken_at_ms, png) VALUES (?, 'x', 0, zeroblob(500))",
            [(f"static/{number}",) for number in range(rows)],
        )


def test_a_new_store_has_every_table_of_the_schema(writer):
    tables = {name for (name,) in writer.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}

    assert {line.split()[2] for line in schema.TABLES.splitlines() if line.startswith("CREATE TABLE")} < tables


def test_the_version_in_the_file_counts_the_migrations(writer):
    assert writer.execute("PRAGMA user_version").fetchone() == (store.SCHEMA_VERSION,)
    assert store.SCHEMA_VERSION == len(schema.migrations.applied(schema.Database(writer)))


def test_a_second_start_changes_nothing(path, writer):
    _bump(writer)
    with closing(open_store(path)) as again:
        assert _revision(again) == 1


def test_ten_that_start_at_once_make_one_store(path):
    refusals = []

    def start():
        try:
            with closing(open_store(path)) as connection:
                _bump(connection)
        except StoreError as error:
            refusals.append(error)

    threads = [threading.Thread(target=start) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refusals == []
    with closing(open_reader(path)) as reader:
        assert _revision(reader) == 10


def test_a_missing_folder_is_named(tmp_path):
    path = tmp_path / "nowhere" / "loco.db"

    with pytest.raises(ConfigError) as refusal:
        open_store(path)

    assert f"store {path}: folder {path.parent} doesn't exist; make it, or name another; nothing was written" == str(
        refusal.value
    )
    assert not path.parent.exists()


def test_another_programs_file_is_left_as_it_was(path):
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE bookmarks (url)")
    before = path.read_bytes()

    with pytest.raises(ConfigError, match="of another program"):
        open_store(path)

    assert before == path.read_bytes()


def test_a_newer_schema_is_refused_by_writers_and_readers(path, writer):
    writer.execute(f"PRAGMA user_version={store.SCHEMA_VERSION + 1}")

    for opening in (open_store, open_reader):
        with pytest.raises(StoreNewer, match=r"has schema 5, this program knows 4 at most; .* nothing was written"):
            opening(path)


def test_a_reader_waits_for_a_job_to_make_the_store(path):
    with pytest.raises(StoreError, match="isn't there yet"):
        open_reader(path)

    path.touch()
    with pytest.raises(StoreError, match="has schema 0, this program reads 4; the next job's start brings it there"):
        open_reader(path)


def test_a_reader_cannot_write(path, writer):
    with closing(open_reader(path)) as reader, pytest.raises(StoreError, match="can't be written"):
        _bump(reader)


def test_a_failed_transaction_leaves_nothing_and_the_next_one_works(writer):
    with pytest.raises(KeyError):
        _fail_after_writing(writer)

    _bump(writer)
    assert _revision(writer) == 1


def _fail_after_writing(connection):
    with transaction(connection):
        connection.execute("UPDATE totals SET value = 99")
        raise KeyError


def test_a_wrong_statement_is_our_bug_and_stays_what_it_is(writer):
    with pytest.raises(sqlite3.OperationalError, match="no such table"), transaction(writer):
        writer.execute("SELECT * FROM nowhere")

    assert not writer.in_transaction


def test_a_lock_that_is_held_too_long_is_a_named_error(path, writer):
    """The real timeout, so that it stays above the longest transaction and below the lease's patience."""
    with closing(open_store(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        began_at = time.monotonic()
        with pytest.raises(StoreLocked) as refusal:
            _bump(writer)

        assert 4.5 < time.monotonic() - began_at < 8
        assert f"store {path}: another connection held it for over 5 s" in str(refusal.value)
        assert "the next run tries again" in str(refusal.value)


def test_a_reader_that_never_ends_costs_the_commit_and_nothing_else(path, writer):
    writer.execute("PRAGMA busy_timeout=100")
    with closing(open_reader(path)) as reader:
        with reading(reader):
            reader.execute("SELECT count(*) FROM totals").fetchone()
            with pytest.raises(StoreLocked):
                _bump(writer)

        _bump(writer)
        assert _revision(reader) == 1


def test_reading_sees_one_moment_though_a_writer_waits(path, writer):
    with closing(open_reader(path)) as reader:
        with reading(reader):
            before = reader.execute("SELECT value FROM totals").fetchone()
            thread = threading.Thread(target=_in_own_connection, args=(path, _bump))
            thread.start()
            time.sleep(0.1)
            after = reader.execute("SELECT value FROM totals").fetchone()
        thread.join()

        assert before == after
        assert _revision(reader) == 1


def _in_own_connection(path, act):
    with closing(open_store(path)) as connection:
        act(connection)


def test_a_full_file_keeps_what_was_committed(writer):
    _bump(writer)
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count={pages + 20}")

    with pytest.raises(StoreFull, match="no space is left for it"):
        _fill(writer)

    _bump(writer)
    assert _revision(writer) == 2
    assert writer.execute("SELECT count(*) FROM screens").fetchone() == (0,)


@pytest.mark.parametrize("damage", ["noise", "truncated", "not-a-database", "empty-header"])
def test_a_damaged_file_is_named_with_what_to_restore(path, writer, damage):
    _fill(writer)
    writer.close()
    whole = path.read_bytes()
    path.write_bytes(
        {
            "noise": whole[:4096] + bytes(byte ^ 0x55 for byte in whole[4096:]),
            "truncated": whole[: 4096 * 3],
            "not-a-database": b"instances: []\n" * 400,
            "empty-header": bytes(100) + whole[100:],
        }[damage]
    )
    shutil.copy(path, backup_path(path))

    with pytest.raises(StoreCorrupt) as refusal, closing(open_store(path)) as connection:
        _read_all(connection)

    assert f"store {path}: " in str(refusal.value)
    assert f"copy {path}.backup in its place" in str(refusal.value)


def _read_all(connection):
    with reading(connection):
        for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608


def test_without_a_backup_it_says_so(path):
    path.write_bytes(b"instances: []\n" * 400)

    with pytest.raises(StoreCorrupt, match="there is no backup, so a new one begins empty"):
        open_store(path)


def test_a_damaged_row_ends_a_command_with_75_and_one_sentence(path, writer):
    with transaction(writer):
        record_inventory(writer, [an_instance()], at_ms=1)
        writer.execute("UPDATE instances SET instance = '{'")
    words = ["collect", "--store", str(path), "--window", "0"]
    run = subprocess.run(
        [sys.executable, "-m", "jobs", *words], capture_output=True, text=True, timeout=60, check=False
    )

    assert os.EX_TEMPFAIL == run.returncode
    assert "a row can't be read" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_full_disk_is_a_named_error_and_the_store_stays_readable():
    done = run_apart(
        """
import subprocess
from contextlib import closing
from pathlib import Path
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", "/mnt"], check=True)
from jobs.errors import StoreFull
from jobs.store.connection import open_store, open_reader, transaction
path = Path("/mnt/loco.db")
with closing(open_store(path)) as connection:
    written = 0
    try:
        while True:
            with transaction(connection):
                connection.execute("INSERT INTO screens VALUES (?, 'x', 0, zeroblob(20000))", (str(written),))
            written += 1
    except StoreFull as error:
        print(error)
with closing(open_reader(path)) as reader:
    assert reader.execute("SELECT count(*) FROM screens").fetchone() == (written,), written
    assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert written > 3, written
"""
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert "store /mnt/loco.db: no space is left for it" in done.stdout


def test_a_quota_is_a_named_error():
    """A limit on file size fails the way a quota does: the write comes back short with another error than ENOSPC."""
    done = run_apart(
        """
import resource, tempfile
from contextlib import closing
from pathlib import Path
from jobs.errors import StoreFull
from jobs.store.connection import open_store, transaction
with tempfile.TemporaryDirectory() as folder, closing(open_store(Path(folder) / "loco.db")) as connection:
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        with transaction(connection):
            connection.execute("INSERT INTO screens VALUES ('static/0', 'x', 0, zeroblob(1000000))")
    except StoreFull as error:
        print(error)
    assert connection.execute("SELECT count(*) FROM screens").fetchone() == (0,)
"""
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert "took less than was written, as over a quota" in done.stdout


def test_a_read_only_mount_serves_readers_and_names_the_error_to_writers(path, writer):
    _bump(writer)
    done = run_apart(
        """
import subprocess, sys
from contextlib import closing
from pathlib import Path
subprocess.run(["mount", "--bind", sys.argv[1], "/mnt"], check=True)
subprocess.run(["mount", "-o", "remount,bind,ro", "/mnt"], check=True)
from jobs.errors import StoreReadOnly
from jobs.store.connection import open_store, open_reader, transaction
with closing(open_reader(Path("/mnt/loco.db"))) as reader:
    assert reader.execute("SELECT value FROM totals").fetchone() == (1,)
with closing(open_store(Path("/mnt/loco.db"))) as connection:
    try:
        with transaction(connection):
            connection.execute("UPDATE totals SET value = 2")
    except StoreReadOnly as error:
        print(error)
try:
    open_store(Path("/mnt/other.db"))
except StoreReadOnly as error:
    print(error)
""",
        path.parent,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert "store /mnt/loco.db: it can't be written" in done.stdout
    assert "store /mnt/other.db: it or its journal can't be opened" in done.stdout


def test_a_file_system_behind_a_process_is_refused_by_name():
    done = run_apart(
        """
from pathlib import Path
from fuse_mount import mount_fuse
mount_fuse("/mnt", "loco")
from jobs.errors import StoreNotLocal
from jobs.store.connection import open_store
try:
    open_store(Path("/mnt/loco.db"))
except StoreNotLocal as error:
    print(error.exit_code, error)
"""
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("75 store /mnt/loco.db: /mnt is on fuse.loco, where SQLite's locks don't hold")
