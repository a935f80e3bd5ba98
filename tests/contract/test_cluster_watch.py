"""Following a namespace over real sockets, through every way in which an API server fails."""

import time
from contextlib import contextmanager

import pytest
from api_server import STREAM, an_api_server, chunk, refusing, wait_for
from pods import SELECTOR, pod_json
from servers import hang, http, reset

from jobs.cluster.watch import NamespaceWatch
from jobs.errors import ClusterError

LABELS = ",".join(f"{name}={value}" for name, value in SELECTOR.items())


@pytest.fixture
def cluster():
    with an_api_server() as (server, connect):
        server.put(pod_json("loco-emulator-0"))
        yield server, connect


@contextmanager
def following(connect, *, list_seconds=60, namespace="loco"):
    """Follow a namespace for the block."""
    watch = NamespaceWatch(namespace, LABELS, clock=lambda: 1, connect=connect, list_seconds=list_seconds)
    watch.start()
    try:
        yield watch
    finally:
        watch.close()


def names(watch):
    """Return the names of the pods that are seen."""
    return sorted(watch.sight.pods or {})


def test_pods_are_listed_with_the_selector_and_then_watched_from_there(cluster):
    server, connect = cluster
    with following(connect) as watch:
        wait_for(server.watches)
        listed = names(watch)
        server.put(pod_json("loco-emulator-1"))
        wait_for(lambda: len(names(watch)) == 2)
        server.delete("loco-emulator-0")
        wait_for(lambda: names(watch) == ["loco-emulator-1"])

    queries = [query for path, query in server.asked if path.endswith("/pods")]
    assert ["loco-emulator-0"] == listed
    assert [LABELS, LABELS] == [query["labelSelector"] for query in queries]
    assert ("101", "true", "60") == tuple(
        queries[1][name] for name in ("resourceVersion", "allowWatchBookmarks", "timeoutSeconds")
    )
    assert 1 == watch.sight.facts.pods


def test_a_change_is_seen_within_a_second(cluster):
    server, connect = cluster
    with following(connect) as watch:
        wait_for(server.watches)
        began = time.monotonic()
        server.put(pod_json("loco-emulator-0", status={"phase": "Failed", "reason": "Evicted"}))
        wait_for(lambda: watch.sight.pods["loco-emulator-0"].pod.reason == "Evicted")

    assert time.monotonic() - began < 1


def test_a_sight_is_the_same_object_while_nothing_changes(cluster):
    server, connect = cluster
    with following(connect) as watch:
        wait_for(server.watches)

        assert watch.sight is watch.sight


def test_a_list_of_many_pages_is_one_list(cluster):
    server, connect = cluster
    server.page_items = 3
    for ordinal in range(10):
        server.put(pod_json(f"loco-emulator-{ordinal}"))
    with following(connect) as watch:
        wait_for(server.watches)

        assert 10 == len(names(watch))
        assert 1 == server.lists()


def test_a_list_that_expires_between_two_pages_is_begun_anew_and_nothing_is_missing(cluster):
    server, connect = cluster
    server.page_items = 1
    server.put(pod_json("loco-emulator-1"))
    server.fail("continue", refusing(410, "the continue token is too old"), once=True)
    with following(connect) as watch:
        wait_for(server.watches)

        assert ["loco-emulator-0", "loco-emulator-1"] == names(watch)
        assert (2, None) == (server.lists(), watch.sight.facts.problem)


def test_a_list_that_always_expires_is_a_problem(cluster):
    server, connect = cluster
    server.page_items = 1
    server.put(pod_json("loco-emulator-1"))
    server.fail("continue", refusing(410, "the continue token is too old"))
    with following(connect) as watch:
        wait_for(lambda: watch.sight.facts.problem)

        assert "answered 410: the continue token is too old" in watch.sight.facts.problem
        assert watch.sight.pods is None


def test_the_next_list_comes_when_the_watch_ends_on_time(cluster):
    server, connect = cluster
    began = time.monotonic()
    with following(connect, list_seconds=1):
        wait_for(lambda: server.lists() >= 3)

    assert 2 <= time.monotonic() - began < 6


def gone(connection):
    """Say in the stream that the version is too old."""
    status = {"kind": "Status", "code": 410, "message": "too old resource version: 101 (205)"}
    connection.sendall(STREAM + chunk({"type": "ERROR", "object": status}) + b"0\r\n\r\n")


def half_a_line(connection):
    """Break off in the middle of an event."""
    connection.sendall(STREAM + chunk({"type": "DELETED", "object": pod_json("loco-emulator-0")})[:-40])
    reset(connection)


def garbage(connection):
    """Send what is no JSON."""
    connection.sendall(STREAM + b"6\r\n<html>\r\n1\r\n\n\r\n0\r\n\r\n")


def strange_events(connection):
    """Send JSON that is no event."""
    for event in (
        {},
        {"type": "ADDED"},
        {"type": "ADDED", "object": 7},
        {"type": "BOOKMARK", "object": {}},
        {"type": 3},
    ):
        connection.sendall(STREAM + chunk(event) if event == {} else chunk(event))
    connection.sendall(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "fault",
    [
        gone,
        half_a_line,
        garbage,
        strange_events,
        reset,
        refusing(500, "etcd is slow"),
        refusing(403, "no watch"),
    ],
    ids=lambda fault: getattr(fault, "__name__", "refusing"),
)
def test_a_watch_that_fails_is_mended_by_the_next_list(cluster, fault):
    server, connect = cluster
    server.fail("watch", fault, once=True)
    with following(connect) as watch:
        wait_for(lambda: server.lists() == 1)
        server.put(pod_json("loco-emulator-1"))
        wait_for(lambda: len(names(watch)) == 2)

        assert watch.sight.facts.problem is None


def test_a_watch_that_always_fails_makes_no_storm_of_lists(cluster):
    server, connect = cluster
    server.fail("watch", reset)
    with following(connect):
        wait_for(lambda: server.lists() == 3)
        began = time.monotonic()
        wait_for(lambda: server.lists() == 4)

    assert time.monotonic() - began > 3


def test_a_watch_that_falls_silent_is_given_up(cluster):
    server, connect = cluster

    def stall(connection):
        connection.sendall(STREAM)
        hang(connection)

    server.fail("watch", stall, once=True)
    with following(connect, list_seconds=1) as watch:
        wait_for(lambda: server.lists() == 1)
        server.put(pod_json("loco-emulator-1"))
        wait_for(lambda: len(names(watch)) == 2, seconds=10)


def test_a_watch_that_the_server_never_ends_is_left_on_time(cluster):
    server, connect = cluster

    def talk(connection):
        connection.sendall(STREAM)
        while True:
            connection.sendall(chunk({"type": "BOOKMARK", "object": {}}))
            time.sleep(0.1)

    server.fail("watch", talk, once=True)
    with following(connect, list_seconds=1):
        wait_for(lambda: server.lists() == 2, seconds=10)


def test_a_server_that_refuses_a_watch_is_left_alone_for_as_long_as_it_says(cluster):
    server, connect = cluster
    server.fail("watch", refusing(429, "too many requests", head="Retry-After: 3\r\n"), once=True)
    with following(connect):
        wait_for(lambda: server.lists() == 1)
        began = time.monotonic()
        wait_for(lambda: server.lists() == 2)

    assert time.monotonic() - began > 2.5


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (refusing(500, "etcdserver: request timed out"), "answered 500: etcdserver: request timed out"),
        (refusing(503, "apiserver is shutting down"), "answered 503: apiserver is shutting down"),
        (refusing(429, "too many requests", head="Retry-After: 1\r\n"), "answered 429: too many requests"),
        (refusing(401, "Unauthorized"), "answered 401: Unauthorized"),
        (refusing(400, "unable to parse requirement"), "answered 400: unable to parse requirement"),
        (
            lambda connection: connection.sendall(http(b"<html>proxy</html>")),
            "answered no JSON object: b'<html>proxy</html>'",
        ),
        (lambda connection: connection.sendall(http(b"[]")), "answered no JSON object: b'[]'"),
        (reset, "failed: ProtocolError"),
    ],
)
def test_a_list_that_fails_is_one_sentence_and_what_was_seen_stays(cluster, fault, words):
    server, connect = cluster
    with following(connect, list_seconds=1) as watch:
        wait_for(server.watches)
        server.fail("list", fault)
        wait_for(lambda: watch.sight.facts.problem)
        told, kept = watch.sight.facts, names(watch)
        server.heal()
        wait_for(lambda: watch.sight.facts.problem is None)

    assert words in told.problem
    assert told.problem.startswith("namespace loco can't be listed: ")
    assert (False, ["loco-emulator-0"]) == (told.is_forbidden, kept)


def test_a_forbidden_namespace_names_the_right_and_the_component_and_holds_up_no_other(cluster):
    server, connect = cluster
    message = (
        'pods is forbidden: User "system:serviceaccount:loco-health:loco-discover" cannot list resource "pods" in API '
        'group "" in the namespace "other"'
    )
    server.fail("list", refusing(403, message), namespace="other")
    with following(connect) as well, following(connect, namespace="other") as forbidden:
        wait_for(lambda: forbidden.sight.facts.problem and server.watches())

        assert ["loco-emulator-0"] == names(well)
        assert (None, True) == (forbidden.sight.pods, forbidden.sight.facts.is_forbidden)
        assert forbidden.sight.facts.problem == (
            f"namespace other can't be listed: GET /api/v1/namespaces/other/pods answered 403: {message}"
            "; apply the component watch-namespace there"
        )


def test_a_namespace_that_hangs_is_late_and_holds_up_no_other(cluster):
    server, connect = cluster

    def drip(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.2)

    server.fail("list", drip, namespace="other")
    with following(connect, list_seconds=1) as well, following(connect, namespace="other", list_seconds=1) as slow:
        wait_for(lambda: slow.sight.facts.problem)

        assert ["loco-emulator-0"] == names(well)
        assert (
            "namespace other wasn't listed for over 3 s, the API server is slow or this run stood still"
            == slow.sight.facts.problem
        )


def test_without_the_right_to_see_owners_the_pods_still_count(cluster):
    server, connect = cluster
    server.fail("list", refusing(403, "statefulsets.apps is forbidden"), kind="statefulsets")
    with following(connect) as watch:
        wait_for(server.watches)

    assert (None, None, ["loco-emulator-0"]) == (
        watch.sight.facts.statefulsets,
        watch.sight.facts.problem,
        sorted(watch.sight.pods),
    )
    assert "statefulsets.apps is forbidden; which pods are wanted isn't known" in watch.sight.facts.owners_problem


def test_statefulsets_and_the_services_that_select_the_pods_are_joined(cluster):
    server, connect = cluster
    replicas = {
        "replicas": 3,
        "serviceName": "loco-emulator",
        "ordinals": {"start": 2},
        "podManagementPolicy": "Parallel",
    }
    server.put(
        {"metadata": {"name": "loco-emulator"}, "spec": replicas, "status": {"readyReplicas": 1}}, kind="statefulsets"
    )
    ports = [{"name": "health", "port": 8080, "targetPort": "health"}]
    for name, selector in (("loco-emulator", SELECTOR), ("web", {"app": "web"}), ("bare", None), ("all", {})):
        spec = {"selector": selector, "clusterIP": "None", "ports": ports}
        server.put({"metadata": {"name": name}, "spec": spec}, kind="services")
    with following(connect) as watch:
        wait_for(server.watches)
        facts = watch.sight.facts

    (one,) = facts.statefulsets
    assert ("loco-emulator", 3, 1, 2, "loco-emulator", False) == (
        one.name,
        one.wanted,
        one.ready,
        one.first_ordinal,
        one.service,
        one.is_ordered,
    )
    assert ["loco-emulator"] == [service.name for service in facts.services]
    assert [("health", 8080, "health")] == [(port.name, port.port, port.target) for port in facts.services[0].ports]


def test_a_server_that_is_not_there_is_a_problem_and_then_it_is_there():
    def nowhere():
        raise ClusterError("no way to the Kubernetes API")

    with following(nowhere) as watch:
        assert watch.wait_looked(5)
        assert "no way to the Kubernetes API" in watch.sight.facts.problem
        assert watch.sight.pods is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_of_a_bug_ends_the_run():
    def broken():
        raise ZeroDivisionError

    with following(broken) as watch:
        watch._thread.join(5)

        with pytest.raises(RuntimeError, match="the thread that watches namespace loco has died"):
            _ = watch.sight
