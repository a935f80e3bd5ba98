"""The flight recorder: what a bundle holds and never holds, how large and how old it gets, and what it costs."""

import json
import os
import time
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest
from attempts import Recovery, World
from builders import a_report, an_assessment
from pods import a_pod, a_pods_instance, pod_json
from servers import hang, http, serving
from stores import TICK_MS, a_fleet, an_instance

from jobs.health.model import Evidence
from jobs.probe.actions import AgentCalls
from jobs.probe.verify import Look
from jobs.recovery.evidence import SIGNALS_MS, Recorder, encode
from jobs.store.connection import open_store
from jobs.store.evidence import (
    MAX_AGE_SECONDS,
    MAX_BUNDLE_BYTES,
    MAX_TOTAL_BYTES,
    folder_of,
    path_of,
    prune,
    read_bundle,
    write_bundle,
)

# The files are as old as the machine's clock says.
NOW_MS = round(time.time() * 1000)
PNG = b"\x89PNG\r\n\x1a\nof now"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJjYW5hcnkiOjF9.c2ln"
CANARIES = ("canary-password", "canary-key", "canary-env", TOKEN, "canary-bearer", "ab" * 32)


class Agent:
    """Answers evidence and picture by its script; others hang."""

    def __init__(self, evidence=None, png=PNG):
        self.evidence = {"interfaces": []} if evidence is None else evidence
        self.png = png

    def serve(self, connection):
        """Answer one request."""
        while head := connection.recv(65536):
            if b"/evidence" in head:
                connection.sendall(http(json.dumps(self.evidence).encode()))
            else:
                connection.sendall(http(self.png, content_type="image/png"))


@pytest.fixture
def keeping(tmp_path):
    """Return what keeps one bundle of an instance with 20 minutes of history, and returns it as read back."""
    with ExitStack() as opened:
        store = tmp_path / "loco.db"
        instance = an_instance()
        fleet = opened.enter_context(a_fleet(store, [instance], at_ms=NOW_MS - 80 * TICK_MS))
        fleet.ticks(80)
        fleet.picture("instance-0", b"\x89PNG\r\n\x1a\nbefore")
        calls = opened.enter_context(closing(AgentCalls()))

        def keep(serve, *, pod=None, known=None, report=None, late_ms=0):
            server = opened.enter_context(serving(serve))
            recorder = Recorder(fleet.connection, store, calls, pod=lambda: pod, wall_ms=lambda: NOW_MS + late_ms)
            attempt = replace(an_attempt(tmp_path), id=7)
            found = replace(known or instance, key=instance.key, health_url=server.url)
            look = Look(1.0, found, an_assessment("ScreenFrozen"), report or a_report())
            keep.why_not = recorder.keep(attempt, look)
            keep.add_after = lambda seen: recorder.add_after(attempt, replace(look, assessment=seen))
            return json.loads(read_bundle(store, 7) or b"null")

        yield keep


def an_attempt(tmp_path):
    recovery = Recovery(tmp_path / "ledger.db", World())
    with closing(recovery.connection):
        return recovery.row


def test_a_bundle_holds_what_there_was_to_see(keeping):
    bundle = keeping(Agent({"qmp": {"status": "running"}}).serve)

    assert "" == keeping.why_not
    assert (7, "instance-0", "reset-audio", "incident-0") == tuple(
        bundle[name] for name in ("attempt", "instance", "action", "incident")
    )
    assert ["ScreenFrozen"] == [reason["code"] for reason in bundle["reasons"]]
    assert {"qmp": {"status": "running"}} == bundle["agent"]
    assert "healthy" == bundle["report"]["overall_status"]
    assert ["iVBORw0KGgpiZWZvcmU=", "iVBORw0KGgpvZiBub3c="] == [one["png"] for one in bundle["screens"]]
    assert [] == bundle["leftOut"]


def test_what_came_of_it_is_added_to_what_was_seen_before(keeping, tmp_path):
    agent = Agent()
    before = keeping(agent.serve)
    agent.png = b"\x89PNG\r\n\x1a\nafter"

    assert "" == keeping.add_after(an_assessment())
    bundle = json.loads(read_bundle(tmp_path / "loco.db", 7))
    after = bundle.pop("after")
    assert before == bundle
    assert ("healthy", [], "iVBORw0KGgphZnRlcg==") == (after["verdict"], after["reasons"], after["screen"]["png"])


def test_what_is_added_holds_no_secret_either(keeping, tmp_path):
    keeping(Agent().serve)

    leaky = an_assessment("ScreenFrozen")
    (reason,) = leaky.reasons
    leaky = replace(leaky, reasons=(replace(reason, evidence=(Evidence("detail", f"token {TOKEN}"),)),))
    assert "" == keeping.add_after(leaky)
    kept = path_of(tmp_path / "loco.db", 7).read_text()
    assert (False, True) == (TOKEN in kept, "(redacted)" in kept)


def test_of_an_attempt_without_a_bundle_nothing_is_kept_after_it(keeping, tmp_path):
    keeping(Agent().serve)
    path_of(tmp_path / "loco.db", 7).unlink()

    assert "it has no bundle to add to" == keeping.add_after(an_assessment())
    assert [] == kept(tmp_path / "loco.db")


def test_a_bundle_that_was_damaged_since_is_said_and_left(keeping, tmp_path):
    keeping(Agent().serve)
    path_of(tmp_path / "loco.db", 7).write_bytes(b"{")

    assert "truncated" in keeping.add_after(an_assessment())
    assert b"{" == read_bundle(tmp_path / "loco.db", 7)


def test_the_signals_are_those_of_the_last_ten_minutes(keeping):
    signals = keeping(Agent().serve)["signals"]

    assert SIGNALS_MS // TICK_MS == len(signals)
    assert list(range(41, 81)) == [one["tick"] for one in signals]
    assert {"healthy"} == {one["verdict"] for one in signals}


def test_ticks_that_a_collector_left_longer_ago_are_no_signals(keeping):
    signals = keeping(Agent().serve, late_ms=5 * 60_000)["signals"]

    assert list(range(60, 81)) == [one["tick"] for one in signals]


def test_each_bundle_makes_room_for_itself(keeping, tmp_path):
    a_bundle(tmp_path / "loco.db", 1, age_seconds=MAX_AGE_SECONDS + 10)
    keeping(Agent().serve)

    assert [7] == kept(tmp_path / "loco.db")


def test_what_was_not_to_be_had_says_why(keeping):
    bundle = keeping(Agent([]).serve)

    assert {"error": "the instance has no pod that could be read"} == bundle["pod"]
    assert {"error": "the instance has no pod, so no node is known"} == bundle["node"]


def test_a_pod_is_told_by_its_state_and_never_by_its_environment(keeping):
    pod = pod_json(spec={"containers": [{"name": "emulator", "env": [{"name": "X", "value": "canary-env"}]}]})
    bundle = keeping(Agent().serve, pod=pod, known=a_pods_instance(uid="uid-1"))

    assert "uid-of-loco-emulator-0" == bundle["pod"]["metadata"]["uid"]
    assert "conditions" in bundle["pod"]["status"]
    assert "canary-env" not in json.dumps(bundle)
    assert "node-1" == bundle["node"]["name"]


NODES = {
    "bad": ("NotReady, cordoned", {"name": "node-1", "problem": "NotReady, cordoned"}),
    "well": ("", {"name": "node-1", "problem": ""}),
    "not told": (
        None,
        {"name": "node-1", "problem": None, "error": "node conditions come with component node-facts"},
    ),
}


@pytest.mark.parametrize(("problem", "told"), NODES.values(), ids=NODES)
def test_a_node_is_told_by_its_bad_conditions_as_far_as_they_are_known(keeping, problem, told):
    known = a_pods_instance(a_pod(node="node-1", node_problem=problem), uid="uid-1")

    assert told == keeping(Agent().serve, known=known)["node"]


def test_no_secret_is_kept_wherever_it_was_planted(keeping, tmp_path):
    planted = {
        "command": f"qemu -vnc :1,password=canary-password -object secret,data={'ab' * 32}",
        "env": ["canary-env"],
        "headers": {"Authorization": "canary-key", "note": "Authorization: Bearer canary-bearer-1"},
        "events": [{"detail": f"token {TOKEN}"}],
    }
    pod = pod_json(metadata={"labels": {"token": "canary-key"}}, status={"message": f"Bearer {TOKEN}"})
    report = a_report(screen={"error": "password=canary-password"})
    keeping(Agent(planted).serve, pod=pod, known=a_pods_instance(), report=report)

    kept = path_of(tmp_path / "loco.db", 7).read_text()
    assert [] == [canary for canary in CANARIES if canary in kept]
    assert "(redacted)" in kept


def test_a_hung_agent_costs_two_seconds_and_the_rest_is_kept(keeping):
    began = time.monotonic()
    bundle = keeping(hang)

    assert time.monotonic() - began < 3
    assert {"error": "no answer within 1.2 s"} == bundle["agent"]
    assert {"error": "no answer within 0.6 s"} == bundle["screens"][1]
    assert bundle["signals"]


@pytest.mark.parametrize("body", [b"<html>", b"[" * 100_000, b"\xff"])
def test_evidence_that_is_no_json_is_said(keeping, body):
    def serve(connection):
        while connection.recv(65536):
            connection.sendall(http(body))

    assert keeping(serve)["agent"]["error"].startswith("the agent's evidence is no JSON")


def test_a_bundle_that_would_be_too_large_says_what_had_to_go():
    half = "x" * (MAX_BUNDLE_BYTES // 2)
    body = encode({"attempt": 7, "signals": half, "screens": half, "agent": half, "pod": None, "report": {}})

    assert len(body) <= MAX_BUNDLE_BYTES
    assert ["signals", "screens"] == json.loads(body)["leftOut"]
    assert half == json.loads(body)["agent"]
    assert ["signals", "screens", "agent"] == json.loads(encode({**json.loads(body), "after": half}))["leftOut"]


def test_a_bundle_that_cannot_be_kept_is_said_in_one_clause(keeping, tmp_path):
    (tmp_path / "evidence").write_text("no folder")

    with pytest.raises(NotADirectoryError):
        keeping(Agent().serve)
    assert "it can't be written: File exists" == keeping.why_not


# The files


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "loco.db"
    open_store(path).close()
    return path


def a_bundle(store, attempt_id, *, age_seconds, size=10):
    """Keep a bundle of that age and size."""
    write_bundle(store, attempt_id, b"")
    path = path_of(store, attempt_id)
    with path.open("r+b") as file:
        file.truncate(size)
    at = NOW_MS / 1000 - age_seconds
    os.utime(path, (at, at))


def kept(store):
    return sorted(int(path.stem) for path in folder_of(store).glob("*.json"))


def test_a_bundle_that_is_not_there_is_none(store):
    assert read_bundle(store, 1) is None


def test_a_bundle_is_replaced_whole_and_leaves_nothing_beside(store):
    write_bundle(store, 1, b"one")
    write_bundle(store, 1, b"two")

    assert b"two" == read_bundle(store, 1)
    assert ["1.json"] == [path.name for path in folder_of(store).iterdir()]


def test_a_bundle_that_is_too_large_is_neither_written_nor_read(store):
    with pytest.raises(ValueError, match="at most 2097152 are kept"):
        write_bundle(store, 1, b"x" * (MAX_BUNDLE_BYTES + 1))
    assert kept(store) == []

    a_bundle(store, 1, age_seconds=0, size=MAX_BUNDLE_BYTES + 1)
    with pytest.raises(OSError, match="so it is no bundle"):
        read_bundle(store, 1)


def test_a_writer_that_fails_leaves_the_bundle_before(store, monkeypatch):
    write_bundle(store, 1, b"one")

    def fail(_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        write_bundle(store, 1, b"two")

    assert b"one" == read_bundle(store, 1)
    assert ["1.json"] == [path.name for path in folder_of(store).iterdir()]


def test_bundles_go_after_a_week(store):
    a_bundle(store, 1, age_seconds=MAX_AGE_SECONDS + 10)
    a_bundle(store, 2, age_seconds=MAX_AGE_SECONDS - 10)

    assert 1 == prune(store, at_seconds=NOW_MS / 1000)
    assert [2] == kept(store)


def test_the_oldest_go_first_where_they_are_too_many(store):
    most = MAX_TOTAL_BYTES // MAX_BUNDLE_BYTES
    for number in range(most + 3):
        a_bundle(store, number, age_seconds=number, size=MAX_BUNDLE_BYTES)

    assert 3 == prune(store, at_seconds=NOW_MS / 1000)
    assert list(range(most)) == kept(store)


def test_pruning_leaves_strangers_and_takes_what_dead_writers_left(store):
    folder_of(store).mkdir()
    for name in ("notes.txt", "1.json.bak", ".3-77.unfinished", ".4-78.unfinished"):
        (folder_of(store) / name).write_text("x")
    at = NOW_MS / 1000
    for name, age in (("notes.txt", 10**7), ("1.json.bak", 10**7), (".3-77.unfinished", 7200), (".4-78.unfinished", 5)):
        os.utime(folder_of(store) / name, (at - age, at - age))

    assert 0 == prune(store, at_seconds=at)
    assert {"notes.txt", "1.json.bak", ".4-78.unfinished"} == {path.name for path in folder_of(store).iterdir()}


def test_pruning_without_a_folder_is_nothing(store):
    assert 0 == prune(store, at_seconds=0.0)
