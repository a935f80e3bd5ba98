"""Browsers of a whole fleet complain, over real sockets: acts on streams wait, and no other act does."""

import pytest
from builders import changed
from collecting import a_collector, agents, an_instance
from decoy_faults import clients
from full_report import a_full_report
from servers import http, read_request

from agent.report import Actions, encode
from jobs.health.model import InstanceKey
from jobs.health.recovery import Action, Hold
from jobs.store import ledger
from jobs.store.connection import transaction
from jobs.store.plans import read_plans

ACTS = Actions(can=[action.value for action in Action if action is not Action.DELETE_POD])
COMPLAINING = {"clients": clients({"packetLoss": 0.5}, {"packetLoss": 0.0})}
BEYOND_DOUBT = {"clients": clients({"packetLoss": 0.5}, {"packetLoss": 0.5})}
MUTED = {"audio": {"muted": True}}


def an_agent(blocks):
    """Return what serves healthy reports with these blocks changed."""

    def serve(connection):
        sequence = 0
        while read_request(connection):
            sequence += 1
            well = changed(a_full_report(sequence=sequence), actions=ACTS, qemu={"uptime_seconds": 3600.0})
            connection.sendall(http(encode(changed(well, **blocks))))

    return serve


def planned(store, *fleet, later=(), ticks=4):
    """Return action and hold of each instance's plan after these ticks; None where there is none.

    later: after how many ticks the fleet is another one, and which.
    """
    fleet = [dict(blocks) for blocks in fleet]
    turns = dict(later)
    with agents(*map(an_agent, fleet)) as servers, a_collector(store) as rounds:
        with transaction(rounds.connection):
            ledger.adopt(rounds.connection, [], now=rounds.now())
        rounds.discover(*(an_instance(str(number), server) for number, server in enumerate(servers)))
        for tick in range(ticks):
            for before, now in zip(fleet, turns.get(tick, fleet), strict=True):
                known = dict(now)
                before.clear()
                before.update(known)
            rounds.reports()
        plans = read_plans(rounds.connection)
    found = (plans.get(InstanceKey(f"static/{number}")) for number in range(len(fleet)))
    return [plan and (plan.action, plan.hold) for plan in found]


@pytest.mark.parametrize("complaint", [COMPLAINING, BEYOND_DOUBT], ids=["some", "all"])
def test_however_many_complain_what_was_measured_is_acted_on(tmp_path, complaint):
    plans = planned(tmp_path / "loco.db", complaint, complaint, complaint, MUTED)

    assert (Action.RESET_AUDIO, None) == plans[-1]


def test_complaints_keep_no_brake_on_that_measured_faults_put_on(tmp_path):
    complaining = [COMPLAINING] * 3
    plans = planned(
        tmp_path / "loco.db", *[MUTED] * 3, {}, later={4: [*complaining, {}], 30: [*complaining, MUTED]}, ticks=34
    )

    assert (Action.RESET_AUDIO, None) == plans[-1]


def test_where_many_complain_acts_on_streams_wait(tmp_path):
    assert [(Action.LOWER_QUALITY, Hold.FLEET_BRAKE)] * 3 == planned(tmp_path / "loco.db", *[COMPLAINING] * 3)


def test_where_few_complain_they_are_acted_on(tmp_path):
    plans = planned(tmp_path / "loco.db", COMPLAINING, COMPLAINING, {}, {})

    assert [(Action.LOWER_QUALITY, None)] * 2 + [None] * 2 == plans
