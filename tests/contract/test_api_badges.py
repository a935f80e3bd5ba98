"""Badges and uptimes as the WSGI callable answers them, from a store that a real fleet's ticks filled."""

from contextlib import closing, contextmanager
from wsgiref.util import setup_testing_defaults
from xml.etree import ElementTree as ET

import pytest
from api_process import Reply
from stores import TICK_MS, a_fleet, an_instance

from api.app import Application
from api.follower import Follower
from jobs.health.model import ProbeOutcome

PERIODS = ("24h", "7d", "30d")
SVG = "{http://www.w3.org/2000/svg}"

# 2026-11-26T13:44:10Z.
NOW_MS = 1_795_700_650_000


class Api:
    """The WSGI callable over a store, at a moment that a test sets."""

    def __init__(self, path):
        self.now_ms = NOW_MS
        self.follower = Follower(path, lambda: self.now_ms)
        self.application = Application(self.follower, lambda: self.now_ms, None)

    def ask(self, path, *, headers=None):
        """Return the answer to a GET."""
        environ = {"PATH_INFO": path} | {
            f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()
        }
        setup_testing_defaults(environ)
        began = []
        body = b"".join(self.application(environ, lambda *begun: began.extend(begun)))
        return Reply(int(began[0][:3]), {name.lower(): value for name, value in began[1]}, body)


@contextmanager
def an_api(path):
    """Yield an API over a store that may not be there."""
    api = Api(path)
    with closing(api.follower):
        yield api


@pytest.fixture
def api(tmp_path):
    """An API over four ticks of two instances, of which one was never reached."""
    instances = [an_instance(), an_instance(1)]
    with a_fleet(tmp_path / "loco.db", instances, at_ms=NOW_MS - 4 * TICK_MS) as fleet:
        fleet.ticks(4, {"instance-1": ProbeOutcome.REFUSED})
        with an_api(tmp_path / "loco.db") as running:
            yield running


def written(api, path):
    """Return the two texts of a badge."""
    reply = api.ask(path)

    assert (200, "image/svg+xml") == (reply.status, reply.headers["content-type"])
    return [text.text for text in ET.fromstring(reply.body).iter(f"{SVG}text")]  # noqa: S314 - our own drawing


def test_an_instance_has_a_badge_of_its_verdict(api):
    assert ["instance-0", "healthy"] == written(api, "/badge/instance-0.svg")
    assert ["instance-1", "unreachable"] == written(api, "/badge/instance-1.svg")


def test_the_fleet_has_one_too(api):
    assert ["fleet", "1 of 2 healthy"] == written(api, "/badge.svg")


@pytest.mark.parametrize("period", PERIODS)
def test_uptimes_have_badges(api, period):
    assert [f"uptime {period}", "100 %"] == written(api, f"/badge/instance-0/{period}.svg")
    assert [f"uptime {period}", "0 %"] == written(api, f"/badge/instance-1/{period}.svg")
    assert [f"uptime {period}", "50 %"] == written(api, f"/badge-{period}.svg")


@pytest.mark.parametrize(
    ("path", "unread"),
    [("/", "history not read yet"), ("/instances/instance-0", "isn't known now"), ("/badge-7d.svg", ">unknown<")],
)
def test_what_is_told_while_another_reads_the_past_is_not_kept(api, path, unread):
    with api.application._past._lock:  # for the second that a thread waits for another that reads
        early = api.ask(path, headers={"Accept": "text/html"})
    later = api.ask(path, headers={"Accept": "text/html"})

    assert (True, False) == (unread in early.body.decode(), unread in later.body.decode())


def test_a_badge_of_a_period_that_has_not_passed_says_since_when(api):
    for path, whose in (("/badge/instance-0/30d.svg", "instance-0"), ("/badge-7d.svg", "Fleet")):
        title = ET.fromstring(api.ask(path).body).find(f"{SVG}title")  # noqa: S314 - our own drawing

        assert title.text.startswith(f"{whose}, since 2026-11-26 13:43 UTC: healthy ")


def test_a_badge_that_says_the_same_is_not_sent_again(api):
    tag = api.ask("/badge/instance-0.svg").headers["etag"]

    assert 304 == api.ask("/badge/instance-0.svg", headers={"If-None-Match": tag}).status


def test_a_badge_is_asked_for_each_time(api):
    assert "no-cache" == api.ask("/badge.svg").headers["cache-control"]


@pytest.mark.parametrize("path", ["/badge/instance-9.svg", "/badge/instance-9/7d.svg", "/api/instances/x/uptime"])
def test_an_instance_that_nobody_knows_has_none(api, path):
    reply = api.ask(path)

    assert (404, "UnknownInstance") == (reply.status, reply.json["reason"])


def test_a_period_that_there_is_not_has_none(api):
    assert (404, "UnknownRoute") == ((reply := api.ask("/badge/instance-0/1h.svg")).status, reply.json["reason"])


def test_uptimes_are_told_with_what_nobody_saw(api):
    told = api.ask("/api/instances/instance-1/uptime").json

    assert list(PERIODS) == [one["period"] for one in told["uptimes"]]
    assert {"2026-11-26T13:43:10.000Z"} == {one["from"] for one in told["uptimes"]}
    assert {(0.0, 1.0, 0.0)} == {(one["healthy"], one["unreachable"], one["notObserved"]) for one in told["uptimes"]}
    assert 48 == len(told["beats"])
    assert ("unreachable", ["AgentRefused"], 0.0) == tuple(
        told["beats"][-1][name] for name in ("verdict", "codes", "healthyShare")
    )
    assert (None, [], None) == tuple(told["beats"][0][name] for name in ("verdict", "codes", "healthyShare"))


def test_a_stale_verdict_is_unknown(api):
    api.now_ms += 10 * TICK_MS

    assert ["instance-0", "unknown"] == written(api, "/badge/instance-0.svg")
    assert ["fleet", "unknown"] == written(api, "/badge.svg")


def test_the_past_is_read_before_anybody_asks(api):
    api.application.warm()

    assert {"static/instance-0", "static/instance-1"} == set(api.application._past._told)


def test_an_uptime_falls_while_nobody_watches(api):
    api.now_ms += 60 * TICK_MS

    assert ["uptime 24h", "6.34 % (93.65 % unseen)"] == written(api, "/badge/instance-0/24h.svg")


def test_without_a_store_the_fleet_is_unknown_and_no_instance_is_known(tmp_path):
    with an_api(tmp_path / "loco.db") as api:
        assert ["fleet", "unknown"] == written(api, "/badge.svg")
        assert ["uptime 30d", "unknown"] == written(api, "/badge-30d.svg")
        assert 503 == api.ask("/badge/instance-0.svg").status


def test_an_uptime_is_unknown_once_the_store_is_gone(api, tmp_path):
    assert ["uptime 24h", "100 %"] == written(api, "/badge/instance-0/24h.svg")
    (tmp_path / "loco.db").unlink()

    assert ["uptime 24h", "unknown"] == written(api, "/badge/instance-0/24h.svg")
    assert 503 == api.ask("/api/instances/instance-0/uptime").status
