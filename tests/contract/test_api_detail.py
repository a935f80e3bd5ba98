"""What pages about one thing read from a real store, by real requests: evidence, pictures, plans, problems as HTML."""

import base64
import json
import re
import time
from contextlib import closing
from html import escape

import pytest
from api_process import an_api
from openapi import broken_promises
from stores import TICK_MS, a_fleet, an_instance

from api.call import Call
from api.detail import CHANGES_OF_INCIDENT, incident, incidents
from api.follower import Follower
from api.trends import Trends
from jobs.clock import Clock
from jobs.health.holds import HOLDS
from jobs.health.model import InstanceKey, ProbeOutcome
from jobs.health.recovery import Action, AttemptOutcome, Hold, Limits, Order, Plan
from jobs.store import ledger, plans, reader
from jobs.store.connection import open_store, transaction
from jobs.store.evidence import path_of, write_bundle
from jobs.store.ledger import Ending

PNG = b"\x89PNG\r\n\x1a\nof the screen"
HTML = {"Accept": "text/html"}
KEY = InstanceKey("static/instance-0")


def encoded(png):
    """Return a picture as a bundle has it."""
    return base64.b64encode(png).decode()


BUNDLE = {
    "verdict": "unreachable",
    "screens": [{"takenAt": "2026-11-24T20:07:43.125Z", "png": encoded(PNG)}, {"error": "no answer within 0.6 s"}],
    "after": {"verdict": "healthy", "screen": {"png": encoded(PNG + b" after")}},
}


def attempt(connection, *, incident):
    """Let one attempt run through and say that it has a bundle; returns its number."""
    now = Clock().moment()
    with transaction(connection):
        order = Order(key=KEY, action=Action.RESET_GUEST, incident=incident, is_forced=True)
        booked = ledger.book(connection, order, Limits(idle_attempts=99), now=now)
        ledger.claim(connection, booked.id, "r", now=now)
        ledger.note_evidence(connection, booked.id)
        ledger.end(connection, booked.id, Ending(AttemptOutcome.STOOD_DOWN, "so it was"), now=now, runner="r")
    return booked.id


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Yield an API over a store with an open incident, and the numbers of attempts by what became of their bundles."""
    store = tmp_path_factory.mktemp("store") / "loco.db"
    with a_fleet(store, [an_instance()], at_ms=int(time.time() * 1000) - 6 * TICK_MS) as fleet:
        fleet.ticks(5, {"instance-0": ProbeOutcome.REFUSED})
        (incident,) = reader.open_incidents(fleet.connection).values()
        held = Plan(
            incident=incident.id,
            key=KEY,
            decided_at_ms=fleet.at_ms,
            action=None,
            hold=Hold.NEEDS_HUMAN,
            detail="it made it worse",
        )
        with transaction(fleet.connection):
            ledger.adopt(fleet.connection, [], now=Clock().moment())
            plans.put_plans(fleet.connection, [held])
        made = {}
        for name, incident_id, body in (
            ("whole", incident.id, json.dumps(BUNDLE).encode()),
            ("on demand", None, json.dumps({**BUNDLE, "after": None}).encode()),
            ("gone", incident.id, b""),
            ("damaged", incident.id, b'{"screens": 1'),
            ("strange", incident.id, b'{"screens": 1}'),
            ("no picture", incident.id, json.dumps({"screens": [{"png": encoded(b"<svg onload=x>")}]}).encode()),
        ):
            made[name] = attempt(fleet.connection, incident=incident_id)
            write_bundle(store, made[name], body)
        path_of(store, made["gone"]).unlink()
        fleet.ticks(1, {"instance-0": ProbeOutcome.REFUSED})
    with an_api(store) as api:
        yield api, incident.id, made


def test_the_pictures_of_before_and_after_are_plain_files(running):
    api, _, made = running
    before = api.ask(f"/api/attempts/{made['whole']}/before.png")
    after = api.ask(f"/api/attempts/{made['whole']}/after.png")

    # That of the moment failed, so the one that was kept earlier stands for it.
    assert (200, "image/png", PNG) == (before.status, before.headers["content-type"], before.body)
    assert (200, PNG + b" after") == (after.status, after.body)
    assert "nosniff" == before.headers["x-content-type-options"]


@pytest.mark.parametrize(
    ("name", "which", "why"),
    [
        ("on demand", "after", "none was kept"),
        ("gone", "before", "it was deleted: bundles are kept for 7 days"),
        ("damaged", "before", "it is damaged"),
        ("strange", "before", "it is of a version that this page can't show"),
        ("no picture", "before", "none was kept"),
    ],
)
def test_a_picture_that_isnt_there_is_a_problem_with_the_reason(running, name, which, why):
    api, _, made = running
    reply = api.ask(f"/api/attempts/{made[name]}/{which}.png")

    assert (404, "NoPicture") == (reply.status, reply.json["reason"])
    assert why in reply.json["detail"]


@pytest.mark.parametrize("number", ["0", "999", "-1", "x", "1e3", "9" * 18, "9" * 400, "%D9%A1"])
def test_a_number_that_no_attempt_has_is_404(running, number):
    reply = running[0].ask(f"/api/attempts/{number}/evidence")

    assert (404, "UnknownAttempt") == (reply.status, reply.json["reason"])


def test_the_evidence_of_an_attempt_without_an_incident_is_read_by_its_number(running):
    api, _, made = running
    reply = api.ask(f"/api/attempts/{made['on demand']}/evidence")

    assert (made["on demand"], "unreachable", None) == (
        reply.json["attempt"],
        reply.json["bundle"]["verdict"],
        reply.json["problem"],
    )
    assert [] == broken_promises("Bundle", reply.json)
    page = api.ask(f"/attempts/{made['on demand']}", headers=HTML)
    assert b"none was open" in page.body
    assert f"api/attempts/{made['on demand']}/before.png".encode() in page.body


@pytest.mark.parametrize("name", ["gone", "damaged", "strange", "no picture"])
def test_a_page_stands_whatever_became_of_the_evidence(running, name):
    api, _, made = running

    assert 200 == api.ask(f"/attempts/{made[name]}", headers=HTML).status


def test_the_story_has_holds_that_were_told_outside_and_what_is_next(running):
    api, incident, _ = running
    html = api.ask(f"/incidents/{incident}", headers=HTML).body.decode()

    assert html.index("<h3>Opened</h3>") < html.index("<h3>Held back</h3>") < html.index("<h3>Next: nothing</h3>")
    assert f"it made it worse. {escape(HOLDS[Hold.NEEDS_HUMAN].means)} It ends" in html


def test_a_page_that_hasnt_changed_is_304(running):
    api, incident, _ = running
    for path in ("/instances/instance-0", "/incidents", f"/incidents/{incident}"):
        tag = api.ask(path, headers=HTML).headers["etag"]

        assert 304 == api.ask(path, headers={**HTML, "If-None-Match": tag}).status


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/instances/nope", 404, "UnknownInstance"),
        ("/instances/instance-0?span=week", 400, "BadQuery"),
        ("/incidents?state=shut", 400, "BadQuery"),
        ("/incidents?cursor=x", 400, "BadQuery"),
        ("/incidents?instance=nope", 404, "UnknownInstance"),
        ("/incidents/nope", 404, "UnknownIncident"),
        ("/attempts/nope", 404, "UnknownAttempt"),
        ("/nope", 404, "UnknownRoute"),
        ("/badge/nope.svg", 404, "UnknownInstance"),
    ],
)
def test_a_problem_is_a_page_to_a_browser_and_a_problem_to_a_program(running, path, status, reason):
    api = running[0]
    page, problem = api.ask(path, headers=HTML), api.ask(path)

    assert (status, "text/html; charset=utf-8") == (page.status, page.headers["content-type"])
    assert problem.json["detail"][1:].replace("'", "&#x27;").encode() in page.body
    assert (status, reason) == (problem.status, problem.json["reason"])


def test_the_api_gives_a_browser_too_problem_details(running):
    reply = running[0].ask("/api/instances/nope/why", headers=HTML)

    assert (404, "application/problem+json") == (reply.status, reply.headers["content-type"])


def test_without_a_store_every_page_says_so(tmp_path):
    with an_api(tmp_path / "loco.db") as api:
        for path in ("/instances/instance-0", "/incidents", "/incidents/x", "/attempts/1"):
            reply = api.ask(path, headers=HTML)

            assert (503, "text/html; charset=utf-8") == (reply.status, reply.headers["content-type"])
            assert b"No data:" in reply.body


def test_the_plans_that_were_told_of_an_incident_are_its_own(tmp_path):
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=0) as fleet:
        for incident in ("a", "aa", "b"):
            with transaction(fleet.connection):
                due = Plan(incident=incident, key=KEY, decided_at_ms=1, action=Action.RESET_GUEST, detail=incident)
                plans.put_plans(fleet.connection, [due])

        assert ["a"] == [one.detail for one in plans.told_plans(fleet.connection, "a")]


def test_closed_incidents_are_read_in_pages_and_each_once(tmp_path):
    store = tmp_path / "loco.db"
    with a_fleet(store, [an_instance()], at_ms=int(time.time() * 1000) - 2000 * TICK_MS) as fleet:
        for _ in range(60):
            fleet.ticks(4, {"instance-0": ProbeOutcome.REFUSED})
            fleet.ticks(20)
        fleet.ticks(4, {"instance-0": ProbeOutcome.REFUSED})
    with closing(open_store(store)) as connection:
        wanted = [one.id for one in reader.incidents(connection)]
    with an_api(store) as api:
        first = api.ask("/incidents?instance=instance-0", headers=HTML).body.decode()
        way = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
        second = api.ask(f"/{way}", headers=HTML).body.decode()

    assert 61 == len(wanted)
    assert wanted == [part.split('"')[0] for page in (first, second) for part in page.split('<tr data-id="')[1:]]
    assert 'rel="next"' not in second


def test_charts_of_a_fleet_that_was_never_observed_end_now(tmp_path):
    before_s = time.time()
    with (
        a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=int(before_s * 1000)),
        an_api(tmp_path / "loco.db") as api,
    ):
        html = api.ask("/instances/instance-0?span=month", headers=HTML).body.decode()
    days = [time.gmtime(before_s - n * 86_400) for n in range(-1, 32)]

    shown = set(re.findall(r'<text class="time"[^>]*>([^<]*)', html))
    assert shown
    assert shown <= {f"{day.tm_mday} {time.strftime('%b', day)}" for day in days}


def test_a_closed_incident_keeps_its_changes_however_many_came_after_it(tmp_path):
    store = tmp_path / "loco.db"
    with a_fleet(store, [an_instance()], at_ms=int(time.time() * 1000) - 700 * TICK_MS) as fleet:
        fleet.ticks(4, {"instance-0": ProbeOutcome.REFUSED})
        fleet.ticks(4, {"instance-0": ProbeOutcome.TIMEOUT})
        fleet.ticks(10)
        for _ in range(CHANGES_OF_INCIDENT // 2 + 5):
            fleet.ticks(1, {"instance-0": ProbeOutcome.REFUSED})
            fleet.ticks(1)
        one = reader.incidents(fleet.connection)[-1]
        flapping = len(reader.changes(fleet.connection, KEY, since_ms=one.closed_at_ms + 1, limit=9999))
    with an_api(store) as api:
        html = api.ask(f"/incidents/{one.id}", headers=HTML).body.decode()

    assert flapping > CHANGES_OF_INCIDENT
    assert "AgentTimeout" in html.split("The story")[1]
    assert "Earlier changes are left out" not in html


def test_what_an_incident_or_a_list_leaves_out_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("api.detail.CHANGES_OF_INCIDENT", 1)
    monkeypatch.setattr("api.detail.OPEN", 1)
    with a_fleet(tmp_path / "loco.db", [an_instance(0), an_instance(1)], at_ms=1000 * TICK_MS) as fleet:
        fleet.ticks(4, dict.fromkeys(("instance-0", "instance-1"), ProbeOutcome.REFUSED))
        fleet.ticks(4, dict.fromkeys(("instance-0", "instance-1"), ProbeOutcome.TIMEOUT))
        fleet.ticks(4, dict.fromkeys(("instance-0", "instance-1"), ProbeOutcome.REFUSED))
        newest = reader.incidents(fleet.connection)[0].id
    with closing(Follower(tmp_path / "loco.db", lambda: fleet.at_ms)) as follower:
        call = Call(follower.look(), follower, newest, "", "text/html", Trends())
        story, listed = incident(call), incidents(call)

    assert "Earlier changes are left out" in story
    assert "More are open than the newest 1 that are shown" in listed
    assert 1 == listed.count("<tr data-id=")
