"""The API beside a mounted ConfigMap, in its folder as a kubelet keeps it, and a store that isn't there."""

from contextlib import closing
from dataclasses import replace

import pytest
from api_process import an_api
from pods import a_pod, a_pods_instance
from stores import TICK_MS, a_fleet

from api.fleet import Source
from api.follower import Follower
from api.instants import now_ms
from api.mounted import Mounted
from jobs.cluster.snapshot import JSON, render
from jobs.health.model import ProbeOutcome
from jobs.store.connection import open_store
from jobs.store.snapshot import read_snapshot

START_MS = 1_795_550_863_000
REFUSED = {"instance-1": ProbeOutcome.REFUSED}


def instance(ordinal):
    """Return the instance of a pod."""
    pod = a_pod(name=f"loco-emulator-{ordinal}")
    return replace(a_pods_instance(pod), public_id=f"instance-{ordinal}", uid=f"uid-{ordinal}")


class Mount:
    """A ConfigMap's volume: a kubelet writes a new folder and swaps the link `..data`."""

    def __init__(self, folder):
        self.folder = folder
        self._count = 0
        folder.mkdir()

    def swap(self, text):
        """Give it new content, None for an empty ConfigMap."""
        self._count += 1
        new = self.folder / f"..{self._count}"
        new.mkdir()
        if text is not None:
            (new / JSON).write_text(text)
        (self.folder / "..new").symlink_to(new.name)
        (self.folder / "..new").replace(self.folder / "..data")
        if not (self.folder / JSON).is_symlink():
            (self.folder / JSON).symlink_to(f"..data/{JSON}")


@pytest.fixture
def fleet(tmp_path):
    with a_fleet(tmp_path / "loco.db", [instance(0), instance(1)], at_ms=START_MS) as fleet:
        fleet.ticks(3, REFUSED)
        yield fleet


@pytest.fixture
def mount(tmp_path):
    return Mount(tmp_path / "snapshot")


def published(fleet, *, late_ms=1000):
    """Return what discover publishes of the fleet."""
    return render(read_snapshot(fleet.connection, at_ms=fleet.at_ms + late_ms))[JSON]


class Reader:
    """A follower of a store and a mount at a time that a test sets."""

    def __init__(self, store, mount, now_ms):
        self.now_ms = now_ms
        self.follower = Follower(store, lambda: self.now_ms, second=Mounted(mount.folder))

    def look(self):
        """Return source, verdicts and problem."""
        fleet = self.follower.look()
        return fleet.source, [standing.verdict.value for standing in fleet.standings.values()], fleet.problem

    def close(self):
        """Close the file."""
        self.follower.close()


@pytest.fixture
def reader(fleet, mount, tmp_path):
    """A reader without a store, ten seconds after the last tick."""
    with closing(Reader(tmp_path / "gone.db", mount, fleet.at_ms + 10_000)) as reader:
        yield reader


def test_without_a_store_the_configmap_answers_and_says_so(fleet, mount, reader):
    mount.swap(published(fleet))
    source, verdicts, problem = reader.look()

    assert (Source.CONFIGMAP, ["healthy", "unreachable"]) == (source, verdicts)
    assert problem.startswith(f"store {reader.follower.path} isn't there yet")
    assert problem.endswith("; ConfigMap loco-health of 2026-11-24T20:08:29.000Z answers in its place")


def test_a_swapped_link_is_seen_and_an_unchanged_one_gives_the_same_fleet(fleet, mount, reader):
    mount.swap(published(fleet))
    before = reader.follower.look()
    same = reader.follower.look()
    fleet.ticks(1)
    mount.swap(published(fleet))
    reader.now_ms = fleet.at_ms + 10_000

    assert before is same
    assert (Source.CONFIGMAP, ["healthy", "healthy"]) == reader.look()[:2]


def test_it_is_believed_for_five_minutes_and_then_reads_unknown(fleet, mount, reader):
    mount.swap(published(fleet, late_ms=0))
    reader.now_ms = fleet.at_ms + 300_000
    believed = reader.look()[1]
    reader.now_ms += 1

    assert (["healthy", "unreachable"], ["unknown", "unknown"]) == (believed, reader.look()[1])
    assert reader.follower.look().is_silent


def test_what_was_stale_when_it_was_written_is_stale(fleet, mount, reader):
    mount.swap(published(fleet, late_ms=46_000))
    reader.now_ms = fleet.at_ms + 46_000

    assert ["unknown", "unknown"] == reader.look()[1]
    assert reader.follower.look().is_silent


def test_a_store_that_can_be_read_wins_over_a_newer_configmap(fleet, mount, tmp_path):
    fleet.ticks(1)
    mount.swap(published(fleet))
    with a_fleet(tmp_path / "other.db", [instance(5)], at_ms=START_MS) as other:
        other.ticks()
        with closing(Reader(tmp_path / "other.db", mount, other.at_ms)) as reader:
            assert (Source.STORE, ["healthy"], "") == reader.look()


def test_a_store_that_goes_away_is_answered_by_whoever_saw_more(fleet, mount, tmp_path):
    mount.swap(published(fleet))
    fleet.ticks(1)
    with closing(Reader(tmp_path / "loco.db", mount, fleet.at_ms)) as reader:
        first = reader.look()
        (tmp_path / "loco.db").rename(tmp_path / "away.db")
        kept = reader.look()
        with closing(open_store(tmp_path / "away.db")) as fleet.connection:
            fleet.ticks(1, REFUSED)
            mount.swap(published(fleet))
        reader.now_ms = fleet.at_ms
        newer = reader.look()
        (tmp_path / "away.db").rename(tmp_path / "loco.db")
        back = reader.look()

    assert (Source.STORE, ["healthy", "healthy"], "") == first
    assert (Source.STORE, ["healthy", "healthy"]) == kept[:2]
    assert (Source.CONFIGMAP, ["healthy", "unreachable"]) == newer[:2]
    assert (Source.STORE, ["healthy", "unreachable"], "") == back


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "it isn't there yet"),
        ("", "it is no snapshot of a fleet (Input data was truncated)"),
        ("{}", "it is no snapshot of a fleet (Object missing required field `version`)"),
        ("x" * 1_100_000, "it is over 1048576 bytes long, the most that a ConfigMap holds"),
    ],
)
def test_a_broken_foreign_or_oversized_file_is_one_sentence(mount, reader, text, why):
    mount.swap(text)
    source, verdicts, problem = reader.look()

    assert (Source.STORE, []) == (source, verdicts)
    assert problem.endswith(f"; the second source {mount.folder / JSON} can't be read either: {why}")


def test_a_broken_file_leaves_the_last_good_one(fleet, mount, reader):
    mount.swap(published(fleet))
    reader.look()
    mount.swap("broken")

    assert (Source.CONFIGMAP, ["healthy", "unreachable"]) == reader.look()[:2]


def test_a_folder_in_the_files_place_is_no_snapshot(mount, reader):
    (mount.folder / JSON).mkdir()

    assert reader.look()[2].endswith("can't be read either: it is no file")


def test_over_http_verdicts_come_marked_and_what_needs_the_store_is_503(mount, tmp_path, monkeypatch):
    with a_fleet(tmp_path / "loco.db", [instance(0), instance(1)], at_ms=now_ms() - 4 * TICK_MS) as fleet:
        fleet.ticks(3, REFUSED)
        mount.swap(published(fleet))
    monkeypatch.setenv("LOCO_SNAPSHOT", str(mount.folder))
    with an_api(tmp_path / "gone.db") as api:
        health = api.ask("/api/quality/deep-health").json
        one = api.ask("/api/quality/deep-health/instance-1").json
        marked = [
            api.ask("/api/quality/summary").json,
            api.ask("/api/instances/discovery-info").json,
            *api.ask("/api/instances").json,
            *api.ask("/api/instances/live").json["instances"],
            *health.values(),
        ]
        ready = api.ask("/readyz")
        page = api.ask("/", headers={"Accept": "text/html"})
        refused = [api.ask(path).status for path in ("/api/incidents", "/api/runs", "/api/instances/instance-0/why")]
        metrics = api.ask("/metrics").body.decode()

    assert {"configmap"} == {body["source"] for body in marked}
    assert ["healthy", "unreachable"] == [each["overallStatus"] for each in health.values()]
    assert ("refused", "ok", None) == (one["probe"]["outcome"], one["connectivity"]["outcome"], one["deepHealth"])
    assert (503, "StoreUnreadable") == (ready.status, ready.json["reason"])
    assert "answers in its place" in ready.json["detail"]
    assert (200, True) == (page.status, b"answers in its place" in page.body)
    assert [503, 503, 503] == refused
    assert "\nloco_store_size_bytes " not in metrics
