"""Fetching reports from agents that behave, and from servers that don't, over real sockets."""

import gzip
import json
import os
import resource
import subprocess
import sys
import time

import pycurl
import pytest
from full_report import a_full_report
from servers import (
    NO_NAME,
    answering,
    closed_port,
    full_backlog,
    hang,
    http,
    read_request,
    reset,
    serving,
)

from agent.report import MAX_REPORT_BYTES, encode
from jobs.health.model import Instance, InstanceKey, ProbeOutcome
from jobs.probe.answers import probe_result, report_request
from jobs.probe.reports import CONNECT_SECONDS, TOTAL_SECONDS, Fetcher

GOOD = encode(a_full_report())


@pytest.fixture
def fetcher():
    fetcher = Fetcher(clock=lambda: time.time_ns() // 1_000_000)
    yield fetcher
    fetcher.close()


def an_instance(url, *, name="a", uid=None):
    return Instance(InstanceKey(f"static/{name}"), name, name, url, uid=uid)


def fetch(fetcher, instance, *, seconds=15):
    fetcher.ask([report_request(instance)])
    (answer,) = fetcher.gather(seconds)
    return probe_result(instance, answer)


# Fetch from a good agent, then from the one in question; print what came of that and the bytes that it cost.
WEIGHED = """
import os, sys, time
from pathlib import Path
from jobs.health.model import Instance, InstanceKey
from jobs.probe.answers import probe_result, report_request
from jobs.probe.reports import Fetcher

def fetch(url):
    instance = Instance(InstanceKey("static/a"), "a", "a", url)
    fetcher.ask([report_request(instance)])
    return probe_result(instance, fetcher.gather(15)[0])

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

fetcher = Fetcher(clock=lambda: time.time_ns() // 1_000_000)
fetch(sys.argv[1])
before = resident_bytes()
outcome = fetch(sys.argv[2]).outcome
print(outcome, resident_bytes() - before)
fetcher.close()
"""


def weighed(url):
    """Return the outcome of one fetch and the bytes by which a process grew that does nothing else."""
    with serving(answering(http(GOOD))) as good:
        command = [sys.executable, "-c", WEIGHED, good.url, url]
        outcome, grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return outcome, int(grown)


def test_a_good_report_comes_whole_with_its_bytes_and_the_clock_skew(fetcher):
    with serving(answering(http(GOOD))) as agent:
        result = fetch(fetcher, an_instance(agent.url))

    assert (ProbeOutcome.OK, "", a_full_report(), GOOD) == (result.outcome, result.detail, result.report, result.body)
    assert 0 < result.duration_seconds < 5
    assert result.skew_seconds is not None


def test_the_second_round_uses_the_connection_of_the_first(fetcher):
    with serving(answering(http(GOOD))) as agent:
        outcomes = [fetch(fetcher, an_instance(agent.url)).outcome for _ in range(3)]

        assert ([ProbeOutcome.OK] * 3, 1) == (outcomes, agent.connections)


def answer_once_then_close(connection):
    read_request(connection)
    connection.sendall(http(GOOD))


def answer_once_then_reset(connection):
    answer_once_then_close(connection)
    reset(connection)


def answer_once_then_close_at_the_next_request(connection):
    answer_once_then_close(connection)
    read_request(connection)


@pytest.mark.parametrize(
    "serve", [answer_once_then_close, answer_once_then_reset, answer_once_then_close_at_the_next_request]
)
def test_a_kept_connection_that_died_is_replaced_without_a_word(fetcher, serve):
    with serving(serve) as agent:
        outcomes = [fetch(fetcher, an_instance(agent.url)).outcome for _ in range(3)]

        assert ([ProbeOutcome.OK] * 3, 3) == (outcomes, agent.connections)


def test_a_fresh_connection_that_closes_without_a_byte_is_not_tried_again(fetcher):
    with serving(read_request) as agent:
        result = fetch(fetcher, an_instance(agent.url))

        assert (ProbeOutcome.DISCONNECTED, 1) == (result.outcome, agent.connections)


def legacy_report():
    return json.dumps({"timestamp": "2024-01-01T00:00:00Z", "overall_status": "healthy"}).encode()


def large(size):
    return b'{"timestamp":"t","overall_status":"healthy","x":"' + b"x" * size + b'"}'


REFUSED_ANSWERS = {
    "HTML": (http(b"<html></html>", content_type="text/html"), ProbeOutcome.NOT_JSON, "content type text/html"),
    "HTML that says JSON": (http(b"<html></html>"), ProbeOutcome.INVALID, "malformed"),
    "nothing": (http(b"", status="204 No Content", content_type=None), ProbeOutcome.HTTP_STATUS, "status 204"),
    "an error with a good report": (http(GOOD, status="500 Oops"), ProbeOutcome.HTTP_STATUS, "status 500"),
    "not found": (http(b"{}", status="404 Not Found"), ProbeOutcome.HTTP_STATUS, "status 404"),
    "a redirect": (
        http(b"", status="301 Moved", head="Location: http://127.0.0.1:9/\r\n"),
        ProbeOutcome.REDIRECTED,
        "status 301 to http://127.0.0.1:9/, not followed",
    ),
    "truncated JSON": (http(GOOD[:-20]), ProbeOutcome.INVALID, "truncated"),
    "NaN": (http(GOOD.replace(b"18.2", b"NaN")), ProbeOutcome.INVALID, "malformed"),
    "Infinity": (http(GOOD.replace(b"18.2", b"1e999")), ProbeOutcome.INVALID, "out of range"),
    "wrong types": (http(GOOD.replace(b"18.2", b'"99%"')), ProbeOutcome.INVALID, "estimated_frame_rate"),
    "another version": (
        http(GOOD.replace(b'"schema_version":1', b'"schema_version":2')),
        ProbeOutcome.INVALID,
        "schema_version 2",
    ),
    "deep nesting": (http(b"[" * 100_000), ProbeOutcome.INVALID, "deeper"),
    "no object": (http(b"[]"), ProbeOutcome.INVALID, "object"),
    "not HTTP": (b"RFB 003.008\n\r\n", ProbeOutcome.NOT_JSON, ""),
    "a long length": (http(large(MAX_REPORT_BYTES)), ProbeOutcome.TOO_LARGE, f"more than {MAX_REPORT_BYTES} bytes"),
    "control characters": (
        http(b"", content_type="te\x1b[31mxt/" + "x" * 500),
        ProbeOutcome.NOT_JSON,
        "content type te [31mxt/xxx",
    ),
}


@pytest.mark.parametrize(("answer", "outcome", "words"), REFUSED_ANSWERS.values(), ids=REFUSED_ANSWERS)
def test_an_answer_that_is_no_report_is_refused_with_its_cause(fetcher, answer, outcome, words):
    def serve(connection):
        read_request(connection)
        connection.sendall(answer)

    with serving(serve) as agent:
        result = fetch(fetcher, an_instance(agent.url))

    assert (outcome, None, None) == (result.outcome, result.report, result.body)
    assert words in result.detail
    assert len(result.detail) <= 200
    assert result.detail.isprintable()


ACCEPTED_ANSWERS = {
    "a legacy report": http(legacy_report()),
    "no content type": http(GOOD, content_type=None),
    "a content type with a charset": http(GOOD, content_type="Application/JSON; charset=utf-8"),
    "an unknown field": http(GOOD[:-1] + b',"later":{"x":1}}'),
    "a key that stands twice, the last one counts": http(GOOD[:-1] + b',"overall_status":"healthy"}'),
    "the largest report": http(large(MAX_REPORT_BYTES - 51)),
    "no length, ended by closing": b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + GOOD,
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(GOOD) + GOOD + b"\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("answer", ACCEPTED_ANSWERS.values(), ids=ACCEPTED_ANSWERS)
def test_an_answer_that_is_a_report_is_read(fetcher, answer):
    def serve(connection):
        read_request(connection)
        connection.sendall(answer)

    with serving(serve) as agent:
        result = fetch(fetcher, an_instance(agent.url))

    assert (ProbeOutcome.OK, "healthy") == (result.outcome, result.report.overall_status)


def test_a_report_of_another_pod_is_discarded(fetcher):
    with serving(answering(http(encode(a_full_report(uid="u-2"))))) as agent:
        right = fetch(fetcher, an_instance(agent.url, uid="u-2"))
        wrong = fetch(fetcher, an_instance(agent.url, uid="u-1"))

    assert (ProbeOutcome.OK, ProbeOutcome.WRONG_UID) == (right.outcome, wrong.outcome)
    assert (None, "the report is of pod uid u-2, the inventory says u-1") == (wrong.report, wrong.detail)


def test_the_legacy_agents_clock_is_never_compared(fetcher):
    with serving(answering(http(legacy_report()))) as agent:
        result = fetch(fetcher, an_instance(agent.url))

    assert result.skew_seconds is None


def test_refused_unresolved_and_reset_are_told_apart(fetcher):
    with serving(reset) as resetting:
        urls = [f"http://127.0.0.1:{closed_port()}/health", f"http://{NO_NAME}/health", resetting.url]
        results = [fetch(fetcher, an_instance(url)) for url in urls]

    assert [ProbeOutcome.REFUSED, ProbeOutcome.UNRESOLVED, ProbeOutcome.DISCONNECTED] == [
        result.outcome for result in results
    ]
    assert all(result.detail for result in results)


def test_the_proxies_of_the_environment_are_not_used(fetcher, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{closed_port()}")
    with serving(answering(http(GOOD))) as agent:
        assert ProbeOutcome.OK == fetch(fetcher, an_instance(agent.url)).outcome


def test_no_encoding_is_offered_and_a_compressed_bomb_is_not_inflated():
    bomb = gzip.compress(b" " * 200_000_000)
    heads = []

    def serve(connection):
        heads.append(read_request(connection).lower())
        connection.sendall(http(bomb, head="Content-Encoding: gzip\r\n"))

    with serving(serve) as agent:
        outcome, grown = weighed(agent.url)

    assert ProbeOutcome.INVALID == outcome
    assert b"accept-encoding" not in heads[0]
    assert grown < 8 * 2**20


@pytest.mark.parametrize("length", ["Content-Length: 10000000000\r\n", ""], ids=["with a length", "without a length"])
def test_an_endless_body_is_cut_at_the_limit_without_growing_the_process(length):
    sent = []

    def serve(connection):
        read_request(connection)
        connection.sendall(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode())
        while True:
            connection.sendall(b" " * 65536)
            sent.append(65536)

    with serving(serve) as agent:
        outcome, grown = weighed(agent.url)

        assert ProbeOutcome.TOO_LARGE == outcome
        assert grown < 4 * 2**20
    assert sum(sent) < 64 * 2**20


def drip(connection):
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.5)


def stop_in_the_body(connection):
    read_request(connection)
    connection.sendall(http(GOOD)[:-20])
    hang(connection)


def test_hung_agents_end_at_their_own_deadlines_and_delay_nobody(fetcher):
    with (
        serving(answering(http(GOOD))) as good,
        serving(hang) as mute,
        serving(stop_in_the_body) as stopping,
        serving(drip) as dripping,
        full_backlog() as port,
    ):
        urls = [mute.url, stopping.url, dripping.url, f"http://127.0.0.1:{port}/health", good.url]
        fleet = {i.key: i for i in (an_instance(url, name=str(n)) for n, url in enumerate(urls))}
        began = time.monotonic()
        ended = {}
        fetcher.ask(map(report_request, fleet.values()))
        rounds = 0
        while len(ended) < len(urls) and rounds < 20:
            rounds += 1
            for answer in fetcher.gather(1):
                result = probe_result(fleet[answer.request.key], answer)
                ended[result.key] = (result.outcome, result.detail, rounds, time.monotonic() - began)
            fetcher.ask([report_request(fleet[key]) for key in fleet if key not in ended])

    first, second, third, dropped, fast = (ended[key] for key in fleet)
    assert (ProbeOutcome.OK, 1) == (fast[0], fast[2])
    assert [ProbeOutcome.TIMEOUT] * 4 == [first[0], second[0], third[0], dropped[0]]
    assert f"no connection within {CONNECT_SECONDS} s" == dropped[1]
    assert f"no whole answer within {TOTAL_SECONDS} s, 0 bytes of body came" == first[1]
    assert CONNECT_SECONDS - 0.1 < dropped[3] < CONNECT_SECONDS + 2
    assert all(TOTAL_SECONDS - 0.1 < at < TOTAL_SECONDS + 3 for *_, at in (first, second, third))
    assert 1 == mute.connections


def test_a_body_shorter_than_its_length_is_a_disconnection_not_a_report(fetcher):
    def serve(connection):
        read_request(connection)
        connection.sendall(http(GOOD)[:-20])

    with serving(serve) as agent:
        assert ProbeOutcome.DISCONNECTED == fetch(fetcher, an_instance(agent.url)).outcome


def test_file_numbers_past_1024_are_no_limit(fetcher):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 2048), limits[1]))
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    try:
        with serving(answering(http(GOOD))) as agent:
            assert ProbeOutcome.OK == fetch(fetcher, an_instance(agent.url)).outcome
    finally:
        for file in held:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_more_agents_than_places_are_all_asked(fetcher):
    with serving(answering(http(GOOD))) as agent:
        fleet = [an_instance(f"{agent.url}?{n}", name=str(n)) for n in range(600)]
        fetcher.ask(map(report_request, fleet))
        answers = fetcher.gather(10)

    assert {instance.key for instance in fleet} == {answer.request.key for answer in answers}
    assert 200 == min(answer.status for answer in answers)


def test_closing_with_transfers_under_way_leaves_nothing_open():
    fetcher = Fetcher(clock=lambda: 0)
    with serving(hang) as mute:
        fetcher.ask([report_request(an_instance(mute.url))])
        answers = fetcher.gather(0.2)
        fetcher.close()

    assert [] == answers


@pytest.mark.parametrize("address", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]"])
def test_a_name_that_leads_to_where_no_instance_is_ever_is_not_dialled(fetcher, address):
    for transfer in fetcher._idle:
        transfer.curl.setopt(pycurl.RESOLVE, [f"emulator.example:8080:{address}"])
    began = time.monotonic()
    result = fetch(fetcher, an_instance("http://emulator.example:8080/health"))

    assert ProbeOutcome.UNRESOLVED is result.outcome
    assert result.detail.endswith("is never dialled")
    assert time.monotonic() - began < 1


def test_a_refusal_is_forgotten_with_its_transfer(fetcher):
    for transfer in fetcher._idle:
        transfer.curl.setopt(pycurl.RESOLVE, ["emulator.example:8080:169.254.169.254"])
    with serving(answering(http(GOOD))) as agent:
        for _ in range(3):
            fetch(fetcher, an_instance("http://emulator.example:8080/health"))

            assert ProbeOutcome.OK is fetch(fetcher, an_instance(agent.url)).outcome
