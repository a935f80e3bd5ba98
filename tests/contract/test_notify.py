"""Notifications over the webhook: at least once each, under one id, in their order, whatever fails on the way."""

import threading
from contextlib import suppress

import pytest
from notifying import Telling, a_webhook, now_ms
from pods import a_pod, a_pods_instance
from receivers import a_receiver
from stores import a_fleet, an_instance

from jobs.health.model import ProbeOutcome
from jobs.health.recovery import Action, Hold, Plan
from jobs.store import deliveries
from jobs.store.connection import transaction
from jobs.store.plans import put_plans

REFUSED = {"instance-0": ProbeOutcome.REFUSED}


@pytest.fixture
def receiver():
    with a_receiver() as receiver:
        yield receiver


@pytest.fixture
def fleet(tmp_path):
    with a_fleet(tmp_path / "loco.db", [a_pods_instance(a_pod()), an_instance(1)], at_ms=now_ms() - 3_600_000) as fleet:
        yield fleet


def plan(fleet, hold=None, *, action=Action.RESTART_QEMU, detail="restart-qemu is due for AgentRefused"):
    ((incident, key),) = fleet.connection.execute("SELECT id, key FROM incidents WHERE closed_at_ms IS NULL").fetchall()
    one = Plan(incident=incident, key=key, decided_at_ms=fleet.at_ms, action=action, hold=hold, detail=detail)
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
