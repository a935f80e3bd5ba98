"""The scheduler of one machine, with the real commands as its children."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress

import psutil
import pytest

from jobs.store.connection import open_reader

DEADLINE_SECONDS = 30


class Local:
    """One `jobs local` with its folder."""

    def __init__(self, folder, window):
        self.store = folder / "loco.db"
        self.instances = folder / "instances.json"
        self.log = folder / "local.log"
        if not self.instances.exists():
            self.instances.write_text("[]")
        arguments = ("--instances", self.instances, "--store", self.store, "--window", str(window))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jobs", "local", *arguments], stdin=subprocess.DEVNULL, stderr=log
            )

    def children(self, command):
        """Return its live runs of one command, oldest first."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            # One that just died has no command line any more.
            with suppress(psutil.NoSuchProcess):
                found += [child] if command in child.cmdline() else []
        return sorted(found, key=psutil.Process.create_time)

    def rows(self, query, *values):
        """Return what a query finds; nothing before the store is there."""
        try:
            with closing(open_reader(self.store)) as connection:
                return connection.execute(query, values).fetchall()
        except Exception:  # noqa: BLE001 - not there yet, or just being written
            return []

    def ticks(self, command):
        """Return the number of the newest tick of a command."""
        return next((tick for (tick,) in self.rows("SELECT tick FROM leases WHERE name = ?", command)), 0)


@contextmanager
def local(folder, window=60):
    """Run `jobs local` for the block."""
    running = Local(folder, window)
    try:
        yield running
    finally:
        running.process.send_signal(signal.SIGCONT)
        running.process.terminate()
        running.process.wait(20)


def wait_until(holds):
    """Wait until something holds; return it."""
    ends_at = time.monotonic() + DEADLINE_SECONDS
    while not (found := holds()):
        assert time.monotonic() < ends_at
        time.sleep(0.05)
    return found


def test_all_commands_tick_at_once_and_collect_again_when_the_inventory_is_there(tmp_path):
    (tmp_path / "instances.json").write_text(json.dumps([{"id": "a", "healthUrl": "http://127.0.0.1:1"}]))
    with local(tmp_path) as running:
        wait_until(lambda: running.rows("SELECT * FROM instances"))
        began_at = time.monotonic()
        wait_until(lambda: running.rows("SELECT * FROM assessments"))
        seconds = time.monotonic() - began_at
        # Whoever starts last, or reads while another writes, has no rows for a moment.
        outcomes = wait_until(lambda: len(found := running.rows("SELECT outcome FROM runs")) == 3 and found)

        assert [(None,)] * 3 == outcomes
        assert seconds < 12  # the next beat would come after 15 s


def test_keys_and_switches_stand_beside_the_store(tmp_path, monkeypatch):
    for name in ("LOCO_CONTROL", "LOCO_MASTER_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "instances.json").write_text(json.dumps([{"id": "a", "healthUrl": "http://127.0.0.1:1"}]))
    with local(tmp_path) as running:
        wait_until(lambda: {"a.key", "master"} <= {path.name for path in tmp_path.glob("keys/*")})
        wait_until(lambda: running.rows("SELECT 1 FROM ledger WHERE adopted_at_ms IS NOT NULL"))
        (dispatch,) = running.children("dispatch")
        settings = dispatch.environ()

        assert (tmp_path / "control").is_dir()
        assert "LOCO_CONTROL" not in settings, "whoever has the store finds it, also who is no child of this"
        assert str(tmp_path / "keys" / "master") == settings["LOCO_MASTER_KEY_FILE"]


def test_keys_that_are_the_users_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCO_MASTER_KEY_FILE", str(tmp_path / "elsewhere"))
    with local(tmp_path) as running:
        wait_until(lambda: running.ticks("collect"))

        assert [] == running.children("keys")
        assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_a_run_that_is_killed_ended_or_stopped_is_replaced_within_a_second(tmp_path, end):
    with local(tmp_path) as running:
        wait_until(lambda: running.ticks("collect"))
        (old,) = running.children("collect")
        old.send_signal(end)
        began_at = time.monotonic()
        new = wait_until(lambda: [child for child in running.children("collect") if child.pid != old.pid])
        seconds = time.monotonic() - began_at
        holder = f":{new[0].pid}:"
        wait_until(lambda: [name for (name,) in running.rows("SELECT holder FROM leases") if name and holder in name])

        # 0.5 s of pause, 0.2 s until it is noticed, and a loaded machine.
        assert seconds < 2


def test_a_command_that_fails_at_once_stops_nothing_and_is_tried_ever_later(tmp_path):
    with local(tmp_path) as running:
        wait_until(lambda: running.ticks("collect"))
        running.store.unlink()
        running.store.mkdir()
        for command in ("collect", "discover"):
            for child in running.children(command):
                child.kill()
        lines = wait_until(lambda: _pauses(running, "discover", 3))

        assert None is running.process.poll()
        assert [0.5, 1.0, 2.0] == sorted(lines)[-3:]


def _pauses(running, command, count):
    """Return the pauses before a command's new starts, once there are that many."""
    entries = [json.loads(line) for line in running.log.read_text().splitlines() if line.startswith("{")]
    pauses = [
        entry["pause_seconds"] for entry in entries if entry.get("command") == command and "pause_seconds" in entry
    ]
    return pauses if len(pauses) >= count else None


def test_sigterm_ends_all_children_and_exits_0(tmp_path):
    with local(tmp_path) as running:
        wait_until(lambda: running.ticks("collect"))
        (stopped,) = running.children("collect")
        children = [*running.children("collect"), *running.children("discover")]
        stopped.suspend()
        running.process.terminate()

        assert 0 == running.process.wait(10)
        assert [False] * 2 == [child.is_running() for child in children]
        assert ["done", "done"] == [outcome for (outcome,) in running.rows("SELECT outcome FROM runs")][:2]


def test_children_end_when_their_scheduler_is_killed(tmp_path):
    with local(tmp_path) as running:
        wait_until(lambda: running.ticks("collect"))
        children = [*running.children("collect"), *running.children("discover")]
        running.process.kill()
        _, alive = psutil.wait_procs(children, timeout=10)

        assert [] == alive


def test_a_scheduler_that_was_stopped_goes_on(tmp_path):
    with local(tmp_path, window=3) as running:
        wait_until(lambda: running.ticks("collect"))
        os.kill(running.process.pid, signal.SIGSTOP)
        time.sleep(4)
        before = len(running.rows("SELECT id FROM runs"))
        os.kill(running.process.pid, signal.SIGCONT)
        wait_until(lambda: len(running.rows("SELECT id FROM runs")) >= before + 2)

        assert None is running.process.poll()


def test_a_bad_window_stops_it_with_one_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "jobs", "local", "--instances", "i", "--store", "s", "--window", "0"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (2, 1) == (done.returncode, len(done.stderr.splitlines()))
