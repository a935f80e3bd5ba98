"""The real API over a real store: every route as openapi.json promises it, and every refusal as a problem."""

import gzip
import json
import socket

import pytest
from api_process import an_api
from filled_store import BUNDLE, LOST, PNG, filled, real_id
from openapi import OPENAPI, READABLE, broken_promises, resolved

JSON_ROUTES = [
    path
    for path in READABLE
    if "application/json" in OPENAPI["paths"][path]["get"]["responses"]["200"]["content"] and path != "/openapi.json"
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """An API over a filled store."""
    store = tmp_path_factory.mktemp("api") / "loco.db"
    with filled(store) as fleet, an_api(store) as running:
        yield fleet, running


@pytest.fixture
def api(served):
    """The same, with a tick and a picture of now."""
    fleet, running = served
    fleet.tick_now(LOST)
    fleet.picture("instance-0", PNG)
    return running


def real(api, path):
    """Return a path with an id that exists."""
    return path.replace("{id}", real_id(path, api.ask("/api/incidents").json[0]["id"]))


@pytest.mark.parametrize("path", JSON_ROUTES)
def test_every_answer_is_what_openapi_promises(api, path):
    reply = api.ask(real(api, path))

    assert (200, "application/json") == (reply.status, reply.headers["content-type"])
    schema = OPENAPI["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert [] == broken_promises(schema, reply.json)


@pytest.mark.parametrize("path", READABLE)
def test_head_is_get_without_a_body(api, path):
    got, headed = (api.ask(real(api, path), method=method) for method in ("GET", "HEAD"))
    # What is left of the disk may move between two requests.
    volatile = ("age", "date", *(("etag", "content-length") if path == "/metrics" else ()))

    assert b"" == headed.body
    assert (200, {k: v for k, v in got.headers.items() if k not in volatile}) == (
        headed.status,
        {k: v for k, v in headed.headers.items() if k not in volatile},
    )


@pytest.mark.parametrize("path", [path for path in READABLE if path != "/metrics"])
def test_the_body_that_the_caller_has_isnt_sent_again(api, path):
    path = real(api, path)
    etag = api.ask(path).headers["etag"]

    for known in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
        again = api.ask(path, headers={"If-None-Match": known})
        assert (304, b"", etag) == (again.status, again.body, again.headers["etag"])
    assert 200 == api.ask(path, headers={"If-None-Match": '"other"'}).status


@pytest.mark.parametrize("path", READABLE)
def test_every_answer_has_an_age_and_forbids_everything_foreign(api, path):
    reply = api.ask(real(api, path))

    assert 0 <= int(reply.headers["age"]) <= 60
    assert ("no-cache", "nosniff") == (reply.headers["cache-control"], reply.headers["x-content-type-options"])
    assert reply.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/", "/api/instances", "/api/incidents/x", "/api/instances/refresh"])
def test_any_other_method_is_405_with_what_is_allowed(api, path, method):
    allowed = "POST" if path.endswith("refresh") else "GET, HEAD"
    reply = api.ask(path, method=method)

    if method in allowed.split(", "):
        assert 405 != reply.status
    else:
        assert (405, allowed) == (reply.status, reply.headers["allow"])
        assert method == "HEAD" or reply.json["reason"] == "MethodNotAllowed"


@pytest.mark.parametrize("path", READABLE)
def test_a_query_is_taken_as_openapi_says(api, path):
    taken = [resolved(one) for one in OPENAPI["paths"][path]["get"].get("parameters", [])]
    names = [one["name"] for one in taken if one["in"] == "query"]
    reply = api.ask(f"{real(api, path)}?no-such-name=1")

    if names:
        assert (400, f"; known are {', '.join(names)}") == (
            reply.status,
            reply.json["detail"][len("query parameter 'no-such-name' is unknown here") :],
        )
    else:
        assert 200 == reply.status


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/nope", 404, "UnknownRoute"),
        ("/static/../server.py", 404, "UnknownRoute"),
        ("/static/%2e%2e/server.py", 404, "UnknownRoute"),
        ("/api/instances/..%2f..%2fetc%2fpasswd/why", 404, "UnknownRoute"),
        ("/api/quality/deep-health/%00", 404, "UnknownInstance"),
        ("/api/quality/deep-health/%ff%fe", 404, "UnknownInstance"),
        ("/api/quality/deep-health/%3Cscript%3E", 404, "UnknownInstance"),
        (f"/api/quality/metrics/{'x' * 8000}", 404, "UnknownInstance"),
        ("/api/quality/deep-health/INSTANCE-0", 404, "UnknownInstance"),
        ("/api/instances/instance-1/screen.png", 404, "NoPicture"),
        ("/api/incidents/'%20OR%201=1--", 404, "UnknownIncident"),
        ("/api/incidents/nobody/evidence", 404, "UnknownIncident"),
        ("/api/incidents/nobody/evidence?limit=11", 400, "BadQuery"),
        ("/api/incidents?instance=nobody", 404, "UnknownInstance"),
        ("/api/incidents?limit=0", 400, "BadQuery"),
        ("/api/incidents?limit=501", 400, "BadQuery"),
        ("/api/incidents?stat=open", 400, "BadQuery"),
        ("/api/runs?limit=1e9", 400, "BadQuery"),
        ("/api/instances/instance-0/history?limit=2881", 400, "BadQuery"),
        ("/api/instances/instance-0/history?since=yesterday", 400, "BadQuery"),
        ("/api/instances/instance-0/history?resolution=second", 400, "BadQuery"),
        (f"/api/runs?{'x' * 9000}", 400, "BadQuery"),
        (f"/api/runs?{'x' * 20000}", 431, "BadRequest"),
    ],
)
def test_what_cant_be_answered_is_a_problem(api, path, status, reason):
    reply = api.ask(path)

    assert (status, "application/problem+json", reason) == (
        reply.status,
        reply.headers["content-type"],
        reply.json["reason"],
    )
    assert [] == broken_promises("Problem", reply.json)
    assert len(reply.body) < 600


def test_nothing_follows_the_headers_of_a_head(api):
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        connection.sendall(b"HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = connection.makefile("rb").read()

    assert (True, True) == (answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer.endswith(b"\r\n\r\n"))


@pytest.mark.parametrize(
    ("version", "connection", "is_kept"),
    [("1.1", "", True), ("1.1", "close", False), ("1.0", "", False), ("1.0", "keep-alive", False)],
)
def test_a_304_keeps_the_connection_for_the_next_request(api, version, connection, is_kept):
    asked = f"GET /livez HTTP/{version}\r\nHost: x\r\nIf-None-Match: *\r\nConnection: {connection}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as link, link.makefile("rb") as answers:
        for _ in range(2 if is_kept else 1):
            link.sendall(asked)
            head = list(iter(answers.readline, b"\r\n"))
            assert head[0] == f"HTTP/{version} 304 Not Modified\r\n".encode()
            assert is_kept == (b"Connection: close\r\n" not in head)
        if not is_kept:
            assert b"" == answers.read()


def raw(api, *pieces):
    """Return the status, headers and body that bytes get as they are; the connection is read to its end."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


def get(path, *lines):
    """Return a request's bytes; the connection is closed after its answer."""
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *lines, "", "")).encode("latin-1")


@pytest.mark.parametrize(
    ("request_bytes", "status", "detail"),
    [
        (b"GET / HTTP/1.1\r\nBad Header: \x01\r\n\r\n", 400, "what was sent is no HTTP request"),
        (b"GET / HTTP/1.1\r\nAuthorization: Bearer canary\nX: y\r\n\r\n", 400, "what was sent is no HTTP request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "what was sent is no HTTP request"),
        (b"GET /\r\nHost: x\r\n\r\n\r\n", 200, None),
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "what was sent is no HTTP request"),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "what was sent is no HTTP request"),
        (get("/livez", f"X: {'x' * 16_500}"), 431, "request line and headers are over 16384 bytes"),
        (
            get("/livez", *(f"X-{n}: {'x' * 100}" for n in range(200))),
            431,
            "request line and headers are over 16384 bytes",
        ),
        (get("/livez", "Transfer-Encoding: gzip, chunked"), 501, "of transfer codings only chunked is taken"),
        (get("/livez", "Content-Length: 4097"), 413, "the body is over 4096 bytes"),
        (get("/livez", "Transfer-Encoding: chunked") + b"zz\r\n", 400, "what was sent is no HTTP request"),
    ],
)
def test_what_isnt_taken_as_a_request_is_a_problem_too(api, request_bytes, status, detail):
    got, headers, body = raw(api, request_bytes)

    assert status == got
    if detail:
        problem = json.loads(body)
        assert ("application/problem+json", "close") == (headers["content-type"], headers["connection"])
        assert ("BadRequest", f"{detail}; nothing was done") == (problem["reason"], problem["detail"])
        assert ("nosniff", "no-cache") == (headers["x-content-type-options"], headers["cache-control"])
        assert [] == broken_promises("Problem", problem)
    assert b"canary" not in body


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/%zz", 404),
        ("/%", 404),
        ("/livez%00", 404),
        ("/livez/", 404),
        ("/./livez", 404),
        ("/x/../livez", 404),
        ("/%2e%2e/livez", 404),
        ("/\\livez", 404),
        ("/livez;x=1", 404),
        ("//livez", 200),
        ("/livez#x", 200),
        ("/livez?", 200),
        ("http://elsewhere/livez", 200),
        ("*", 404),
        ("/api/quality/deep-health/\u00e9", 400),
        ("/api/quality/deep-health/" + "%F0%9F%98%80" * 100, 404),
    ],
)
def test_a_strange_path_has_one_clear_answer(api, target, status):
    got, _, body = raw(api, get(target))

    assert status == got
    if status >= 400:
        assert [] == broken_promises("Problem", json.loads(body))
        assert len(body) < 1200


@pytest.mark.parametrize(("size", "expected"), [(4096, 405), (4097, 413)])
def test_a_body_may_have_4_kib(api, size, expected):
    assert expected == api.ask("/api/instances", method="POST", body=b"x" * size).status


def test_nothing_follows_the_headers_of_a_refused_head(api):
    status, headers, body = raw(api, b"HEAD /nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert (404, b"", True) == (status, body, int(headers["content-length"]) > 0)


def test_a_large_body_is_compressed_for_those_who_take_it(api):
    plain = api.ask("/api/quality/deep-health")
    packed = api.ask("/api/quality/deep-health", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    refused = api.ask("/api/quality/deep-health", headers={"Accept-Encoding": "gzip;q=0"})

    assert ("gzip", plain.body, plain.headers["etag"]) == (
        packed.headers["content-encoding"],
        gzip.decompress(packed.body),
        packed.headers["etag"],
    )
    assert (len(packed.body) < len(plain.body) / 3, plain.body) == (True, refused.body)


def test_small_bodies_and_pictures_stay_as_they_are(api):
    for path in ("/livez", "/api/instances/instance-0/screen.png"):
        assert "content-encoding" not in api.ask(path, headers={"Accept-Encoding": "gzip"}).headers


def test_the_picture_is_the_one_in_the_store(api):
    reply = api.ask("/api/instances/instance-0/screen.png")

    assert (PNG, "image/png") == (reply.body, reply.headers["content-type"])


def test_a_lost_agent_is_unreachable_with_its_reason_and_keeps_its_last_report(api):
    told = api.ask("/api/quality/deep-health/instance-1").json

    assert ("unreachable", "network", "refused") == (
        told["overallStatus"],
        told["failureType"],
        told["probe"]["outcome"],
    )
    assert ["AgentRefused"] == [reason["code"] for reason in told["reasons"]]
    assert told["reportedAt"] < told["observedAt"]
    assert "healthy" == told["deepHealth"]["overall_status"]


def test_the_evidence_of_an_incident_is_told_as_it_was_kept(api):
    incident = api.ask("/api/incidents?state=open").json[0]["id"]

    assert [{"attempt": 1, "action": "restart-qemu", "bundle": BUNDLE, "problem": None}] == api.ask(
        f"/api/incidents/{incident}/evidence"
    ).json


def test_what_the_ledger_says_stands_over_a_due_plan(api):
    told = api.ask("/api/quality/recovery-status").json["instance-1"]

    assert (0, 3, False, "AttemptRunning: attempt 2 is planned", [2, 1]) == (
        *(told[field] for field in ("attempts", "maxAttempts", "canRecover", "reason")),
        [one["id"] for one in told["history"]],
    )


def test_ended_attempts_are_counted_and_open_ones_are_shown(api):
    body = api.ask("/metrics").body.decode()

    assert 'loco_recovery_attempts_total{action="restart-qemu",outcome="stood-down"} 1.0' in body
    assert 'loco_recovery_attempt_open{action="restart-qemu",namespace="static",pod="instance-1"} 1.0' in body


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {("instance-1", True), ("instance-2", False)}),
        ("state=open", {("instance-1", True)}),
        ("instance=instance-2", {("instance-2", False)}),
        ("state=open&instance=instance-2", set()),
    ],
)
def test_incidents_can_be_asked_for_by_instance_and_state(api, query, expected):
    found = api.ask(f"/api/incidents?{query}").json

    assert expected == {(one["instanceId"], one["open"]) for one in found}


def test_history_gives_the_newest_points_within_the_limit(api, served):
    everything = api.ask("/api/instances/instance-1/history").json["points"]
    newest = api.ask("/api/instances/instance-1/history?limit=1").json["points"]

    assert served[0].tick == sum(sum(point["ticks"].values()) for point in everything)
    assert [everything[-1]] == newest
    assert [] == api.ask("/api/instances/instance-1/history?since=2099-01-01T00:00:00Z").json["points"]


def test_metrics_are_open_metrics_for_those_who_take_them(api):
    plain = api.ask("/metrics")
    open_metrics = api.ask(
        "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    )

    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert open_metrics.body.endswith(b"# EOF\n")


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=x", "\u00ff", "," * 9000])
def test_a_strange_accept_header_still_gets_metrics(api, accept):
    assert 200 == api.ask("/metrics", headers={"Accept": accept}).status


def test_the_page_shows_every_instance_the_sick_first(api):
    reply = api.ask("/")
    places = [reply.body.index(f'data-id="instance-{n}"'.encode()) for n in (1, 0, 2)]

    assert ("text/html; charset=utf-8", sorted(places)) == (reply.headers["content-type"], places)


def test_forty_requests_at_once_get_the_same_answer(api):
    api.ask("/api/quality/deep-health")  # while one takes a new tick over, the others are told the one before
    connections = [socket.create_connection(("127.0.0.1", api.port), timeout=20) for _ in range(40)]
    for connection in connections:
        connection.sendall(b"GET /api/quality/deep-health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    bodies = {connection.makefile("rb").read().split(b"\r\n\r\n", 1)[1] for connection in connections}
    for connection in connections:
        connection.close()

    assert {api.ask("/api/quality/deep-health").body} == bodies


def test_those_who_read_nothing_of_their_answers_hold_up_nobody(api):
    slow = [socket.create_connection(("127.0.0.1", api.port), timeout=20) for _ in range(20)]
    for connection in slow:
        connection.sendall(b"GET /api/quality/deep-health HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    replies = [api.ask("/api/quality/deep-health") for _ in range(10)]
    for connection in slow:
        connection.close()

    assert {200} == {reply.status for reply in replies}
