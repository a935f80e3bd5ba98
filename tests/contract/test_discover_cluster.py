"""`discover` in a cluster: from an API server that lists, watches and fails, into a real store."""

import json
from contextlib import closing

import pytest
from api_server import an_api_server, refusing, wait_for
from pods import BEGAN_MS, SELECTOR, pod_json

from jobs.cluster.node_watch import NodeWatch
from jobs.discovery.cluster import CHANGES, INVENTORY, ClusterRounds, Scope
from jobs.errors import ClusterError
from jobs.store import reader
from jobs.store.asked import last_asked
from jobs.store.connection import open_store, transaction
from jobs.store.discovery import Mode, read_discovery

LABELS = ",".join(f"{name}={value}" for name, value in SELECTOR.items())


class Rounds:
    """Makes the rounds of one discoverer as a window would."""

    def __init__(self, connection, connect, *, namespaces=("loco",), at_ms=BEGAN_MS, **watched):
        self.connection = connection
        self.at_ms = at_ms
        self.rounds = ClusterRounds(Scope(namespaces, LABELS, **watched), clock=lambda: self.at_ms, connect=connect)
        self.rounds.warm(connection)
        self.rounds.resume(connection)

    def look(self, beat=INVENTORY):
        """Make one round; return the public ids with their phases, and the problem."""
        observed = self.rounds.observe(beat, 1)
        if observed.write:
            with transaction(self.connection):
                observed.write(self.connection)
        return self.inventory(), observed.problem

    def close(self):
        """Let the threads end."""
        self.rounds.close()

    def inventory(self):
        """Return public id and phase of each stored instance."""
        return {one.public_id: one.pod.phase if one.pod else None for one in reader.inventory(self.connection)}

    def row(self):
        """Return what is stored about discovery."""
        return read_discovery(self.connection)


@pytest.fixture
def connection(tmp_path):
    with closing(open_store(tmp_path / "loco.db")) as connection:
        yield connection


@pytest.fixture
def cluster():
    with an_api_server() as (server, connect):
        statefulset = {"metadata": {"name": "loco-emulator"}, "spec": {"replicas": 2}, "status": {"readyReplicas": 2}}
        server.put(statefulset, kind="statefulsets")
        for ordinal in range(2):
            server.put(pod_json(f"loco-emulator-{ordinal}"))
        yield server, connect


@pytest.fixture
def rounds(cluster, connection):
    with closing(Rounds(connection, cluster[1])) as rounds:
        wait_for(cluster[0].watches)
        yield rounds


BOTH = {"instance-0": "Running", "instance-1": "Running"}


def test_the_inventory_is_what_the_cluster_shows(rounds):
    assert (BOTH, None) == rounds.look()
    assert (Mode.KUBERNETES, BEGAN_MS, LABELS) == (
        rounds.row().mode,
        rounds.row().listed_at_ms,
        rounds.row().detail.selector,
    )


def test_between_two_ticks_only_a_change_is_written(cluster, rounds):
    rounds.look()
    before = reader.revision(rounds.connection)
    assert rounds.rounds.observe(CHANGES, 1).write is None
    cluster[0].put(pod_json("loco-emulator-0", status={"phase": "Failed", "reason": "Evicted"}))
    wait_for(lambda: rounds.look(CHANGES)[0]["instance-0"] == "Failed")

    assert before + 1 == reader.revision(rounds.connection)


def test_a_deleted_pod_stays_as_missing_and_comes_back_with_another_uid(cluster, rounds):
    rounds.look()
    cluster[0].delete("loco-emulator-1")
    wait_for(lambda: rounds.look(CHANGES)[0] == {"instance-0": "Running", "instance-1": "Missing"})
    cluster[0].put(pod_json("loco-emulator-1", metadata={"uid": "uid-new"}))
    wait_for(lambda: rounds.look(CHANGES)[0] == BOTH)

    assert ["uid-of-loco-emulator-0", "uid-new"] == [one.uid for one in reader.inventory(rounds.connection)]


def test_a_run_that_takes_over_goes_on_from_the_stored_inventory(cluster, rounds, connection):
    rounds.look()
    cluster[0].delete("loco-emulator-1")
    with closing(Rounds(connection, cluster[1], at_ms=BEGAN_MS + 1)) as successor:
        assert {"instance-0": "Running", "instance-1": "Missing"} == successor.look()[0]

    assert [BEGAN_MS + 1] == [one.pod.since_ms for one in reader.inventory(connection) if one.pod.phase == "Missing"]


def test_an_api_server_that_goes_away_leaves_the_inventory_and_its_age(cluster, rounds):
    rounds.look()
    cluster[0].fail("list", refusing(503, "shutting down"))
    cluster[0].fail("watch", refusing(503, "shutting down"))
    cluster[0].close()
    wait_for(lambda: rounds.look(CHANGES)[1])
    rounds.at_ms += 60_000
    ids, problem = rounds.look()

    assert (BOTH, Mode.KEPT, BEGAN_MS) == (ids, rounds.row().mode, rounds.row().listed_at_ms)
    assert problem.startswith("namespace loco can't be listed: ")
    assert problem.endswith("shutting down; its 2 instances stay as last known")


def test_a_run_that_never_hears_the_cluster_keeps_what_the_last_one_saw(cluster, rounds, connection, tmp_path):
    rounds.look()
    fallback = tmp_path / "instances.json"
    fallback.write_text(json.dumps([{"id": "a", "healthUrl": "http://127.0.0.1:8080"}]))
    with closing(Rounds(connection, nowhere, fallback=fallback, at_ms=BEGAN_MS + 60_000)) as deaf:
        ids, problem = deaf.look()

    assert (BOTH, Mode.KEPT, BEGAN_MS) == (ids, deaf.row().mode, deaf.row().listed_at_ms)
    assert "no way to the Kubernetes API" in problem
    assert "no way to the Kubernetes API" in deaf.row().detail.namespaces[0].problem


def test_a_cluster_that_was_never_heard_falls_back_to_the_file_until_it_speaks(cluster, connection, tmp_path):
    fallback = tmp_path / "instances.json"
    fallback.write_text(json.dumps([{"id": "a", "healthUrl": "http://127.0.0.1:8080"}]))
    with closing(Rounds(connection, nowhere, fallback=fallback)) as deaf:
        ids, problem = deaf.look()
        mode = deaf.row().mode
        fallback.write_text("[")
        broken = deaf.look()
    with closing(Rounds(connection, cluster[1], fallback=fallback)) as hearing:
        healed = hearing.look()

    assert ({"a": None}, Mode.STATIC) == (ids, mode)
    assert "no way to the Kubernetes API" in problem
    assert {"a": None} == broken[0]
    assert "instances.json: line 1 column 2: Input data was truncated" in broken[1]
    assert (BOTH, None) == healed


def test_a_cluster_that_was_never_heard_and_no_file_is_no_inventory(connection):
    with closing(Rounds(connection, nowhere)) as deaf:
        ids, problem = deaf.look()

    assert ({}, Mode.KEPT, None) == (ids, deaf.row().mode, deaf.row().listed_at_ms)
    assert problem.endswith("no way to the Kubernetes API; none of its instances is known yet")


def test_a_forbidden_namespace_takes_none_of_the_others_down(cluster, connection):
    server, connect = cluster
    server.fail("list", refusing(403, "pods is forbidden"), namespace="other")
    with closing(Rounds(connection, connect, namespaces=("other", "loco"))) as rounds:
        ids, problem = rounds.look()
        row = rounds.row()

    assert (BOTH, Mode.KUBERNETES, None) == (ids, row.mode, row.listed_at_ms)
    assert "apply the component watch-namespace there" in problem
    assert [True, False] == [one.is_forbidden for one in row.detail.namespaces]


def test_no_pods_after_many_is_an_alarm_and_takes_nobody_away(cluster, rounds):
    rounds.look()
    for ordinal in range(2):
        cluster[0].delete(f"loco-emulator-{ordinal}")
    wait_for(lambda: rounds.look(CHANGES)[0] == {"instance-0": "Missing", "instance-1": "Missing"})

    assert (
        f"namespace loco shows no pod with the labels {LABELS}, though 2 instances were known there; "
        "they stay as Missing"
    ) == rounds.look()[1]


def test_a_selector_that_picks_nothing_is_said(cluster, connection):
    with closing(Rounds(connection, cluster[1], namespaces=("empty",))) as rounds:
        assert ({}, f"namespace empty shows no pod with the labels {LABELS}") == rounds.look()


def test_only_a_new_instance_asks_collect_for_a_tick(cluster, rounds):
    rounds.look()
    first = last_asked(rounds.connection, "collect")
    cluster[0].put(pod_json("loco-emulator-0", status={"phase": "Failed"}))
    wait_for(lambda: rounds.look(CHANGES)[0]["instance-0"] == "Failed")
    changed = last_asked(rounds.connection, "collect")
    cluster[0].put(pod_json("loco-emulator-7"))
    wait_for(lambda: len(rounds.look(CHANGES)[0]) == 3)

    assert (1, 1, 2) == (first, changed, last_asked(rounds.connection, "collect"))


def test_node_facts_are_joined_where_they_are_on(cluster, connection):
    server, connect = cluster
    conditions = [{"type": "Ready", "status": "Unknown"}, {"type": "MemoryPressure", "status": "True"}]
    node = {"metadata": {"name": "node-1"}, "spec": {"unschedulable": True}, "status": {"conditions": conditions}}
    server.put(node, kind="nodes", namespace=None)
    with closing(Rounds(connection, connect, has_node_facts=True)) as rounds:
        wait_for(lambda: rounds.rounds._nodes.problems is not None)
        rounds.look()

    assert {"NotReady, MemoryPressure, cordoned"} == {one.pod.node_problem for one in reader.inventory(connection)}
    assert rounds.row().detail.nodes_problem is None


def test_node_facts_that_are_forbidden_or_off_are_null_with_a_reason(cluster, connection):
    server, connect = cluster
    server.fail("list", refusing(403, "nodes is forbidden"), kind="nodes", namespace=None)
    with closing(Rounds(connection, connect, has_node_facts=True)) as forbidden:
        wait_for(lambda: "answered 403" in forbidden.rounds._nodes.problem)
        forbidden.look()
        reason = forbidden.row().detail.nodes_problem
    with closing(Rounds(connection, connect)) as off:
        off.look()

    assert reason.endswith("answered 403: nodes is forbidden; apply the component node-facts")
    assert "node facts are off; the component node-facts switches them on" == off.row().detail.nodes_problem
    assert {None} == {one.pod.node_problem for one in reader.inventory(connection)}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_of_the_nodes_that_dies_of_a_bug_ends_the_run():
    def broken():
        raise ZeroDivisionError

    watch = NodeWatch(connect=broken)
    watch.start()
    watch._thread.join(5)

    with pytest.raises(RuntimeError, match="the thread that lists the nodes has died"):
        _ = watch.problems


def nowhere():
    """Be a cluster that isn't there."""
    raise ClusterError("no way to the Kubernetes API")
