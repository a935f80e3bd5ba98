"""Asking the API of one machine: the token of this start, from this machine, and a real process that does it."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from api_process import an_api
from api_server import wait_for
from stores import TICK_MS, a_fleet, an_instance

RECOVER = "/api/quality/recover/instance-0"
REFRESH = "/api/instances/refresh"


@contextmanager
def on_this_machine(folder, *words, **settings):
    """Yield an API over a store with one healthy instance, and the token of its start."""
    with watched(folder, *words, **settings) as (_, api, token):
        yield api, token


@contextmanager
def watched(folder, *words, **settings):
    """Yield the fleet of one instance beside them, for more ticks."""
    store, inventory = folder / "loco.db", folder / "instances.json"
    inventory.write_text(json.dumps([an_instance().fields]))
    token_file = folder / "token"
    given = {"LOCO_TOKEN_FILE": str(token_file), "LOCO_INSTANCES": str(inventory), **settings}
    with a_fleet(store, [an_instance()], at_ms=int(time.time() * 1000) - TICK_MS) as fleet:
        fleet.ticks()
        with an_api(store, is_patient=True, words=words, **given) as api:
            yield fleet, api, token_file.read_text().strip()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with watched(tmp_path_factory.mktemp("local")) as made:
        yield made


@pytest.fixture
def running(shared):
    """An API and its token, over a store with a tick of now."""
    fleet, api, token = shared
    fleet.tick_now()
    return api, token


def test_a_token_for_others_than_loopback_is_refused_at_the_start(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "api", "--store", tmp_path / "loco.db", "--listen", "0.0.0.0:0"],
        env={**os.environ, "LOCO_TOKEN_FILE": str(tmp_path / "token")},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert (2, False) == (done.returncode, (tmp_path / "token").exists())
    assert "LOCO_TOKEN_FILE is for loopback alone and the API listens on 0.0.0.0" in done.stderr


@pytest.mark.parametrize("path", [RECOVER, REFRESH])
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (None, "CredentialsMissing"),
        ("Bearer no-such-canary", "CredentialsRefused"),
        ("Basic dXNlcjpwYXNz", "CredentialsRefused"),
    ],
)
def test_without_the_token_of_this_start_nothing_is_started(running, path, line, reason):
    api, token = running

    reply = api.post(path, headers={"Authorization": line} if line else {})

    assert (401, reason, "Bearer") == (reply.status, reply.json["reason"], reply.headers["www-authenticate"])
    assert [] == [canary for canary in (token, "no-such-canary") if canary in f"{reply.headers}{reply.body}"]
    assert [] == children_of(api.process.pid)


def test_a_dry_run_says_what_would_be_done_and_starts_nothing(running):
    api, token = running

    reply = api.post(RECOVER, token=token, body={"dryRun": True})

    assert (200, "BootGrace") == (reply.status, reply.json["plan"]["hold"])
    assert "Nothing was started; nothing would be done: BootGrace: " in reply.json["message"]
    assert [] == children_of(api.process.pid)


def test_a_dry_run_asks_for_the_token_too(running):
    assert 401 == running[0].post(RECOVER, body={"dryRun": True}).status


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:3000"},
        {"Host": "10.0.0.1:3000"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_sites_page_and_another_name_are_refused_even_with_the_token(running, headers):
    api, token = running

    reply = api.post(RECOVER, token=token, headers=headers)

    assert (403, "ForeignOrigin") == (reply.status, reply.json["reason"])


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_page_of_this_api_with_the_token_gets_as_far_as_the_instance(running, host):
    api, token = running
    own = {"Host": f"{host}:{api.port}", "Origin": f"http://{host}:{api.port}", "Sec-Fetch-Site": "same-origin"}

    assert 404 == api.post("/api/quality/recover/nobody", token=token, headers=own).status


def test_the_tokens_file_is_for_this_user_alone_and_new_at_each_start(tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text("old")
    token_file.chmod(0o644)

    found = []
    for _ in range(2):
        with an_api(tmp_path / "loco.db", LOCO_TOKEN_FILE=str(token_file)):
            found.append((token_file.read_text().strip(), stat.S_IMODE(token_file.stat().st_mode)))

    assert 3 == len({"old", *(token for token, _ in found)})
    assert {(43, 0o600)} == {(len(token), mode) for token, mode in found}


def test_a_recovery_is_a_process_that_says_what_it_did(tmp_path):
    with on_this_machine(tmp_path) as (api, token):
        reply = api.post(RECOVER, token=token, body={"forceRecovery": True})
        name, pid, _ = reply.json["job"].rsplit(":", 2)

        assert (202, True, os.uname().nodename) == (reply.status, reply.json["forceRecovery"], name)
        wait_for(lambda: int(pid) not in children_of(api.process.pid) or is_zombie(int(pid)))
        api.process.terminate()
        lines = api.process.stderr.read().splitlines()

    assert token not in "".join(lines)
    said = [as_json(line) for line in lines]
    assert [("recovery asked for", True)] == [
        (line["msg"], line["forced"]) for line in said if line.get("logger") == "api.asked"
    ]
    assert [("instance-0", "stood-down")] == [(line["instance"], line["outcome"]) for line in said if "outcome" in line]


@pytest.mark.parametrize("words", [(), ("--control", "elsewhere")], ids=["beside the store", "named"])
def test_a_switch_that_the_api_sees_stops_what_it_starts(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    folder = Path(words[1] if words else "control")
    folder.mkdir()
    (folder / "recovery").write_text("off")

    assert ["KillSwitch: recovery is switched off in loco-control"] == said_by_a_recovery(tmp_path, *words)


def test_the_policy_that_the_api_goes_by_is_that_of_what_it_starts(tmp_path):
    (tmp_path / "policy.toml").write_text("")
    with on_this_machine(tmp_path, "--policy", str(tmp_path / "policy.toml")) as (api, token):
        pid = int(api.post(RECOVER, token=token).json["job"].rsplit(":", 2)[1])
        os.kill(pid, signal.SIGSTOP)
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        os.kill(pid, signal.SIGKILL)

    assert str(tmp_path / "policy.toml") == words[words.index("--policy") + 1]


def said_by_a_recovery(folder, *words):
    """Return how the recovery ended that an API with this command line was asked for."""
    with on_this_machine(folder, *words) as (api, token):
        pid = int(api.post(RECOVER, token=token).json["job"].rsplit(":", 2)[1])
        wait_for(lambda: pid not in children_of(api.process.pid) or is_zombie(pid))
        api.process.terminate()
        said = [as_json(line) for line in api.process.stderr.read().splitlines()]
    return [line["detail"] for line in said if "outcome" in line]


def test_a_refresh_asks_discover_for_a_tick(tmp_path):
    with on_this_machine(tmp_path) as (api, token):
        discovered = api.ask("/api/instances/discovery-info").json["discoveredAt"]

        assert (202, None) == (api.post(REFRESH, token=token).status, discovered)
        wait_for(lambda: api.ask("/api/instances/discovery-info").json["discoveredAt"])


def test_one_process_for_one_thing_at_a_time(tmp_path):
    with on_this_machine(tmp_path) as (api, token):
        first = api.post(RECOVER, token=token)
        pid = int(first.json["job"].rsplit(":", 2)[1])
        os.kill(pid, signal.SIGSTOP)
        try:
            second = api.post(RECOVER, token=token)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: is_zombie(pid))
        third = api.post(RECOVER, token=token)

    assert (202, 409, 202) == (first.status, second.status, third.status)
    assert f"process {pid} does it already; nothing was started" == second.json["detail"]


def test_a_process_that_was_asked_for_outlives_the_api(tmp_path):
    with on_this_machine(tmp_path) as (api, token):
        pid = int(api.post(RECOVER, token=token).json["job"].rsplit(":", 2)[1])
        os.kill(pid, signal.SIGSTOP)
        try:
            session = os.getsid(pid)
            api.stop()

            os.kill(pid, 0)
            assert pid == session  # so that no Ctrl-C in the API's terminal ends it in the middle of an act
        finally:
            os.kill(pid, signal.SIGKILL)


def test_without_an_inventory_there_is_nothing_to_refresh(tmp_path):
    with on_this_machine(tmp_path, LOCO_INSTANCES="") as (api, token):
        reply = api.post(REFRESH, token=token)

    assert (403, "AskingIsOff") == (reply.status, reply.json["reason"])


def test_an_api_that_was_given_no_way_only_reads(tmp_path):
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=int(time.time() * 1000)) as fleet:
        fleet.ticks()
    with an_api(tmp_path / "loco.db") as api:
        reply = api.post(RECOVER, headers={"Authorization": "Bearer x"})

    assert (403, "AskingIsOff") == (reply.status, reply.json["reason"])
    assert "neither LOCO_CLUSTER_CA nor LOCO_TOKEN_FILE; nothing was started" in reply.json["detail"]


def children_of(pid):
    """Return the pids of a process's children."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_zombie(pid):
    """Tell whether a process has ended and nobody has asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def as_json(line):
    """Return a log line's fields, none for a line that is no JSON."""
    return json.loads(line) if line.startswith("{") else {}
