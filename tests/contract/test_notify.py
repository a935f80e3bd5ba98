"""Notifications over the webhook: at least once each, under one id, in their order, whatever fails on the way."""

import itertools
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest
from api_server import wait_for
from builders import a_report
from notifying import Telling, a_webhook, now_ms
from pods import a_pod, a_pods_instance
from receivers import a_receiver
from stores import a_fleet, an_instance

from jobs.health.incident import ChangeKind, Incident, IncidentChange
from jobs.health.model import FailureClass, InstanceKey, ProbeOutcome, Reason, Severity, Verdict
from jobs.health.recovery import Action, Hold, Plan
from jobs.store import deliveries, schema, writer
from jobs.store.connection import APPLICATION_ID, open_store, transaction
from jobs.store.plans import put_plans
from jobs.store.retention import apply_retention

REFUSED = {"instance-0": ProbeOutcome.REFUSED}
MESSAGE = '{"incident": null, "instance": null}'


@pytest.fixture
def receiver():
    with a_receiver() as receiver:
        yield receiver


@pytest.fixture
def fleet(tmp_path):
    with a_fleet(tmp_path / "loco.db", [a_pods_instance(a_pod()), an_instance(1)], at_ms=now_ms() - 3_600_000) as fleet:
        yield fleet


def plan(fleet, hold=None, *, action=Action.RESTART_QEMU, detail="restart-qemu is due for AgentRefused", **fields):
    ((incident, key),) = fleet.connection.execute("SELECT id, key FROM incidents WHERE closed_at_ms IS NULL").fetchall()
    one = Plan(incident=incident, key=key, decided_at_ms=fleet.at_ms, action=action, hold=hold, detail=detail, **fields)
    with transaction(fleet.connection):
        put_plans(fleet.connection, [one])
    return incident


def test_opening_escalation_and_end_are_one_message_each(receiver, fleet, tmp_path):
    telling = Telling(fleet, a_webhook(receiver, tmp_path))
    fleet.ticks(3, REFUSED)
    incident = plan(fleet)
    telling.drain()
    for _ in range(3):  # comes, goes, and comes back with another act
        plan(fleet, Hold.BUDGET_SPENT, detail="3 attempts were made in 60 minutes")
        plan(fleet, Hold.COOL_DOWN, action=Action.RESET_GUEST)
        plan(fleet, Hold.BUDGET_SPENT, action=Action.RESET_GUEST, detail="3 attempts were made in 60 minutes")
    telling.drain()
    fleet.ticks(40)
    telling.drain()

    assert [f"{incident}-opened", f"{incident}-escalated-BudgetSpent", f"{incident}-closed"] == [
        message.id for message in receiver.got
    ]
    assert ["incident.opened", "incident.escalated", "incident.closed"] == [
        message.json["type"] for message in receiver.got
    ]


@pytest.mark.parametrize("hold", [Hold.NEEDS_HUMAN, Hold.BUDGET_SPENT])
def test_what_browsers_post_takes_no_message_from_what_was_measured(receiver, fleet, tmp_path, hold):
    telling = Telling(fleet, a_webhook(receiver, tmp_path))
    fleet.ticks(3, REFUSED)
    incident = plan(fleet, hold, action=None, codes=("ClientError", "HostBusy"))
    plan(fleet, hold, codes=("AgentRefused", "ClientError"))
    telling.drain()

    assert [f"{incident}-escalated-{name}" for name in (f"Stream{hold}", hold)] == receiver.ids[1:]


def test_an_incident_that_gets_worse_says_why_now(receiver, fleet, tmp_path):
    telling = Telling(fleet, a_webhook(receiver, tmp_path))
    fleet.ticks(3, {"instance-0": a_report(audio={"muted": True})})
    fleet.ticks(2, REFUSED)
    telling.drain()
    opening, worse = (message.json["data"] for message in receiver.got)

    assert ("opened", None, "degraded") == (
        opening["transition"],
        opening["escalation"],
        opening["incident"]["verdict"],
    )
    assert ("escalated", "VerdictUnreachable") == (worse["transition"], worse["escalation"])
    assert (["AudioMuted"], ["AgentRefused"]) == tuple(
        [one["code"] for one in told["reasons"]] for told in (opening, worse)
    )


def test_a_common_cause_is_one_message_that_names_its_members_and_one_at_its_end(receiver, fleet, tmp_path):
    telling = Telling(fleet, a_webhook(receiver, tmp_path))
    cause = Incident(
        id="c0ffee",
        key=InstanceKey("common/node/worker-2"),
        opened_at_ms=fleet.at_ms,
        opened_tick=1,
        failure_class=FailureClass.NETWORK,
        verdict=Verdict.UNREACHABLE,
        codes=("CommonCause",),
        reasons=(Reason("CommonCause", FailureClass.NONE, Severity.UNHEALTHY),),
        last_bad_tick=1,
        members=("loco/loco-emulator-0", "static/instance-1"),
    )
    over = replace(cause, closed_at_ms=fleet.at_ms + 60_000)
    for kind, incident in ((ChangeKind.OPENED, cause), (ChangeKind.UPDATED, cause), (ChangeKind.CLOSED, over)):
        with transaction(fleet.connection):
            writer.record_brakes(fleet.connection, [IncidentChange(kind, incident)], at_ms=fleet.at_ms)
    telling.drain()
    opening, end = (message.json["data"] for message in receiver.got)

    assert [None, None] == [opening["instance"], end["instance"]]
    assert ["loco/loco-emulator-0", "static/instance-1"] == opening["incident"]["members"]
    assert " Ill: instance-0, instance-1. " in opening["text"]
    assert "node worker-2 is over after 1 min 0 s" == end["headline"]


def test_an_instance_that_leaves_ends_its_incident_with_words_of_its_own(receiver, fleet, tmp_path):
    telling = Telling(fleet, a_webhook(receiver, tmp_path))
    fleet.ticks(3, REFUSED)
    with transaction(fleet.connection):
        writer.record_inventory(fleet.connection, [], at_ms=fleet.at_ms + 1000)
    telling.drain()

    assert receiver.got[-1].json["data"]["headline"].startswith("instance-0 has left the inventory, after ")


def opened(fleet, *ordinals):
    """Have incidents opened; return the ids of their messages."""
    fleet.ticks(3, {f"instance-{ordinal}": ProbeOutcome.REFUSED for ordinal in ordinals})
    rows = fleet.connection.execute("SELECT notice FROM outbox WHERE notice LIKE '%-opened' ORDER BY id").fetchall()
    return [notice for (notice,) in rows]


@pytest.mark.parametrize("failure", [500, 429, 302, 404, "dies"])
def test_what_a_receiver_does_not_take_is_sent_again_under_the_same_id(receiver, fleet, tmp_path, failure):
    receiver.answers = [failure, failure]
    telling = Telling(fleet, a_webhook(receiver, tmp_path))
    (name,) = opened(fleet, 0)
    telling.drain()

    assert [name] * 3 == [message.id for message in receiver.got]
    assert [name] == [message.id for message in receiver.taken]
    assert [("sent", 2)] == fleet.connection.execute("SELECT outcome, tries FROM deliveries").fetchall()


def test_a_receiver_that_answers_nothing_holds_up_no_round_and_no_other_receiver(receiver, fleet, tmp_path):
    with a_receiver() as mute:
        mute.answer = "mute"
        dead, alive = a_webhook(mute, tmp_path), a_webhook(receiver, tmp_path)
        dead.name = "alertmanager"
        telling = Telling(fleet, dead, alive)
        (name,) = opened(fleet, 0)
        slowest_seconds = 0.0

        def is_taken():
            nonlocal slowest_seconds
            began_at = time.monotonic()
            telling.go()
            slowest_seconds = max(slowest_seconds, time.monotonic() - began_at)
            return receiver.taken and mute.got

        wait_for(is_taken)
        telling.until(lambda: telling.problem, seconds=30)

    assert [name] == receiver.ids
    assert slowest_seconds < 5
    assert telling.problem.startswith(f"alertmanager http://127.0.0.1:{mute.port}: no answer within 10 s; ")
    assert telling.problem.endswith("notifications that wait for it, each for a day: 1")


def test_a_message_that_alone_is_refused_holds_up_its_own_incident_and_no_other(receiver, fleet, tmp_path):
    telling = Telling(fleet, a_webhook(receiver, tmp_path))
    poisoned, _ = opened(fleet, 0, 1)
    receiver.refuses = {poisoned}
    fleet.ticks(40)
    telling.until(lambda: len(receiver.ids) == 2)
    others = receiver.ids
    receiver.refuses = set()
    telling.drain(seconds=60)

    first, second = (name.removesuffix("-opened") for name in opened(fleet))
    assert [f"{second}-opened", f"{second}-closed"] == others
    assert [f"{first}-opened", f"{first}-closed"] == receiver.ids[2:]


def test_a_run_that_is_killed_after_sending_sends_again_under_the_same_id(receiver, fleet, tmp_path):
    killed = Telling(fleet, a_webhook(receiver, tmp_path))
    (name,) = opened(fleet, 0)
    killed.go()
    wait_for(lambda: receiver.taken)
    killed.go(is_killed=True)
    Telling(fleet, a_webhook(receiver, tmp_path)).drain()

    assert [name] * 2 == [message.id for message in receiver.taken]


def test_a_receiver_that_wants_a_rest_gets_it(receiver, fleet, tmp_path):
    receiver.answers, receiver.headers = [429], {"Retry-After": "3"}
    telling = Telling(fleet, a_webhook(receiver, tmp_path))
    opened(fleet, 0)
    telling.until(lambda: telling.problem)
    began_at = time.monotonic()
    telling.drain()

    assert time.monotonic() - began_at > 2
    assert 2 == len(receiver.got)


def test_a_queue_that_grew_is_drained_within_a_bounded_rate(receiver, tmp_path):
    instances = [an_instance(number) for number in range(60)]
    with a_fleet(tmp_path / "many.db", instances, at_ms=now_ms() - 3_600_000) as fleet:
        telling = Telling(fleet, a_webhook(receiver, tmp_path))
        names = opened(fleet, *range(60))
        rounds = 0
        while telling.waiting():
            telling.go()
            rounds += 1
            wait_for(lambda: not any(thread.name.startswith("notify") for thread in threading.enumerate()))

    assert names == receiver.ids
    assert 60 == len(receiver.got)
    assert rounds >= 2 * 60 / 20


def test_a_receiver_that_is_new_hears_of_what_happens_from_then_on(receiver, fleet, tmp_path):
    opened(fleet, 0)
    telling = Telling(fleet, a_webhook(receiver, tmp_path))
    opened(fleet, 0, 1)
    telling.drain()

    assert 1 == len(receiver.ids)


def test_a_receiver_that_is_taken_away_and_comes_back_within_a_day_gets_what_waited(receiver, fleet, tmp_path):
    receiver.answer = 500
    telling = Telling(fleet, a_webhook(receiver, tmp_path))
    opened(fleet, 0)
    telling.until(lambda: telling.problem)
    Telling(fleet)
    unheard = set(opened(fleet, 0, 1))
    receiver.answer = 200
    Telling(fleet, a_webhook(receiver, tmp_path)).until(lambda: receiver.ids)

    assert 1 == len(unheard - set(receiver.ids))


def test_what_no_receiver_took_for_a_day_is_given_up_and_counted(receiver, fleet, tmp_path):
    receiver.answer = 500
    telling = Telling(fleet, a_webhook(receiver, tmp_path))
    opened(fleet, 0)
    telling.until(lambda: telling.problem)
    fleet.connection.execute("DELETE FROM minutes")
    counts = apply_retention(fleet.connection, at_ms=now_ms() + 25 * 3_600_000)

    assert 2 == counts["given_up"]
    assert {("webhook", "given-up"): 1} == deliveries.totals(fleet.connection)
    assert 0 == telling.waiting()


def test_a_clock_that_was_set_back_delays_nothing(receiver, fleet, tmp_path):
    telling = Telling(fleet, a_webhook(receiver, tmp_path), clock=lambda: now_ms() - 7_200_000)
    opened(fleet, 0)
    telling.drain()

    assert 1 == len(receiver.ids)


def test_between_two_ticks_the_store_is_asked_only_whether_it_has_moved(fleet, receiver, tmp_path, monkeypatch):
    telling = Telling(fleet, a_webhook(receiver, tmp_path))
    telling.go()
    reads = []
    monkeypatch.setattr(deliveries, "due", lambda *_, **__: reads.append(1) or [])
    for _ in range(5):
        telling.go()

    assert [] == reads


def test_a_store_from_before_notifications_keeps_what_waits_and_knows_what_is_open(fleet, tmp_path):
    fleet.ticks(3, REFUSED)
    rows = fleet.connection.execute(
        "SELECT kind, subject, key, message, created_at_ms, due_at_ms FROM outbox"
    ).fetchall()
    incidents = fleet.connection.execute("SELECT * FROM incidents").fetchall()
    with closing(schema.Database(tmp_path / "old.db").conn) as old:
        schema.migrations.apply(schema.Database(old), stop_before="notification_tables")
        old.executemany(
            "INSERT INTO outbox (kind, subject, key, message, created_at_ms, due_at_ms) VALUES (?, ?, ?, ?, ?, ?)", rows
        )
        old.executemany("INSERT INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", incidents)
        old.execute("PRAGMA user_version=3")
        old.execute(f"PRAGMA application_id={APPLICATION_ID}")
        old.commit()
    with closing(open_store(tmp_path / "old.db")) as connection:
        waiting = connection.execute("SELECT count(*) FROM outbox WHERE ended_at_ms IS NULL").fetchone()
        (standing,) = deliveries.standing(connection)

    assert ((1,), f"{incidents[0][0]}-opened") == (waiting, standing.name)


def steps(connection, read):
    """Return how many thousand steps SQLite's machine makes for a read."""
    count = itertools.count()
    connection.set_progress_handler(lambda: next(count) < 0, 1000)
    read()
    connection.set_progress_handler(None, 0)
    return next(count)


def test_what_a_round_reads_of_a_queue_costs_little_however_many_have_ended_or_wait(fleet, tmp_path):
    """A dead receiver of a large fleet leaves thousands, and dispatch looks each second."""
    connection = fleet.connection
    with transaction(connection):
        deliveries.set_destinations(connection, ["webhook"], at_ms=1)
        connection.executemany(
            "INSERT INTO outbox (kind, subject, key, message, created_at_ms, due_at_ms, incident, notice)"
            " VALUES (?1, ?2, 'key', ?3, 1, 1, ?2, ?2 || ?1)",
            [(kind, str(one), MESSAGE) for one in range(2000) for kind in ("incident-opened", "recovery-planned")],
        )
        connection.execute(
            "INSERT INTO deliveries (destination, id, incident, due_at_ms, ended_at_ms)"
            " SELECT 'webhook', id, incident, 1, iif(incident < 1000, 1, NULL) FROM outbox WHERE notice IS NOT NULL"
        )

    assert 150 > steps(connection, lambda: deliveries.due(connection, "webhook", now_ms=2, limit=20))
    assert 50 > steps(connection, lambda: deliveries.next_due_ms(connection, "webhook"))
    assert 100 > steps(connection, lambda: deliveries.queues(connection))
    assert 5 > steps(connection, lambda: deliveries.standing(connection))


@pytest.mark.parametrize(
    "outage_seconds", [pytest.param(3), pytest.param(120, marks=[pytest.mark.soak, pytest.mark.timeout(600)])]
)
def test_a_receiver_that_fails_in_every_way_loses_nothing_and_hears_each_incident_in_order(
    receiver, tmp_path, outage_seconds
):
    instances = [an_instance(number) for number in range(8)]
    everybody = {one.public_id: ProbeOutcome.REFUSED for one in instances}
    with a_fleet(tmp_path / "many.db", instances, at_ms=now_ms() - 3_600_000) as fleet:
        telling = Telling(fleet, a_webhook(receiver, tmp_path))
        receiver.answers = [500, 200, "dies", 200, 503, "dies", 429, 200]
        fleet.ticks(3, {name: a_report(audio={"muted": True}) for name in everybody})
        telling.until(lambda: len(receiver.got) >= 6)
        receiver.stop()
        stopped_at = time.monotonic()
        fleet.ticks(2, everybody)
        telling.until(lambda: time.monotonic() - stopped_at > outage_seconds, seconds=outage_seconds + 30)
        fleet.ticks(40)
        receiver.start()
        receiver.answers += ["dies", 500]
        telling.drain(seconds=150)
        wanted = [name for (name,) in fleet.connection.execute("SELECT notice FROM outbox WHERE notice IS NOT NULL")]

    assert 3 * 8 == len(wanted)
    assert set(wanted) == set(receiver.ids)
    for incident in {name.partition("-")[0] for name in wanted}:
        heard = [name for name in receiver.ids if name.startswith(incident)]
        assert [f"{incident}-opened", f"{incident}-escalated-VerdictUnreachable", f"{incident}-closed"] == heard
