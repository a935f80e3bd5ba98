"""`discover` keeps the snapshot ConfigMap: on change, at most once a minute, and never at the cost of a run."""

import json
import threading
from dataclasses import replace

import pytest
from object_server import an_object_server
from pods import a_pod, a_pods_instance
from stores import a_fleet

from jobs.cluster.publisher import Publisher
from jobs.discovery.publishing import SNAPSHOT, PublishingRounds
from jobs.health.model import ProbeOutcome
from jobs.store.snapshot import decode
from jobs.window import Beat, Observed

START_MS = 1_795_550_863_000
PATH = "/api/v1/namespaces/loco-health/configmaps/loco-health"
INVENTORY = Beat("inventory", 30, is_tick=True)
INSTANCE = replace(a_pods_instance(a_pod()), uid="uid-1")
REFUSED = {"instance-0": ProbeOutcome.REFUSED}


@pytest.fixture
def server():
    with an_object_server() as (objects, connect):
        yield objects, connect


@pytest.fixture
def fleet(tmp_path):
    with a_fleet(tmp_path / "loco.db", [INSTANCE], at_ms=START_MS) as fleet:
        fleet.ticks()
        yield fleet


class Looks:
    """One run's publisher, whose looks are waited for; its clock goes with the fleet's ticks."""

    def __init__(self, fleet, connect):
        self.fleet = fleet
        self.publisher = Publisher("loco-health", clock=lambda: fleet.at_ms + 1000, connect=connect)
        self.look()  # which only learns what stands there

    def look(self):
        """Look once, and wait for what it began."""
        self.publisher.look(self.fleet.connection)
        self.publisher.wait()

    def ticks(self, count, answers=None):
        """Let ticks go by, with a look after each."""
        for _ in range(count):
            self.fleet.ticks(1, answers)
            self.look()


def writes(objects):
    """Return how often the ConfigMap was written."""
    return objects.asked.count(("PATCH", PATH))


def test_the_first_look_reads_what_stands_there_and_the_next_writes(server, fleet):
    objects, connect = server
    looks = Looks(fleet, connect)
    looks.look()
    written = objects.kept[PATH]

    assert [("GET", PATH), ("PATCH", PATH)] == objects.asked
    assert {"summary", "instances", "snapshot.json"} == set(written["data"])
    assert ["healthy"] == [one.verdict for one in decode(written["data"]["snapshot.json"]).instances]
    assert None is looks.publisher.problem


def test_a_fleet_that_does_not_change_is_written_every_two_minutes(server, fleet):
    objects, connect = server
    looks = Looks(fleet, connect)
    looks.ticks(4 * 10)  # ten minutes; `Booting` ends in between

    assert 5 <= writes(objects) <= 7


def test_a_fleet_that_flaps_is_written_once_a_minute(server, fleet):
    objects, connect = server
    looks = Looks(fleet, connect)
    for _ in range(20):  # ten minutes
        looks.ticks(1, REFUSED)
        looks.ticks(1)

    assert 9 <= writes(objects) <= 11


def test_a_hand_over_adds_no_write_even_of_news_within_the_minute(server, fleet):
    objects, connect = server
    looks = Looks(fleet, connect)
    looks.look()
    fleet.ticks(1, REFUSED)
    for _ in range(3):
        successor = Looks(fleet, connect)
        successor.look()

    assert 1 == writes(objects)


def test_what_somebody_else_wrote_there_is_written_over(server, fleet):
    objects, connect = server
    objects.kept[PATH] = {"data": {"snapshot.json": "mine"}}
    looks = Looks(fleet, connect)
    looks.look()

    assert "instances" in json.loads(objects.kept[PATH]["data"]["snapshot.json"])


def test_a_missing_right_is_named_and_tried_again_a_minute_later(server, fleet):
    objects, connect = server
    objects.refusal = (403, 'configmaps "loco-health" is forbidden')
    looks = Looks(fleet, connect)
    problem = looks.publisher.problem
    looks.ticks(3)
    tries = len(objects.asked)
    objects.refusal = None
    looks.ticks(2)

    assert problem.startswith(
        "discover may not write ConfigMap loco-health in namespace loco-health: it needs create, and get and patch by"
    )
    assert (1, 1, None) == (tries, writes(objects), looks.publisher.problem)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_of_a_bug_is_a_problem_and_begun_anew_a_minute_later(server, fleet):
    objects, connect = server
    tried = []

    def broken_once():
        tried.append(fleet.at_ms)
        return connect() if len(tried) > 1 else 1 / 0

    looks = Looks(fleet, broken_once)
    problem = looks.publisher.problem
    looks.ticks(3)
    tries = len(tried)
    looks.ticks(2)

    assert "ConfigMap loco-health/loco-health can't be written: the thread that does it has died" in problem
    assert (1, 1, None) == (tries, writes(objects), looks.publisher.problem)


def test_a_silent_api_server_holds_no_round_up(fleet):
    has_looked = threading.Event()
    with an_object_server() as (objects, connect):
        answer = objects.answer

        def answer_late(*asked):
            """Answer once the look is over: one that waits for the answer knows the problem by then."""
            has_looked.wait(10)
            return answer(*asked)

        objects.answer, objects.lose_answers = answer_late, True
        publisher = Publisher("loco-health", clock=lambda: fleet.at_ms, connect=connect)
        publisher.look(fleet.connection)
        problem_at_once = publisher.problem
        has_looked.set()
        publisher.wait()

    assert None is problem_at_once
    assert "ConfigMap loco-health/loco-health can't be written" in publisher.problem


class OneProblem:
    """Rounds of discovery that have a problem of their own."""

    name = "discover"
    beats = (INVENTORY,)

    def warm(self, connection):
        """Nothing."""

    def resume(self, connection):
        """Nothing."""

    def observe(self, beat, tick):
        """Find one instance."""
        assert (INVENTORY, 7) == (beat, tick)
        return Observed(None, 1, "the file is broken")


def test_its_problem_stands_beside_those_of_discovery_and_fails_nothing(server, fleet):
    objects, connect = server
    objects.refusal = (500, "etcd is away")
    publisher = Publisher("loco-health", clock=lambda: fleet.at_ms, connect=connect)
    rounds = PublishingRounds(OneProblem(), publisher)
    rounds.resume(fleet.connection)
    published = rounds.observe(SNAPSHOT, 7)
    publisher.wait()
    observed = rounds.observe(INVENTORY, 7)

    assert Observed(None, 0) == published
    assert (1, True) == (observed.instances, observed.problem.startswith("the file is broken; ConfigMap loco-health/"))
