"""`dispatch` tells: what happens to an instance is one Event each on its pod, whatever dies or refuses on the way."""

import json
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace

import pytest
from api_server import wait_for
from builders import a_report
from kubernetes.client.configuration import Configuration
from object_server import an_object_server
from pods import a_pod, a_pods_instance
from servers import hang, serving
from stores import a_fleet, an_instance

from jobs.clock import Clock
from jobs.cluster.client import ClusterClient
from jobs.cluster.late import LateClient
from jobs.courier import NO_POD, Courier
from jobs.health.model import ProbeOutcome
from jobs.health.recovery import Action, AttemptOutcome, Hold, Limits, Order, Plan
from jobs.store import ledger, outbox, writer
from jobs.store.connection import transaction
from jobs.store.plans import put_plans
from jobs.store.retention import apply_retention

START_MS = 1_795_550_863_000
EVENTS = "/apis/events.k8s.io/v1/namespaces/loco/events"
REFUSED = {"instance-0": ProbeOutcome.REFUSED}
POD = replace(a_pods_instance(a_pod()), uid="uid-1")


@pytest.fixture
def server():
    with an_object_server() as (objects, connect):
        yield objects, connect


@pytest.fixture
def fleet(tmp_path):
    with a_fleet(tmp_path / "loco.db", [POD], at_ms=START_MS) as fleet:
        yield fleet


class Rounds:
    """Makes the rounds of one courier as a window would. is_killed: it dies before it writes what it did."""

    def __init__(self, fleet, connect):
        self.fleet, self.now_ms = fleet, fleet.at_ms
        client = connect()
        self.courier = Courier(lambda: client, clock=lambda: self.now_ms)

    def go(self, *, is_tick=True, is_killed=False):
        """Make one round."""
        observed = self.courier.observe(self.fleet.connection, is_tick=is_tick)
        if observed.write and not is_killed:
            with transaction(self.fleet.connection):
                observed.write(self.fleet.connection)
        return observed


def rows(fleet):
    """Return kind, outcome, number of failed tries and problem of each row."""
    return fleet.connection.execute("SELECT kind, outcome, tries, problem FROM outbox ORDER BY id").fetchall()


def test_opening_and_end_are_one_event_each(server, fleet):
    objects, connect = server
    fleet.ticks(3, REFUSED)
    rounds = Rounds(fleet, connect)
    rounds.go()
    fleet.ticks(40)
    rounds.now_ms = fleet.at_ms
    rounds.go()
    opened, closed = objects.kept.values()

    assert [("incident-opened", "sent", 0, None), ("incident-closed", "sent", 0, None)] == rows(fleet)
    assert ("Warning", "OpenIncident", "AgentRefused") == (opened["type"], opened["action"], opened["reason"])
    assert ("Normal", "CloseIncident", "InstanceHealthy") == (closed["type"], closed["action"], closed["reason"])
    assert (
        {"apiVersion": "v1", "kind": "Pod", "namespace": "loco", "name": "loco-emulator-0", "uid": "uid-1"}
        == opened["regarding"]
        == closed["regarding"]
    )
    assert opened["note"].startswith("unreachable, class network: Nothing listens at the agent's address")


def test_an_incident_that_gets_worse_is_an_event_of_its_own(server, fleet):
    objects, connect = server
    fleet.ticks(3, {"instance-0": a_report(audio={"muted": True})})
    fleet.ticks(2, REFUSED)
    Rounds(fleet, connect).go()
    _, worse = objects.kept.values()

    assert ("Warning", "EscalateIncident", "VerdictUnreachable") == (worse["type"], worse["action"], worse["reason"])
    assert worse["note"].startswith("now unreachable, class network: Nothing listens at the agent's address")


def plan(fleet, action=Action.RESET_GUEST, hold=None, detail=""):
    """Have collect plan for the open incident."""
    ((incident,),) = fleet.connection.execute("SELECT id FROM incidents WHERE closed_at_ms IS NULL").fetchall()
    planned = Plan(
        incident=incident,
        key=POD.key,
        decided_at_ms=fleet.at_ms,
        action=action,
        hold=hold,
        detail=detail,
        uid="uid-1",
        codes=("ScreenFrozen",),
    )
    with transaction(fleet.connection):
        put_plans(fleet.connection, [planned])
    return incident


def attempt(fleet, incident, outcome, detail):
    """Have an attempt booked, begun and ended."""
    order = Order(key=POD.key, action=Action.RESET_GUEST, incident=incident, uid="uid-1", codes=("ScreenFrozen",))
    now = Clock().moment()
    with transaction(fleet.connection):
        ledger.adopt(fleet.connection, (), now=now)
        booked = ledger.book(fleet.connection, order, Limits(cool_down_seconds=0), now=now)
        ledger.claim(fleet.connection, booked.id, "pod-1", now=now)
        if outcome is not AttemptOutcome.STOOD_DOWN:
            ledger.begin_act(fleet.connection, booked.id, "pod-1", now=now)
        ledger.end(fleet.connection, booked.id, ledger.Ending(outcome, detail), now=now, runner="pod-1")


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (AttemptOutcome.HEALED, ["Normal RecoveryStarted", "Normal RecoverySucceeded"]),
        (AttemptOutcome.NO_EFFECT, ["Normal RecoveryStarted", "Warning RecoveryFailed"]),
        (AttemptOutcome.STOOD_DOWN, ["Warning RecoverySuppressed"]),
    ],
)
def test_a_plan_and_its_attempt_are_told_from_beginning_to_end(server, fleet, outcome, told):
    objects, connect = server
    fleet.ticks(3, REFUSED)
    attempt(fleet, plan(fleet), outcome, "as the test says")
    rounds = Rounds(fleet, connect)
    rounds.now_ms = 4_000_000_000_000
    rounds.go()
    _, planned, *events = objects.kept.values()

    assert ("Normal", "ResetGuest", "RecoveryPlanned") == (planned["type"], planned["action"], planned["reason"])
    assert told == [f"{event['type']} {event['reason']}" for event in events]
    assert f"reset-guest of instance-0: {outcome}, as the test says (attempt 1 of incident " in events[-1]["note"]
    assert {"uid-1"} == {event["regarding"]["uid"] for event in (planned, *events)}


def test_a_hold_that_comes_and_goes_is_told_once(server, fleet):
    objects, connect = server
    fleet.ticks(3, REFUSED)
    for _ in range(3):
        plan(fleet, hold=Hold.USER_CONNECTED, detail="reset-guest waits: 1 connected, at most 300 s")
        plan(fleet, hold=Hold.COOL_DOWN, detail="20 s are to pass")
        plan(fleet)
    Rounds(fleet, connect).go()
    _, *events = objects.kept.values()

    assert ["RecoverySuppressed", "RecoveryPlanned"] == [event["reason"] for event in events]
    assert events[0]["note"].startswith("UserConnected: reset-guest waits: 1 connected, at most 300 s (incident ")


def test_a_dispatcher_that_is_killed_between_sending_and_writing_sends_once(server, fleet):
    objects, connect = server
    fleet.ticks(3, REFUSED)
    Rounds(fleet, connect).go(is_killed=True)
    Rounds(fleet, connect).go()

    assert [("POST", EVENTS)] * 2 == objects.asked
    assert 1 == len(objects.kept)
    assert [("incident-opened", "sent", 0, None)] == rows(fleet)


def test_an_event_whose_answer_was_lost_is_sent_once(server, fleet):
    objects, connect = server
    fleet.ticks(3, REFUSED)
    rounds = Rounds(fleet, connect)
    objects.lose_answers = True
    rounds.go()
    lost = rows(fleet)
    objects.lose_answers = False
    rounds.now_ms += 1000
    rounds.go()

    assert [("incident-opened", None, 1)] == [row[:3] for row in lost]
    assert ([("incident-opened", "sent", 1, None)], 1) == (rows(fleet), len(objects.kept))


def test_a_missing_right_is_a_problem_that_names_it_and_never_fails_the_run(server, fleet):
    objects, connect = server
    fleet.ticks(3, REFUSED)
    objects.refusal = (403, "events.events.k8s.io is forbidden")
    observed = Rounds(fleet, connect).go()

    assert observed.problem.startswith(
        "dispatch may not create events.k8s.io in namespace loco: apply component watch-namespace there"
    )
    assert [("incident-opened", None, 1, observed.problem)] == rows(fleet)


def test_tries_are_ever_further_apart_and_the_problem_goes_with_the_first_that_succeeds(server, fleet):
    objects, connect = server
    fleet.ticks(3, REFUSED)
    rounds = Rounds(fleet, connect)
    objects.refusal = (500, "etcd is away")
    pauses_seconds, tried_at_ms = [], rounds.now_ms
    while len(pauses_seconds) < 10:
        asked = len(objects.asked)
        rounds.go()
        if len(objects.asked) > asked:
            pauses_seconds.append((rounds.now_ms - tried_at_ms) / 1000)
            tried_at_ms = rounds.now_ms
        rounds.now_ms += 1000
    objects.refusal = None
    rounds.now_ms += 300_000

    assert [0, 1, 2, 4, 8, 16, 32, 64, 128, 256] == pauses_seconds
    assert None is rounds.go().problem
    assert [("incident-opened", "sent", 10, None)] == rows(fleet)


def test_a_server_that_wants_to_be_left_alone_is_whatever_else_waits(server, fleet):
    objects, connect = server
    fleet.ticks(3, REFUSED)
    fleet.ticks(40)
    rounds = Rounds(fleet, connect)
    objects.refusal, objects.retry_after = (429, "too many requests"), "1"
    began = time.monotonic()
    told = [rounds.go().problem for _ in range(3)]
    asked = len(objects.asked)
    objects.refusal, objects.retry_after = None, ""
    rounds.now_ms += 1000
    wait_for(lambda: rounds.go(is_tick=False).problem is None)

    assert time.monotonic() - began >= 1
    assert 1 == asked
    assert 1 == len(set(told))
    assert ["sent", "sent"] == [outcome for _, outcome, *_ in rows(fleet)]


def test_a_server_that_is_mute_is_waited_for_in_few_rounds(fleet):
    fleet.ticks(3, REFUSED)
    fleet.ticks(40)
    dialled = []

    def mute(connection):
        dialled.append(connection)
        hang(connection)

    with serving(mute) as server:
        configuration = Configuration(host=f"http://127.0.0.1:{server.port}")
        configuration.retries = False
        rounds = Rounds(fleet, lambda: ClusterClient(configuration, read_seconds=1.5))
        rounds.go()
        rounds.now_ms += 300_000
        began_at = time.monotonic()
        for _ in range(20):
            rounds.go()

        assert time.monotonic() - began_at < 1.5
        assert 1 == len(dialled)


def test_a_clock_that_was_set_back_delays_no_event(server, fleet):
    objects, connect = server
    fleet.ticks(3, REFUSED)
    rounds = Rounds(fleet, connect)
    rounds.now_ms -= 3_600_000
    rounds.go()

    assert 1 == len(objects.kept)


def test_an_instance_of_a_file_has_no_pod_and_the_row_says_so(server, tmp_path):
    objects, connect = server
    with a_fleet(tmp_path / "other.db", [an_instance()], at_ms=START_MS) as fleet:
        fleet.ticks(3, REFUSED)
        Rounds(fleet, connect).go()

        assert [("incident-opened", "not-applicable", 0, NO_POD)] == rows(fleet)
    assert [] == objects.asked


def test_an_instance_that_leaves_closes_its_incident_with_a_reason_of_its_own(server, fleet):
    objects, connect = server
    fleet.ticks(3, REFUSED)
    with transaction(fleet.connection):
        writer.record_inventory(fleet.connection, [], at_ms=fleet.at_ms)
    Rounds(fleet, connect).go()

    assert ["AgentRefused", "InstanceLeft"] == [event["reason"] for event in objects.kept.values()]


def test_between_two_ticks_the_store_is_read_only_when_somebody_has_written(server, fleet, monkeypatch):
    _, connect = server
    reads = []
    monkeypatch.setattr(outbox, "due", lambda *_, **__: reads.append(1) or [])
    rounds = Rounds(fleet, connect)
    for _ in range(5):
        rounds.go(is_tick=False)

    assert [1] == reads


def test_what_nobody_sent_for_a_day_is_given_up_and_goes_a_week_after_with_its_incident_over(fleet):
    fleet.ticks(3, REFUSED)
    fleet.connection.execute("DELETE FROM minutes")
    young = apply_retention(fleet.connection, at_ms=fleet.at_ms + 23 * 3_600_000)
    old = apply_retention(fleet.connection, at_ms=fleet.at_ms + 25 * 3_600_000)
    given_up = rows(fleet)
    kept = apply_retention(fleet.connection, at_ms=fleet.at_ms + 9 * 24 * 3_600_000)
    fleet.connection.execute("UPDATE incidents SET closed_at_ms = 1")
    gone = apply_retention(fleet.connection, at_ms=fleet.at_ms + 9 * 24 * 3_600_000)

    assert (0, 1) == (young["given_up"], old["given_up"])
    assert [("incident-opened", "given-up", 0, outbox.UNSENT)] == given_up
    assert (0, 1, []) == (kept["outbox"], gone["outbox"], rows(fleet))


LOADS = """
import json, pathlib, sys
from contextlib import closing
from jobs.clock import Clock
from jobs.cluster.late import LateClient
from jobs.commands.dispatch import _recovery_jobs, dispatch
from jobs.clock import Clock
from jobs.courier import Courier
from jobs.dispatcher import Dispatcher, TICK
from jobs.health.recovery import Limits
from jobs.notifier import Notifier
from jobs.recovery.launcher import Launcher
from jobs.store.connection import open_store
connect = LateClient(read_seconds=1)
with closing(open_store(pathlib.Path(sys.argv[1]))) as connection:
    launcher = Launcher(_recovery_jobs("loco-health", connect, None), clock=Clock(), limits=Limits())
    dispatcher = Dispatcher(launcher, Courier(connect, clock=lambda: 1), Notifier([], clock=lambda: 1))
    dispatcher.warm(connection)
    dispatcher.resume(connection)
    dispatcher.observe(TICK, 1)
print(json.dumps([name for name in ("kubernetes", "urllib3", "requests", "pycurl") if name in sys.modules]))
"""


def test_the_client_is_loaded_only_when_something_is_to_be_sent(tmp_path):
    with a_fleet(tmp_path / "loco.db", [POD], at_ms=START_MS) as fleet, transaction(fleet.connection):
        fleet.connection.execute("UPDATE ledger SET adopted_at_ms = 1")
    told = subprocess.check_output([sys.executable, "-c", LOADS, tmp_path / "loco.db"], text=True, timeout=20)

    assert [] == json.loads(told)


def test_outside_of_a_cluster_it_says_so_and_goes_on(fleet, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    fleet.ticks(3, REFUSED)
    with closing(LateClient(read_seconds=1)) as connect:
        problem = Courier(connect, clock=lambda: fleet.at_ms).observe(fleet.connection, is_tick=True).problem

    assert "neither a service account nor a kubeconfig" in problem
