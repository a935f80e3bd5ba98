"""The API as a process: before there is a store, without a collector, at its end, and what it refuses to start with."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest
from api_process import Api, an_api
from stores import TICK_MS, a_fleet, an_instance


def now_ms():
    """Return the wall clock."""
    return int(time.time() * 1000)


def refusal(*arguments, **environment):
    """Return the exit code and the sentence of an API that doesn't start."""
    done = subprocess.run(
        [sys.executable, "-m", "api", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()[-1]


def test_it_starts_before_the_store_and_serves_it_as_soon_as_it_is_there(tmp_path):
    store = tmp_path / "loco.db"
    with an_api(store) as api:
        assert (200, 503) == (api.ask("/livez").status, api.ask("/readyz").status)
        early = api.ask("/api/quality/deep-health")
        assert (503, "StoreUnreadable", "5") == (early.status, early.json["reason"], early.headers["retry-after"])
        assert early.json["detail"].endswith("isn't there yet; a job makes it at its first run")
        page = api.ask("/", headers={"Accept": "text/html"})
        assert (503, True) == (page.status, b"No data:" in page.body)
        assert "application/problem+json" == api.ask("/").headers["content-type"]
        with a_fleet(store, [an_instance()], at_ms=now_ms() - TICK_MS) as fleet:
            fleet.ticks()
            assert "healthy" == api.ask("/api/quality/deep-health/instance-0").json["verdict"]
            assert 200 == api.ask("/readyz").status


def test_a_tick_is_seen_by_the_next_request(tmp_path):
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=now_ms() - 2 * TICK_MS) as fleet:
        fleet.ticks()
        with an_api(tmp_path / "loco.db") as api:
            before = api.ask("/api/quality/deep-health/instance-0")
            fleet.ticks()
            after = api.ask("/api/quality/deep-health/instance-0")

    assert (1, 2) == (before.json["probe"]["tick"], after.json["probe"]["tick"])
    assert before.headers["etag"] != after.headers["etag"]


def test_without_a_collector_everything_reads_unknown_and_the_api_isnt_ready(tmp_path):
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=now_ms() - 10 * TICK_MS) as fleet:
        fleet.ticks()
    with an_api(tmp_path / "loco.db") as api:
        told = api.ask("/api/quality/deep-health/instance-0")
        ready = api.ask("/readyz")
        page = api.ask("/")

    assert ("unknown", True, "healthy") == (
        told.json["overallStatus"],
        told.json["stale"],
        told.json["lastAssessment"]["verdict"],
    )
    assert 100 < int(told.headers["age"]) < 200
    assert (503, "CollectorSilent") == (ready.status, ready.json["reason"])
    assert (200, True) == (page.status, b"Nobody is watching" in page.body)


@pytest.mark.parametrize("allowed_seconds", [5, pytest.param(2, marks=pytest.mark.soak)])
def test_sigterm_ends_it_in_time_though_clients_linger(tmp_path, allowed_seconds):
    with a_fleet(tmp_path / "loco.db", [an_instance(n) for n in range(40)], at_ms=now_ms() - TICK_MS) as fleet:
        fleet.ticks()
    with (
        an_api(tmp_path / "loco.db") as api,
        socket.create_connection(("127.0.0.1", api.port)) as idle,
        socket.create_connection(("127.0.0.1", api.port)) as slow,
    ):
        idle.sendall(b"GET /livez HTTP/1.1\r\n")
        slow.sendall(b"GET /api/quality/deep-health HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        api.ask("/livez")

        code, seconds = api.stop()

    assert (0, True) == (code, seconds < allowed_seconds)


def test_a_crowd_of_requests_leaves_no_line_in_the_log(tmp_path):
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=now_ms() - TICK_MS) as fleet:
        fleet.ticks()
    with an_api(tmp_path / "loco.db") as api:
        crowd = [socket.create_connection(("127.0.0.1", api.port), timeout=20) for _ in range(60)]
        for one in crowd:
            one.sendall(b"GET /api/quality/deep-health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        statuses = {one.makefile("rb").readline() for one in crowd}
        for one in crowd:
            one.close()
        api.stop()

        assert {b"HTTP/1.1 200 OK\r\n"} == statuses
        assert ["stopped"] == [json.loads(line)["msg"] for line in api.process.stderr]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_every_address_is_that_of_either_family(tmp_path):
    with an_api(tmp_path / "loco.db", host="[::]") as api:
        assert 200 == api.ask("/livez").status  # by 127.0.0.1


def test_a_port_that_is_taken_is_one_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, sentence = refusal("--store", tmp_path / "loco.db", "--listen", f"127.0.0.1:{port}")

    assert 2 == code
    assert sentence == (
        f"loco-api: can't listen on 127.0.0.1:{port}: address already in use; "
        "name another address with --listen; nothing was started"
    )


@pytest.mark.parametrize("value", ["3000", ":3000", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:http", "[::1]"])
def test_a_bad_address_is_one_sentence(tmp_path, value):
    code, sentence = refusal("--store", tmp_path / "loco.db", LOCO_API_LISTEN=value)

    assert 2 == code
    assert f"{value!r} is no HOST:PORT with a port from 0 to 65535; nothing was started" in sentence


def test_an_unknown_setting_is_refused():
    code, sentence = refusal(LOCO_API_LISTN="127.0.0.1:3000")

    assert (2, True) == (
        code,
        "LOCO_API_LISTN is not a setting of loco-health (did you mean LOCO_API_LISTEN?)" in sentence,
    )


BROKEN = """
import socket
from api.serving import open_server
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
open_server(lambda environ, start_response: 1 / 0, listener).run()
"""


def test_a_bug_of_ours_is_a_problem_without_its_traceback():
    with subprocess.Popen(
        [sys.executable, "-c", BROKEN], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        reply = Api(process, int(process.stdout.readline())).ask("/")
        process.kill()

    assert (500, "application/problem+json", "InternalError") == (
        reply.status,
        reply.headers["content-type"],
        reply.json["reason"],
    )
    assert b"ZeroDivisionError" not in reply.body
