"""The browsers' door over real sockets: the script, whose post is whose, and a flood that nobody else notices."""

import contextlib
import http.client
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.checks.clients import ClientsCheck
from agent.collect import Rounds
from agent.report import decode
from agent.routes import Routes
from agent.server import Server
from agent.settings import Settings

SCRIPT = Path(__file__).parents[2] / "agent" / "static" / "client-stats.js"
NOWHERE = ("127.0.0.1", 1)
FAR, NEAR = "198.51.100.7", "203.0.113.9"


@pytest.fixture
def rounds():
    """Return rounds that were never begun, at whose door all posts come at one moment, however busy the machine is."""
    rounds = Rounds(Settings(NOWHERE, "", "", "qemu-system-*", NOWHERE, "", "", "", "", "pod-0", "uid-0"))
    rounds.clients = ClientsCheck(clock=lambda: 100.0)
    return rounds


@pytest.fixture
def address(rounds):
    """Return where a server listens."""
    with contextlib.closing(Server(("127.0.0.1", 0), Routes(rounds))) as listening:
        threading.Thread(target=listening.serve, daemon=True).start()
        yield listening.address


def ask(address, method, path, *, body=None, source="127.0.0.1", **headers):
    """Return status, headers and body of one exchange on a connection of its own."""
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=10, source_address=(source, 0))) as connection:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def post(address, client, *, forwarded=None, source="127.0.0.1", **values):
    """Return status and text of the answer to one browser's post."""
    headers = {"X_Forwarded_For": forwarded} if forwarded else {}
    stats = json.dumps({"id": client, **values})
    status, _, body = ask(address, "POST", "/client-stats", body=stats, source=source, **headers)
    return status, json.loads(body)["detail"] if body else ""


def test_the_script_is_small_and_costs_a_page_that_has_it_nothing(address):
    status, headers, body = ask(address, "GET", "/client-stats.js")
    again, _, nothing = ask(address, "GET", "/client-stats.js", If_None_Match=headers["ETag"])

    assert (200, "text/javascript; charset=utf-8", "no-cache") == (
        status,
        headers["Content-Type"],
        headers["Cache-Control"],
    )
    assert SCRIPT.read_bytes() == body
    assert len(body) < 6 * 1024
    assert (304, b"") == (again, nothing)


def test_the_proxy_says_whose_post_it_is(address):
    twenty = [post(address, f"far {number}", forwarded=f"{NEAR}, {FAR}")[0] for number in range(21)]

    assert [204] * 20 + [429] == twenty
    assert 204 == post(address, "near", forwarded=NEAR)[0]


def test_a_sender_takes_no_more_memory_than_an_address_has_characters(address, rounds):
    post(address, "far", forwarded="f" * 4000)

    assert ["f" * 45] == [known.sender for known in rounds.clients._known.values()]


def test_without_a_proxy_it_is_whose_connection_it_is(address):
    assert [204] * 20 + [429] == [post(address, f"{number}")[0] for number in range(21)]
    assert 204 == post(address, "near", source="127.0.0.2")[0]


def test_a_refusal_says_what_was_posted_and_what_is_allowed(address):
    assert (400, "latency is 3600, allowed is 0 to 60; this post isn't kept") == post(address, "a", latency=3600)


def test_a_flood_takes_neither_the_report_nor_other_browsers_places(address, rounds):
    def flood(name):
        return [post(address, f"{name} {number}", forwarded=FAR, packetLoss=1.0)[0] for number in range(60)]

    with ThreadPoolExecutor(8) as pool:
        floods = [pool.submit(flood, name) for name in range(8)]
        reports = [ask(address, "GET", "/health") for _ in range(40)]
        statuses = Counter(status for flood in floods for status in flood.result())

    assert Counter({204: 20, 429: 460}) == statuses
    assert {200} == {status for status, _, _ in reports}
    assert all(decode(body) for _, _, body in reports)
    assert 204 == post(address, "near", forwarded=NEAR)[0]
    assert 21 == rounds.clients.measure().count
