"""The collector's rounds over real sockets into a real store, without the window around them."""

import json
import threading
import time
from contextlib import closing

import msgspec
import pytest
from builders import LEGACY
from collecting import Agent, Rounds, a_collector, agents, an_instance
from full_report import a_full_report
from rfb_server import shake_hands
from servers import answering, hang, http, read_request, serving

from agent.report import encode
from jobs.collector import REPORTS
from jobs.health.model import (
    ConnectivityOutcome,
    FailureClass,
    InstanceKey,
    ProbeOutcome,
    Verdict,
)
from jobs.store import reader
from jobs.store.body import pack


@pytest.fixture
def rounds(tmp_path):
    with a_collector(tmp_path / "loco.db") as rounds:
        yield rounds


def test_one_tick_gives_every_instance_a_verdict_and_a_row(rounds):
    with agents(Agent().serve, answering(http(b"[]"))) as (well, broken):
        rounds.discover(an_instance("well", well), an_instance("broken", broken))
        rounds.reports()

    assert (Verdict.HEALTHY, FailureClass.NONE) == (
        rounds.latest("well").assessment.verdict,
        rounds.latest("well").assessment.failure_class,
    )
    assert (Verdict.UNKNOWN, "ReportInvalid") == (
        rounds.latest("broken").assessment.verdict,
        rounds.latest("broken").assessment.reasons[0].code,
    )


def test_a_bad_answer_leaves_the_last_good_report_with_its_own_age(rounds):
    agent = Agent()
    with serving(agent.serve) as server:
        rounds.discover(an_instance("a", server))
        rounds.reports()
        good = rounds.latest("a")
        agent.is_well = False
        rounds.reports()

    bad = rounds.latest("a")
    assert (good.report, good.report_at_ms) == (bad.report, bad.report_at_ms)
    assert (ProbeOutcome.NOT_JSON, 2) == (bad.outcome, bad.tick)
    assert bad.assessment.observed_at_ms > bad.report_at_ms


def test_an_instance_discovered_between_ticks_has_its_verdict_at_the_next_connectivity_beat(rounds):
    with serving(Agent().serve) as server:
        rounds.reports()
        rounds.discover(an_instance("late", server))
        rounds.connectivity()

    assert (1, Verdict.HEALTHY) == (rounds.latest("late").tick, rounds.latest("late").assessment.verdict)


def test_a_slow_agent_holds_up_nobody_and_joins_the_same_tick_when_it_answers(rounds):
    is_round_over = threading.Event()

    def slow(connection):
        read_request(connection)
        is_round_over.wait(20)
        connection.sendall(http(encode(a_full_report())))

    with agents(Agent().serve, slow) as (fast, late):
        rounds.discover(an_instance("fast", fast), an_instance("late", late))
        rounds.reports()
        at_once = rounds.latest("late")
        at_once_of_fast = rounds.latest("fast")
        is_round_over.set()
        ends_at = time.monotonic() + 20
        while rounds.latest("late") is None and time.monotonic() < ends_at:
            rounds.connectivity()

        assert (None, Verdict.HEALTHY) == (at_once, at_once_of_fast.assessment.verdict)
        assert (1, Verdict.HEALTHY) == (rounds.latest("late").tick, rounds.latest("late").assessment.verdict)
        assert 1 == late.connections


def test_no_round_writes_a_second_row_for_a_tick(rounds):
    with serving(Agent().serve) as server:
        rounds.discover(an_instance("a", server))
        for _ in range(2):
            rounds.reports()
            rounds.connectivity()
            rounds.connectivity()

    rows = rounds.connection.execute("SELECT tick FROM reports ORDER BY tick").fetchall()
    assert [(1,), (2,)] == rows


def test_an_answer_that_another_run_has_written_down_already_is_dropped(rounds):
    def slow(connection):
        read_request(connection)
        time.sleep(1.2)
        connection.sendall(http(encode(a_full_report())))

    with serving(slow) as server:
        rounds.discover(an_instance("a", server))
        rounds.reports()
        other = Rounds(rounds.connection)
        other.tick = rounds.tick
        with closing(other.collector):
            other.connectivity()
            time.sleep(1.5)
            other.connectivity()
        rounds.collector.resume(rounds.connection)
        rounds.connectivity()

    assert [(1,)] == rounds.connection.execute("SELECT tick FROM reports").fetchall()


def test_a_legacy_agent_is_classified_at_once_and_its_vnc_never_dialled(rounds):
    body = msgspec.json.encode({**LEGACY, "network": {**LEGACY["network"], "tap_up": False}})
    with agents(answering(http(body)), hang) as (agent, vnc):
        rounds.discover(an_instance("old", agent, vnc_port=vnc.port))
        for _ in range(3):
            rounds.reports()
            rounds.connectivity()

        latest = rounds.latest("old")
        assert (FailureClass.NETWORK, "TapDown") == (
            latest.assessment.failure_class,
            latest.assessment.reasons[0].code,
        )
        assert 0 == vnc.connections
        assert ConnectivityOutcome.NOT_DIALLED == latest.connectivity.outcome
        assert {"screen", "sessions", "qemu"}.isdisjoint(json.loads(latest.report))


def test_a_legacy_report_with_nothing_wrong_never_reads_as_stale_though_its_clock_stands_still(rounds):
    with serving(answering(http(msgspec.json.encode(LEGACY)))) as agent:
        rounds.discover(an_instance("old", agent))
        for _ in range(4):
            rounds.reports()

    codes = [reason.code for reason in rounds.latest("old").assessment.reasons]
    assert "ReportStale" not in codes
    assert "ClockSkew" not in codes


def test_a_vnc_server_that_lets_viewers_in_again_changes_the_verdict_between_two_ticks(rounds):
    lets_in = threading.Event()

    def vnc_server(connection):
        if lets_in.is_set():
            shake_hands(connection)

    with agents(Agent().serve, vnc_server) as (agent, vnc):
        rounds.discover(an_instance("a", agent, vnc_port=vnc.port))
        for _ in range(3):
            rounds.reports()
            rounds.connectivity()
        before = rounds.latest("a").assessment
        lets_in.set()
        rounds.connectivity()

    after = rounds.latest("a")
    assert ("unhealthy", "VncUnreachable") == (before.verdict, before.reasons[0].code)
    assert ("healthy", 3, ConnectivityOutcome.OK) == (after.assessment.verdict, after.tick, after.connectivity.outcome)


def test_the_latest_picture_is_kept_and_fetched_again_only_when_it_moved(rounds):
    agent, key = Agent(), InstanceKey("static/a")
    with serving(agent.serve) as server:
        rounds.discover(an_instance("a", server))
        rounds.reports()
        rounds.connectivity()
        first = reader.screen(rounds.connection, key)
        asked = agent.sequence
        rounds.reports()
        rounds.connectivity()
        asked_again = agent.sequence - asked
        agent.screen_hash, agent.png = "second", b"\x89PNG\r\n\x1a\ntwo"
        rounds.reports()
        rounds.connectivity()

    second = reader.screen(rounds.connection, key)
    assert (("first", b"\x89PNG\r\n\x1a\none"), 1) == ((first.hash, first.png), asked_again)
    assert ("second", b"\x89PNG\r\n\x1a\ntwo") == (second.hash, second.png)


def test_a_successor_carries_on_with_history_and_incidents(rounds):
    agent = Agent()
    agent.is_well = False
    with serving(agent.serve) as server:
        rounds.discover(an_instance("a", server))
        for _ in range(4):
            rounds.reports()
        (opened,) = reader.open_incidents(rounds.connection).values()
        successor = Rounds(rounds.connection)
        successor.tick = rounds.tick
        with closing(successor.collector):
            successor.connectivity()
            successor.reports()
            successor.connectivity()

    (carried,) = reader.open_incidents(rounds.connection).values()
    since = {one.since_ms for one in rounds.latest("a").assessment.reasons[0].evidence}
    assert (opened.id, 5) == (carried.id, rounds.latest("a").tick)
    assert {opened.opened_at_ms} == since


def test_an_instance_that_left_the_inventory_is_no_longer_asked(rounds):
    with agents(Agent().serve, Agent().serve) as (stays, goes):
        rounds.discover(an_instance("stays", stays), an_instance("goes", goes))
        rounds.reports()
        rounds.discover(an_instance("stays", stays))
        rounds.connectivity()
        rounds.reports()

    assert (2, None) == (rounds.latest("stays").tick, rounds.latest("goes"))


def test_an_incident_that_ended_with_its_instance_is_not_reopened_when_it_comes_back(rounds):
    agent = Agent()
    agent.is_well = False
    with serving(agent.serve) as server:
        rounds.discover(an_instance("a", server))
        for _ in range(3):
            rounds.reports()
        (opened,) = reader.open_incidents(rounds.connection).values()
        rounds.discover()
        rounds.discover(an_instance("a", server))
        agent.is_well = True
        agent.screen_hash = "second"
        rounds.reports()
        rounds.reports()
        agent.is_well = False
        for _ in range(3):
            rounds.reports()

    (fresh,) = reader.open_incidents(rounds.connection).values()
    assert opened.id != fresh.id
    assert reader.incident(rounds.connection, opened.id).closed_at_ms is not None


def test_a_picture_that_went_with_its_instance_is_fetched_again_when_it_comes_back(rounds):
    with serving(Agent().serve) as server:
        rounds.discover(an_instance("a", server))
        for comes_back in (False, True):
            if comes_back:
                rounds.discover()
                rounds.discover(an_instance("a", server))
            rounds.reports()
            rounds.connectivity()

    assert reader.screen(rounds.connection, InstanceKey("static/a")) is not None


def test_the_word_of_an_agent_at_the_old_place_lets_nobody_dial_at_the_new_one(rounds):
    legacy = answering(http(msgspec.json.encode(LEGACY)))
    with agents(Agent().serve, legacy, hang) as (shares, legacy_agent, vnc):
        rounds.discover(an_instance("a", shares))
        rounds.reports()
        rounds.discover(an_instance("a", legacy_agent, vnc_port=vnc.port))
        rounds.connectivity()
        successor = Rounds(rounds.connection)
        successor.tick = rounds.tick
        with closing(successor.collector):
            successor.connectivity()

        assert 0 == vnc.connections


def test_reports_that_this_version_refuses_are_no_report_after_a_change_of_version(rounds):
    with serving(Agent().serve) as server:
        rounds.discover(an_instance("a", server))
        rounds.reports()
        later = pack(encode(msgspec.structs.replace(a_full_report(), schema_version=2)))
        rounds.connection.execute("UPDATE reports SET body = ?", (later,))
        rounds.connection.execute("UPDATE assessments SET report = ?", (later,))
        successor = Rounds(rounds.connection)
        successor.tick = rounds.tick
        with closing(successor.collector):
            successor.reports()

    assert (2, Verdict.HEALTHY) == (rounds.latest("a").tick, rounds.latest("a").assessment.verdict)


def test_a_round_that_was_not_committed_leaves_no_trace_in_memory(rounds):
    with serving(Agent().serve) as server:
        rounds.discover(an_instance("a", server))
        rounds.collector.observe(REPORTS, 1)
        rounds.reports()

    assert [(1,)] == rounds.connection.execute("SELECT tick FROM reports").fetchall()


def test_a_fleet_of_nobody_is_no_trouble(rounds):
    rounds.reports()
    rounds.connectivity()

    assert {} == reader.latest(rounds.connection)
