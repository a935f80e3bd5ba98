"""The collector and what discovery says of pods: who is asked, and whose answer counts."""

import json
import threading
from contextlib import closing
from dataclasses import replace

import pytest
from builders import LEGACY
from collecting import Agent, Rounds, a_collector, agents, an_instance
from pods import a_pod
from servers import hang, http, read_request

from jobs.health.model import ConnectivityOutcome, InstanceKey, ProbeOutcome
from jobs.store import reader


@pytest.fixture
def rounds(tmp_path):
    with a_collector(tmp_path / "loco.db") as rounds:
        yield rounds


def test_a_pod_that_can_not_answer_is_not_dialled_and_has_its_row_each_tick(rounds):
    with agents(Agent().serve) as (agent,):
        off = a_pod(off_reason="new disk", off_until_ms=4_000_000_000_000)
        pending = a_pod(phase="Pending", reason="ImagePullBackOff", detail="no such image")
        known = an_instance("known", agent, vnc_port=agent.port)
        rounds.discover(
            replace(known, key=InstanceKey("static/off"), public_id="off", pod=off),
            replace(known, key=InstanceKey("static/pending"), public_id="pending", pod=pending, health_url=""),
        )
        for _ in range(2):
            rounds.reports()
            rounds.connectivity()

        assert 0 == agent.connections
    told = {name: rounds.latest(name) for name in ("off", "pending")}
    assert {"off": ["MonitoringOff"], "pending": ["PodImageError"]} == {
        name: [reason.code for reason in one.assessment.reasons] for name, one in told.items()
    }
    assert {(2, ProbeOutcome.NOT_ASKED, ConnectivityOutcome.NOT_DIALLED)} == {
        (one.tick, one.outcome, one.connectivity.outcome) for one in told.values()
    }
    assert "the pod is ImagePullBackOff" == told["pending"].detail == told["pending"].connectivity.detail
    assert ["static/pending"] == list(reader.open_incidents(rounds.connection))


def test_a_late_legacy_report_of_an_address_that_is_another_pods_by_now_counts_for_nobody(rounds):
    """It carries no uid: only the newest inventory says whose pod is at that address."""
    go = threading.Event()

    def slow(connection):
        while read_request(connection):
            go.wait(10)
            connection.sendall(http(json.dumps(LEGACY).encode()))

    with agents(slow) as (agent,):
        old = replace(an_instance("old", agent), uid="uid-1", pod=a_pod())
        rounds.discover(old)
        rounds.reports()
        missing = a_pod(phase="Missing", reason="Missing")
        new = replace(an_instance("new", agent), uid="uid-2", pod=a_pod(name="other"))
        rounds.discover(replace(old, uid=None, health_url="", pod=missing), new)
        go.set()
        rounds.connectivity()
        rounds.reports()
        rounds.connectivity()

    assert ProbeOutcome.NOT_ASKED is rounds.latest("old").outcome
    assert (None, ProbeOutcome.OK) == (rounds.latest("old").report, rounds.latest("new").outcome)


def test_where_another_pods_agent_answers_nobody_dials_its_vnc_either(rounds):
    """An address outlives its pod where the cluster can't be asked for long; the next run knows it too."""
    agent = Agent()
    with agents(agent.serve, hang) as (server, vnc):
        rounds.discover(replace(an_instance("a", server, vnc_port=vnc.port), uid="uid-1", pod=a_pod(is_stale=True)))
        agent.uid = "uid-1"
        rounds.reports()
        agent.uid = "uid-2"
        rounds.reports()
        rounds.connectivity()
        successor = Rounds(rounds.connection)
        successor.tick = rounds.tick
        with closing(successor.collector):
            successor.connectivity()

        assert 0 == vnc.connections
    assert ProbeOutcome.WRONG_UID is rounds.latest("a").outcome
