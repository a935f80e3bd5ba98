"""`discover` follows its file, through everything a person may do to it."""

import json
import subprocess
import sys
from contextlib import closing

import pytest

from jobs.discovery.file import FileRounds
from jobs.store import reader
from jobs.store.asked import last_asked
from jobs.store.connection import open_store, transaction

ENTRY = {"id": "a", "healthUrl": "http://127.0.0.1:8080"}
OTHER = {"id": "b", "healthUrl": "http://127.0.0.1:8081"}


class Rounds:
    """Makes the rounds of one discoverer as a window would."""

    def __init__(self, connection, path):
        self.connection = connection
        self.path = path
        self.discovery = FileRounds(path, clock=lambda: 1_800_000_000_000)
        self.discovery.resume(connection)

    def look(self):
        """Make one tick; return the ids of the stored inventory, and the problem."""
        observed = self.discovery.observe(self.discovery.beats[0], 1)
        with transaction(self.connection):
            if observed.write:
                observed.write(self.connection)
        ids = [instance.public_id for instance in reader.inventory(self.connection)]
        assert len(ids) == observed.instances
        return ids, observed.problem


@pytest.fixture
def rounds(tmp_path):
    with closing(open_store(tmp_path / "loco.db")) as connection:
        yield Rounds(connection, tmp_path / "instances.json")


def test_the_inventory_is_what_the_file_says(rounds):
    rounds.path.write_text(json.dumps([ENTRY]))
    first = rounds.look()
    rounds.path.write_text(json.dumps([OTHER]))

    assert (["a"], None) == first
    assert (["b"], None) == rounds.look()


def test_a_missing_file_is_a_problem_until_it_is_there(rounds):
    missing = rounds.look()
    rounds.path.write_text(json.dumps([ENTRY]))

    assert ([], f"{rounds.path}: No such file or directory; there is no inventory yet") == missing
    assert (["a"], None) == rounds.look()


def test_a_broken_file_keeps_the_last_good_inventory_and_says_so_at_each_tick(rounds):
    rounds.path.write_text(json.dumps([ENTRY]))
    rounds.look()
    rounds.path.write_text('[\n{"id": "b",}]')
    broken = [rounds.look() for _ in range(2)]
    rounds.path.write_text(json.dumps([ENTRY]))

    sentence = f"{rounds.path}: line 2 column 12: JSON is malformed: trailing comma in object"
    assert [(["a"], f"{sentence}; the last good inventory stays")] * 2 == broken
    assert (["a"], None) == rounds.look()


def test_a_file_that_did_not_change_moves_no_revision(rounds):
    rounds.path.write_text(json.dumps([ENTRY]))
    rounds.look()
    before = reader.revision(rounds.connection)
    rounds.look()

    assert before == reader.revision(rounds.connection)


def test_a_tick_that_was_not_committed_is_made_up_for(rounds):
    rounds.path.write_text(json.dumps([ENTRY]))
    rounds.discovery.observe(rounds.discovery.beats[0], 1)

    assert (["a"], None) == rounds.look()


def test_the_command_line_discovers_once_by_hand(tmp_path):
    (tmp_path / "instances.json").write_text(json.dumps([ENTRY, OTHER]))
    words = ["discover", "--instances", "instances.json", "--store", "loco.db", "--window", "0"]
    run = subprocess.run(
        [sys.executable, "-m", "jobs", *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert (0, "discover: tick 1 of 2 instances") == (run.returncode, run.stdout[:31])


def test_without_a_cluster_no_client_of_one_is_loaded(tmp_path):
    (tmp_path / "instances.json").write_text(json.dumps([ENTRY]))
    words = ["discover", "--instances", "instances.json", "--store", "loco.db", "--window", "0"]
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "jobs", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in run.stderr.splitlines() if "|" in line}

    assert set() == loaded & {"kubernetes", "urllib3", "requests"}


BAD_SETTINGS = {
    "": "neither namespaces nor an instances file is given",
    "--namespaces=a,Lo_co": "namespaces 'a,Lo_co': 'Lo_co' is no name of a namespace, 1 to 63 of a-z 0-9 - are allowed",
    f"--namespaces={','.join(f'n{n}' for n in range(51))}": "namespaces: 51 are named, at most 50",
    "--selector= ": "selector is empty, which would watch every pod; name a label",
}


@pytest.mark.parametrize("word", BAD_SETTINGS)
def test_a_bad_setting_is_one_sentence_and_nothing_is_started(tmp_path, word):
    run = subprocess.run(
        [sys.executable, "-m", "jobs", "discover", "--store", "loco.db", *([word] if word else [])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (2, False) == (run.returncode, (tmp_path / "loco.db").exists())
    assert f"{BAD_SETTINGS[word]}; nothing was started" in run.stderr


def test_a_changed_inventory_asks_for_a_tick_of_collect_and_the_same_one_does_not(rounds):
    rounds.path.write_text(json.dumps([ENTRY]))
    rounds.look()
    first = last_asked(rounds.connection, "collect")
    rounds.path.write_text(json.dumps([ENTRY], indent=1))
    rounds.look()
    same = last_asked(rounds.connection, "collect")
    rounds.path.write_text(json.dumps([OTHER]))
    rounds.look()

    assert (1, 1, 2) == (first, same, last_asked(rounds.connection, "collect"))
