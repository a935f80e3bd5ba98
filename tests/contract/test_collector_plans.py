"""The collector's plans: real reports over sockets, and what the store says is to be done."""

from contextlib import closing
from dataclasses import replace

import pytest
from builders import Watch, a_handshake, a_report, changed
from collecting import Rounds, a_collector, agents, an_instance
from full_report import a_full_report
from pods import a_pod
from servers import http, read_request

from agent.report import Actions, encode
from jobs.health.causes import FLEET
from jobs.health.model import Instance, InstanceKey
from jobs.health.recovery import Action, AttemptOutcome, Hold, Order
from jobs.health.situation import Wish
from jobs.health.watched import see_connectivity
from jobs.planner import plan_fleet, plan_one, user_wait_left_seconds
from jobs.store import ledger, reader
from jobs.store.connection import transaction
from jobs.store.ledger import Ending
from jobs.store.plans import due_plans, read_plans

KEY = InstanceKey("static/a")
MUTED = {"audio": {"muted": True}}
STUCK = {"qemu": {"process_state": "T", "run_state": None, "uptime_seconds": 3600.0}}
ACTS = Actions(can=[action.value for action in Action if action is not Action.DELETE_POD])


class ActingAgent:
    """An agent that does all acts, and reports what `blocks` changes of a healthy report."""

    def __init__(self, **blocks):
        self.sequence = 0
        self.blocks = blocks

    def serve(self, connection):
        """Answer reports."""
        while read_request(connection):
            self.sequence += 1
            report = changed(
                a_full_report(sequence=self.sequence),
                **{"actions": ACTS, "qemu": {"uptime_seconds": 3600.0}, **self.blocks},
            )
            connection.sendall(http(encode(report)))


@pytest.fixture
def rounds(tmp_path):
    with a_collector(tmp_path / "loco.db") as rounds:
        with transaction(rounds.connection):
            ledger.adopt(rounds.connection, [], now=rounds.now())
        yield rounds


def told(rounds, key=KEY):
    """Return action and hold of an instance's plan."""
    plan = read_plans(rounds.connection).get(key)
    return plan and (plan.action, plan.hold)


def see(rounds, ticks=2):
    for _ in range(ticks):
        rounds.reports()


def test_a_fault_is_due_at_the_tick_that_opens_its_incident(rounds):
    with agents(ActingAgent(**MUTED).serve) as (agent,):
        rounds.discover(an_instance("a", agent))
        see(rounds, 1)
        assert {} == read_plans(rounds.connection)
        see(rounds, 1)

    (plan,) = due_plans(rounds.connection)
    incident = reader.open_incidents(rounds.connection)[KEY]
    assert (incident.id, Action.RESET_AUDIO, ("AudioMuted",)) == (plan.incident, plan.action, plan.codes)


def test_a_healthy_tick_makes_a_plan_wait_though_the_incident_is_open(rounds):
    agent = ActingAgent(**MUTED)
    with agents(agent.serve) as (server,):
        rounds.discover(an_instance("a", server))
        see(rounds)
        agent.blocks = {}
        see(rounds, 1)

    assert (None, Hold.NOT_ACTIONABLE) == told(rounds)


def test_a_handshake_after_the_only_look_at_a_fault_is_no_second_look(rounds):
    policy = rounds.recovery.leave.policy
    watch = Watch()
    watch.see(a_report(network={"tap_up": False}), vnc="refused")
    watch.see(a_report(audio={"muted": True}), vnc="ok")
    handshake = a_handshake("refused", at_ms=watch.at_ms + 5000)
    watched, moved = see_connectivity(watch.watched, handshake, policy=policy)
    with transaction(rounds.connection):
        plan_fleet(rounds.connection, rounds.recovery, {KEY: watched}, {}, tick=watch.tick, now=rounds.now())

    (plan,) = read_plans(rounds.connection).values()
    assert moved
    assert "AudioMuted was seen at one tick only, two are needed" == plan.detail


def test_a_plan_goes_with_its_incident(rounds):
    agent = ActingAgent(**MUTED)
    with agents(agent.serve) as (server,):
        rounds.discover(an_instance("a", server))
        see(rounds)
        agent.blocks = {}
        see(rounds, 8)

    assert {} == read_plans(rounds.connection) == reader.open_incidents(rounds.connection)


def test_a_plan_goes_with_its_instance(rounds):
    with agents(ActingAgent(**MUTED).serve) as (server,):
        rounds.discover(an_instance("a", server))
        see(rounds)
        rounds.discover()
        see(rounds, 1)

    assert {} == read_plans(rounds.connection)


def book(rounds, plan):
    """Book what is planned, and return the attempt."""
    order = Order(key=KEY, action=plan.action, incident=plan.incident, codes=plan.codes)
    return ledger.book(rounds.connection, order, rounds.bounds.limits, now=rounds.now())


def test_planning_says_what_the_ledger_says(rounds):
    with agents(ActingAgent(**MUTED).serve) as (server,):
        rounds.discover(an_instance("a", server))
        see(rounds)
        (plan,) = due_plans(rounds.connection)
        with transaction(rounds.connection):
            attempt = book(rounds, plan)
        see(rounds, 1)
        assert (Action.RESET_AUDIO, Hold.ATTEMPT_RUNNING) == told(rounds)
        with transaction(rounds.connection):
            ending = Ending(AttemptOutcome.NO_EFFECT, "still muted")
            ledger.end(rounds.connection, attempt.id, ending, now=rounds.now())
        see(rounds, 1)

    assert (Action.RESTART_QEMU, Hold.COOL_DOWN) == told(rounds)


def test_what_an_act_brings_about_does_not_escalate_its_incident(rounds):
    agent = ActingAgent(**MUTED)
    with agents(agent.serve) as (server,):
        rounds.discover(an_instance("a", server))
        see(rounds)
        (plan,) = due_plans(rounds.connection)
        with transaction(rounds.connection):
            attempt = book(rounds, plan)
            ledger.claim(rounds.connection, attempt.id, "runner", now=rounds.now())
        agent.blocks = STUCK
        see(rounds)
        assert ("degraded", ("AudioMuted",)) == kept(rounds, plan.incident)
        with transaction(rounds.connection):
            ledger.end(rounds.connection, attempt.id, Ending(AttemptOutcome.WORSE, "stuck"), now=rounds.now())
        see(rounds, 1)

    assert ("unhealthy", ("AudioMuted", "QemuStuck")) == kept(rounds, plan.incident)


def kept(rounds, incident):
    """Return verdict and codes of an incident in the store."""
    one = reader.incident(rounds.connection, incident)
    return one.verdict.value, one.codes


def test_nothing_is_due_before_the_ledger_was_adopted(tmp_path):
    with a_collector(tmp_path / "new.db") as rounds, agents(ActingAgent(**MUTED).serve) as (server,):
        rounds.discover(an_instance("a", server))
        see(rounds)

        assert (Action.RESET_AUDIO, Hold.LEDGER_UNREAD) == told(rounds)


def test_the_switches_are_read_at_every_tick(tmp_path):
    with a_collector(tmp_path / "loco.db", control=tmp_path / "control") as rounds:
        with transaction(rounds.connection):
            ledger.adopt(rounds.connection, [], now=rounds.now())
        with agents(ActingAgent(**MUTED).serve) as (server,):
            rounds.discover(an_instance("a", server))
            see(rounds)
            assert (Action.RESET_AUDIO, None) == told(rounds)
            (tmp_path / "control").mkdir()
            (tmp_path / "control" / "recovery").write_text("off\n")
            see(rounds, 1)

        assert (Action.RESET_AUDIO, Hold.KILL_SWITCH) == told(rounds)


@pytest.mark.parametrize("content", [b"\xff", None])
def test_switches_that_can_not_be_read_stop_all_acts(tmp_path, content):
    switch = tmp_path / "control" / "recovery"
    switch.parent.mkdir()
    switch.mkdir() if content is None else switch.write_bytes(content)
    with a_collector(tmp_path / "loco.db", control=tmp_path / "control") as rounds:
        with transaction(rounds.connection):
            ledger.adopt(rounds.connection, [], now=rounds.now())
        with agents(ActingAgent(**MUTED).serve) as (server,):
            rounds.discover(an_instance("a", server))
            see(rounds)

        plan = read_plans(rounds.connection)[KEY]
    assert Hold.KILL_SWITCH == plan.hold
    assert f"the switches in {tmp_path / 'control'} can't be read" in plan.detail


def test_a_user_who_leaves_releases_the_act_at_the_next_tick(rounds):
    agent = ActingAgent(**STUCK, sessions={"count": 1})
    with agents(agent.serve) as (server,):
        rounds.discover(an_instance("a", server))
        see(rounds)
        assert (Action.RESET_GUEST, Hold.USER_CONNECTED) == told(rounds)
        agent.blocks["sessions"] = {"count": 0}
        see(rounds, 1)

    assert (Action.RESET_GUEST, None) == told(rounds)


def on_node(node, number, server, **fields) -> Instance:
    key = InstanceKey(f"loco/emulator-{number}")
    pod = a_pod(name=f"emulator-{number}", node=node, **fields)
    return replace(an_instance(f"instance-{number}", server), key=key, uid=None, pod=pod)


def test_forty_percent_ill_on_one_node_is_one_incident_with_members_that_survives_the_collector(rounds):
    sick, well = ActingAgent(**MUTED), ActingAgent()
    with agents(sick.serve, well.serve) as (sick_server, well_server):
        fleet = [on_node("a", number, sick_server) for number in range(4)]
        fleet += [on_node("b", number, sick_server if number == 4 else well_server) for number in range(4, 10)]
        rounds.discover(*fleet)
        see(rounds)
        common = reader.open_incidents(rounds.connection)[InstanceKey("common/node/a")]
        held = {name for name, plan in read_plans(rounds.connection).items() if plan.hold is Hold.COMMON_CAUSE}
        with closing(Rounds(rounds.connection)) as successor:
            successor.tick = rounds.tick
            see(successor, 1)
            assert common == reader.open_incidents(rounds.connection)[common.key]
            sick.blocks = {}
            see(successor, 9)

    assert held == set(common.members) == {one.key for one in fleet[:4]}
    assert {} == reader.open_incidents(rounds.connection)
    assert reader.incident(rounds.connection, common.id).closed_at_ms
    told = rounds.connection.execute("SELECT notice FROM outbox WHERE key = ? ORDER BY id", (common.key,)).fetchall()
    assert [(f"{common.id}-opened",), (f"{common.id}-closed",)] == told


def test_forty_percent_ill_without_a_common_cause_stops_all_acts(rounds):
    with agents(ActingAgent(**MUTED).serve, ActingAgent().serve) as (sick, well):
        fleet = [on_node(f"n{number}", number, sick if number < 4 else well) for number in range(10)]
        rounds.discover(*fleet)
        see(rounds)

    assert {Hold.FLEET_BRAKE} == {plan.hold for plan in read_plans(rounds.connection).values()}
    assert 4 == len(reader.open_incidents(rounds.connection)[FLEET].members)


def test_a_person_plans_for_one_instance_out_of_the_store(rounds):
    with agents(ActingAgent(**MUTED).serve) as (server,):
        rounds.discover(an_instance("a", server))
        see(rounds, 1)

    def asked(key=KEY, **fields):
        with transaction(rounds.connection):
            return plan_one(rounds.connection, rounds.recovery, key, now=rounds.now(), **fields)

    without_incident = asked(wish=Wish())
    assert (None, Action.RESET_AUDIO, True) == (
        without_incident.incident,
        without_incident.action,
        without_incident.is_due,
    )
    assert Action.RESTART_QEMU == asked(wish=Wish(Action.RESTART_QEMU)).action
    assert Hold.NOT_ACTIONABLE == asked().hold
    assert asked(key=InstanceKey("static/nobody")) is None


def test_what_the_store_says_of_a_minute_ago_is_no_ground_for_an_act(rounds):
    with agents(ActingAgent(**MUTED).serve) as (server,):
        rounds.discover(an_instance("a", server))
        see(rounds)
    now = rounds.now()
    with transaction(rounds.connection):
        plan = plan_one(
            rounds.connection, rounds.recovery, KEY, now=replace(now, wall_ms=now.wall_ms + 60_000), wish=Wish()
        )

    assert (None, Hold.NOT_ACTIONABLE) == (plan.action, plan.hold)


def test_how_long_people_are_still_waited_for_follows_from_the_plan(rounds):
    with agents(ActingAgent(**STUCK, sessions={"count": 1}).serve) as (server,):
        rounds.discover(an_instance("a", server))
        see(rounds)

    def left(seconds):
        now = rounds.now()
        later = replace(now, boottime_ms=now.boottime_ms + seconds * 1000)
        with transaction(rounds.connection):
            return user_wait_left_seconds(rounds.connection, rounds.recovery, KEY, now=later)

    assert 290 < left(0) <= 300
    assert 190 < left(100) <= 200
    assert 0 == left(400)
    with transaction(rounds.connection):
        nobody = InstanceKey("static/nobody")
        assert 300 == user_wait_left_seconds(rounds.connection, rounds.recovery, nobody, now=rounds.now())
