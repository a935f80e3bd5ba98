"""Single requests to agents: what strangers answer becomes a value, and nothing is done twice or elsewhere."""

import json
import time
from contextlib import closing

import pytest
from servers import NO_NAME, full_backlog, hang, http, reset, serving

from agent.signing import Signable, is_signed, parse_authorization
from jobs.health.model import Instance, InstanceKey
from jobs.probe.actions import MAX_ANSWER_BYTES, ActOrder, AgentCalls, Challenge, Done, Refused, Silent

KEY, OLD_KEY = bytes(range(32)), bytes(range(32, 64))
CHALLENGE = Challenge("challenge-1", "uid-1")
ORDER = ActOrder(action="reset-audio", pod_uid="uid-1", attempt=7, incident="i-1", deadline_seconds=1.0)


@pytest.fixture
def calls():
    with closing(AgentCalls()) as made:
        yield made


def an_instance(url):
    return Instance(InstanceKey("static/instance-0"), "instance-0", "instance-0", url)


class Agent:
    """Answers each request by a script, and keeps what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def serve(self, connection):
        """Answer one request after the other."""
        with connection.makefile("rb") as stream:
            while head := _head(stream):
                self.asked.append((head.decode(), stream.read(int(_header(head, "content-length") or 0))))
                answer = self.answers.pop(0)
                if answer is None:
                    reset(connection)
                    return
                connection.sendall(answer)


def _head(stream):
    lines = []
    while (line := stream.readline()) not in (b"", b"\r\n"):
        lines.append(line)
    return b"".join(lines)


def _header(head, name):
    lines = (line.partition(b":") for line in head.split(b"\r\n"))
    return next((value.strip().decode() for known, _, value in lines if known.lower() == name.encode()), None)


def a_json(value, status="200 OK", content_type="application/json"):
    return http(json.dumps(value).encode(), status=status, content_type=content_type)


def a_problem(status, reason, detail):
    return a_json({"title": "no", "detail": detail, "reason": reason}, status, "application/problem+json")


def act(calls, *answers, keys=(KEY,)):
    """Return what came of an act, and the agent."""
    agent = Agent(*answers)
    with serving(agent.serve) as server:
        return calls.act(an_instance(server.url), ORDER, CHALLENGE, keys), agent


def test_a_challenge_is_asked_for_and_read(calls):
    agent = Agent(a_json({"challenge": "abc", "expires_seconds": 30, "pod_uid": "uid-1"}))
    with serving(agent.serve) as server:
        assert Challenge("abc", "uid-1") == calls.challenge(an_instance(server.url))

    assert agent.asked[0][0].startswith("GET /actions/challenge HTTP/1.1\r\n")


def test_an_act_is_signed_over_what_is_sent(calls):
    done, agent = act(calls, a_json({"action": "reset-audio", "held": True, "detail": "it sounds", "seconds": 0.1}))

    assert Done(held=True, detail="it sounds") == done
    head, body = agent.asked[0]
    assert head.startswith("POST /actions/reset-audio HTTP/1.1\r\n")
    assert {"pod_uid": "uid-1", "attempt": 7, "incident": "i-1", "deadline_seconds": 1.0} == json.loads(body)
    challenge, signature = parse_authorization(_header(head.encode(), "authorization"))
    signed = Signable(challenge, "POST", "/actions/reset-audio", body, "uid-1")
    assert "challenge-1" == challenge
    assert is_signed((KEY,), signature, signed)


def test_a_refusal_carries_its_code_and_its_sentence(calls):
    refused, _ = act(calls, a_problem("422 Unprocessable", "cannot", "no QMP socket"))

    assert Refused(422, "cannot", "the agent answered 422: no QMP socket") == refused


def test_a_signature_that_is_called_bad_is_made_with_the_key_before(calls):
    bad = a_problem("401 Unauthorized", "bad-signature", "not of this instance's key")
    done, agent = act(calls, bad, a_json({"action": "reset-audio", "held": None}), keys=(KEY, OLD_KEY))

    assert Done(held=None, detail="") == done
    _, signature = parse_authorization(_header(agent.asked[1][0].encode(), "authorization"))
    signed = Signable("challenge-1", "POST", "/actions/reset-audio", agent.asked[1][1], "uid-1")
    assert is_signed((OLD_KEY,), signature, signed)


@pytest.mark.parametrize("code", ["challenge-expired", "busy", "cannot"])
def test_no_other_refusal_is_answered_with_another_try(calls, code):
    _, agent = act(calls, a_problem("409 Conflict", code, "no"), keys=(KEY, OLD_KEY))

    assert 1 == len(agent.asked)


def test_without_a_key_nothing_is_sent(calls):
    refused, agent = act(calls, keys=())

    assert (0, "no-key", []) == (refused.status, refused.code, agent.asked)


def test_an_act_whose_answer_breaks_off_is_sent_once(calls):
    silent, agent = act(calls, None, a_json({"action": "reset-audio"}))

    assert (True, 1) == (silent.has_reached, len(agent.asked))


def test_a_challenge_that_was_used_before_says_nothing_of_the_first_time(calls):
    silent, _ = act(calls, a_problem("401 Unauthorized", "challenge-used", "the challenge was used before"))

    assert Silent("the agent answered 401: the challenge was used before", has_reached=True) == silent


def test_an_answer_that_cannot_be_read_still_means_that_it_was_done(calls):
    done, _ = act(calls, http(b"<html>", content_type="text/html"))

    assert done.held is None
    assert done.detail.startswith("the agent's answer can't be read: ")


def test_nobody_listening_has_surely_done_nothing(calls):
    with serving(lambda _: None) as server:
        url = server.url
    silent = calls.act(an_instance(url), ORDER, CHALLENGE, (KEY,))

    assert silent.has_reached is False
    assert "refused" in silent.detail


def test_a_kernel_that_drops_what_comes_has_surely_done_nothing(calls):
    with full_backlog() as port:
        silent = calls.challenge(an_instance(f"http://127.0.0.1:{port}/health"))

    assert Silent("no connection within 2 s", has_reached=False) == silent


def test_an_agent_that_stays_silent_is_left_at_its_deadline(calls):
    began = time.monotonic()
    with serving(hang) as server:
        silent = calls.evidence(an_instance(server.url), seconds=0.5, max_bytes=100)

    assert "no answer within 0.5 s" == silent
    assert time.monotonic() - began < 2


def test_an_answer_that_drips_is_left_at_its_deadline(calls):
    def drip(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            connection.sendall(b"x" * 20_000)
            time.sleep(0.1)

    with serving(drip) as server:
        silent = calls.evidence(an_instance(server.url), seconds=0.5, max_bytes=10_000_000)

    assert "an answer that didn't end in its time" == silent


def test_an_answer_that_comes_byte_by_byte_is_left_at_its_deadline(calls):
    def drip(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.1)

    began = time.monotonic()
    with serving(drip) as server:
        silent = calls.evidence(an_instance(server.url), seconds=0.5, max_bytes=10_000_000)

    assert "an answer that didn't end in its time" == silent
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("size", [MAX_ANSWER_BYTES + 1, 10 * MAX_ANSWER_BYTES])
def test_an_answer_that_is_too_long_is_not_read(calls, size):
    agent = Agent(http(b"x" * size))
    with serving(agent.serve) as server:
        silent = calls.challenge(an_instance(server.url))

    assert Silent(f"an answer of more than {MAX_ANSWER_BYTES} bytes", has_reached=True) == silent


def test_a_redirect_is_not_followed(calls):
    with serving(lambda _: None) as elsewhere:
        agent = Agent(http(b"", status="302 Found", head=f"Location: {elsewhere.url}\r\n"))
        with serving(agent.serve) as server:
            refused = calls.challenge(an_instance(server.url))

        assert (302, 0) == (refused.status, elsewhere.connections)


def test_no_proxy_of_the_environment_is_asked(calls, monkeypatch):
    with serving(lambda _: None) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        agent = Agent(a_json({"challenge": "abc"}))
        with serving(agent.serve) as server:
            assert Challenge("abc", "") == calls.challenge(an_instance(server.url))

        assert 0 == proxy.connections


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/health", "http://[fe80::1]:8080/health", "http://[fd00:ec2::254]/health"]
)
def test_an_address_that_is_never_an_instance_is_never_dialled(calls, url):
    silent = calls.act(an_instance(url), ORDER, CHALLENGE, (KEY,))

    assert silent.has_reached is False
    assert silent.detail.endswith("is never dialled")


def test_a_name_is_looked_up_once_and_keeps_its_place_in_the_header(calls):
    agent = Agent(a_json({"challenge": "abc"}))
    with serving(agent.serve) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        assert Challenge("abc", "") == calls.challenge(an_instance(url))

    assert f"localhost:{server.port}" == _header(agent.asked[0][0].encode(), "host")


def test_a_name_that_nobody_knows_has_reached_nobody(calls):
    silent = calls.challenge(an_instance(f"http://{NO_NAME}:8080/health"))

    assert silent.has_reached is False
    assert silent.detail.startswith(f"{NO_NAME}: ")
