"""Notifications through a real Alertmanager, seen by who stands behind it."""

import re
import subprocess
import time

import pytest
from debian import tool
from notifying import Telling, a_webhook, alertmanager_at, now_ms
from pods import a_pod, a_pods_instance
from receivers import ROOT, a_receiver, an_alertmanager, told
from stores import a_fleet, an_instance

from jobs.health.model import ProbeOutcome
from jobs.health.recovery import Hold, Plan
from jobs.notify.address import Links
from jobs.store.connection import transaction
from jobs.store.plans import put_plans

REFUSED = {"instance-0": ProbeOutcome.REFUSED}


@pytest.fixture
def fleet(tmp_path):
    instances = [a_pods_instance(a_pod()), *(an_instance(number) for number in range(1, 6))]
    with a_fleet(tmp_path / "loco.db", instances, at_ms=now_ms() - 3_600_000) as fleet:
        yield fleet


@pytest.fixture
def alertmanager(tmp_path):
    with an_alertmanager(tmp_path / "alertmanager") as (alertmanager, people):
        yield alertmanager, people


def incident_of(fleet, ordinal):
    ((incident,),) = fleet.connection.execute(
        "SELECT id FROM incidents AS i JOIN instances AS n USING (key) WHERE n.public_id = ? AND closed_at_ms IS NULL",
        (f"instance-{ordinal}",),
    ).fetchall()
    return incident


def test_an_incident_is_active_while_it_is_open_and_resolved_once_it_is_over(alertmanager, fleet):
    alertmanager, people = alertmanager
    telling = Telling(fleet, alertmanager_at(alertmanager.url))
    fleet.ticks(3, REFUSED)
    incident = incident_of(fleet, 0)
    telling.until(lambda: told(people))
    (alert,) = alertmanager.alerts()
    fleet.ticks(40)
    telling.until(lambda: len(told(people)) == 2)

    assert {
        "alertname": "LocoIncident",
        "severity": "critical",
        "incident": incident,
        "instance": "instance-0",
        "namespace": "loco",
        "pod": "loco-emulator-0",
    } == alert["labels"]
    assert "instance-0 is unreachable, class network" == alert["annotations"]["summary"]
    assert f"https://loco.example/base/incidents/{incident}" == alert["generatorURL"]
    assert [
        ("LocoIncident", "", incident, "firing"),
        ("LocoIncident", "", incident, "resolved"),
    ] == told(people)
    assert [] == alertmanager.alerts()


def refused(*ordinals):
    return {f"instance-{ordinal}": ProbeOutcome.REFUSED for ordinal in ordinals}


def needs_a_person(fleet, incident):
    """Have collect find that recovery can do no more."""
    ((key,),) = fleet.connection.execute("SELECT key FROM incidents WHERE id = ?", (incident,)).fetchall()
    plan = Plan(
        incident=incident,
        key=key,
        decided_at_ms=now_ms(),
        action=None,
        hold=Hold.NEEDS_HUMAN,
        detail="every rung was tried",
    )
    with transaction(fleet.connection):
        put_plans(fleet.connection, [plan])


@pytest.mark.parametrize(
    "outage_seconds", [pytest.param(4), pytest.param(120, marks=[pytest.mark.soak, pytest.mark.timeout(600)])]
)
def test_an_alertmanager_that_is_killed_loses_no_notification_and_doubles_none_beyond_its_key(
    alertmanager, fleet, tmp_path, outage_seconds
):
    alertmanager, people = alertmanager
    with a_receiver() as receiver:
        telling = Telling(fleet, alertmanager_at(alertmanager.url), a_webhook(receiver, tmp_path))
        fleet.ticks(3, refused(0, 1))
        ends, escalates = incident_of(fleet, 0), incident_of(fleet, 1)
        telling.until(lambda: len(told(people)) == 2)
        alertmanager.kill()
        died_at = time.monotonic()
        fleet.ticks(3, refused(1, 2, 3))
        opens, comes_and_goes = incident_of(fleet, 2), incident_of(fleet, 3)
        needs_a_person(fleet, escalates)
        telling.until(lambda: telling.problem)
        assert telling.problem.startswith(f"alertmanager {alertmanager.url}: connection refused; ")
        fleet.ticks(40, refused(1, 2))
        telling.until(lambda: time.monotonic() - died_at > outage_seconds, seconds=outage_seconds + 30)
        alertmanager.start()
        wanted = {
            ("LocoIncident", "", ends, "firing"),
            ("LocoIncident", "", ends, "resolved"),
            ("LocoIncident", "", escalates, "firing"),
            ("LocoIncidentEscalated", "NeedsHuman", escalates, "firing"),
            ("LocoIncident", "", opens, "firing"),
            ("LocoIncident", "", comes_and_goes, "firing"),
            ("LocoIncident", "", comes_and_goes, "resolved"),
        }
        telling.until(lambda: wanted <= set(told(people)) and not telling.waiting(), seconds=180)

        assert wanted == set(told(people))
        assert telling.problem is None
        for incident in (ends, comes_and_goes):
            order = [status for _, _, one, status in told(people) if one == incident]
            assert "resolved" == order[-1]
        assert [
            f"{ends}-opened",
            f"{escalates}-opened",
            f"{opens}-opened",
            f"{comes_and_goes}-opened",
            f"{escalates}-escalated-NeedsHuman",
            f"{ends}-closed",
            f"{comes_and_goes}-closed",
        ] == [message.id for message in receiver.got]


def test_an_alertmanager_that_was_started_anew_between_two_messages_still_tells_the_end(alertmanager, fleet):
    alertmanager, people = alertmanager
    telling = Telling(fleet, alertmanager_at(alertmanager.url))
    fleet.ticks(3, REFUSED)
    incident = incident_of(fleet, 0)
    telling.until(lambda: told(people) and not telling.waiting())
    alertmanager.kill()
    alertmanager.start()
    fleet.ticks(40)
    telling.until(lambda: ("LocoIncident", "", incident, "resolved") in told(people))

    assert telling.problem is None


def test_an_alert_that_is_refused_holds_up_no_other(alertmanager, fleet, monkeypatch):
    alertmanager, people = alertmanager
    telling = Telling(fleet, alertmanager_at(alertmanager.url, repeat_seconds=0.2))
    fleet.ticks(3, refused(0, 1))
    bad, good = incident_of(fleet, 0), incident_of(fleet, 1)
    monkeypatch.setattr(Links, "incident", lambda _, one: "http://loco.example/%zz" if one == bad else None)
    telling.until(lambda: told(people) and telling.waiting() == 1)
    fleet.ticks(3, refused(0, 2))
    telling.until(lambda: len(told(people)) == 2)

    assert [("LocoIncident", "", one, "firing") for one in (good, incident_of(fleet, 2))] == told(people)
    assert telling.problem.startswith(f"alertmanager {alertmanager.url}: it answered 422; ")


def test_the_end_of_what_was_never_told_is_told_to_nobody(alertmanager, fleet):
    alertmanager, people = alertmanager
    fleet.ticks(3, REFUSED)
    fleet.connection.execute("DELETE FROM outbox")
    telling = Telling(fleet, alertmanager_at(alertmanager.url))
    fleet.ticks(40)
    telling.drain()

    assert [] == told(people)


def test_an_open_incident_is_told_to_an_alertmanager_that_is_new(alertmanager, fleet):
    alertmanager, people = alertmanager
    fleet.ticks(3, REFUSED)
    telling = Telling(fleet, alertmanager_at(alertmanager.url))
    telling.until(lambda: told(people))

    assert [("LocoIncident", "", incident_of(fleet, 0), "firing")] == told(people)


def test_an_open_incident_is_told_again_at_its_interval_and_nobody_behind_hears_it_twice(alertmanager, fleet):
    alertmanager, people = alertmanager
    fleet.ticks(3, REFUSED)
    telling = Telling(fleet, alertmanager_at(alertmanager.url, repeat_seconds=0.2))
    telling.until(alertmanager.alerts)
    first = alertmanager.alerts()[0]["endsAt"]
    telling.until(lambda: alertmanager.alerts()[0]["endsAt"] > first and told(people))

    assert 1 == len(told(people))
    assert 0 == telling.waiting()


def test_the_route_in_the_docs_is_one_that_alertmanager_takes(tmp_path):
    page = (ROOT / "docs" / "notifications.md").read_text()
    (route,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    config = tmp_path / "alertmanager.yml"
    config.write_text(f"{route}receivers: [{{name: people}}]\n")
    said = subprocess.run([tool("amtool"), "check-config", config], capture_output=True, text=True, check=False)

    assert 0 == said.returncode, said.stderr + said.stdout
    assert " - 1 inhibit rules\n" in said.stdout
