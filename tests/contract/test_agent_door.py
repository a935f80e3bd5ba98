"""Who may have the agent act, over real sockets; the act is a command of the emulator's image, so nothing is broken."""

import functools
import json
import logging
import os
import threading
import time
from dataclasses import replace

import pytest
from acts import KEY, OLD_KEY, act, ask, body_of, challenge, signed
from emulator import wait_for

from agent.collect import Rounds
from agent.routes import Routes
from agent.server import Server
from agent.settings import Settings
from agent.signing import SCHEME

NOWHERE = ("127.0.0.1", 1)
PATH = "/actions/restart-stream"
UID = "uid-0"

OTHER_INSTANCES_KEY = b"\x07" * 32


class Agent:
    """An agent's server without its rounds. done: a file in which each act leaves a line."""

    def __init__(self, folder, **changes):
        self.key_file, self.done = folder / "key", folder / "done"
        self.key_file.write_text(f"{KEY.hex()}\n")
        settings = Settings(NOWHERE, "", "", "qemu-system-*", NOWHERE, "", "", "", "loco", "pod-0", UID)
        script = f"sh -c 'echo done >> {self.done}'"
        defaults = {"action_key_file": str(self.key_file), "restart_stream": script}
        self.routes = Routes(Rounds(replace(settings, **(defaults | changes))))
        server = Server(("127.0.0.1", 0), self.routes)
        threading.Thread(target=server.serve, daemon=True).start()
        self.url = "http://{}:{}".format(*server.address)

    def post(self, *, uid=UID, told=None, key=KEY, body=None, path=PATH, **headers):
        """Send a signed request and return (status, reason, headers)."""
        told = told or challenge(self.url)[0]
        body = body_of(uid) if body is None else body
        right = signed(path, body, told=told, uid=uid, key=key)
        status, answered, answer = ask(self.url, "POST", path, body, right | headers)
        return status, answer.get("reason", answer.get("action")), answered

    def acts(self):
        """Return how often it acted."""
        return len(self.done.read_text().splitlines()) if self.done.exists() else 0


@pytest.fixture
def agent(tmp_path):
    return Agent(tmp_path)


@pytest.fixture
def agent_with(tmp_path):
    """Return what makes an agent with other settings."""
    return functools.partial(Agent, tmp_path)


def test_a_challenge_says_how_long_it_is_good_and_for_which_pod(agent):
    status, headers, answer = ask(agent.url, "GET", "/actions/challenge")

    assert (200, "no-store", 30, UID) == (
        status,
        headers["Cache-Control"],
        answer["expires_seconds"],
        answer["pod_uid"],
    )


def test_a_signed_request_is_done_and_told_step_by_step(agent):
    status, answer = act(agent.url, "restart-stream")

    assert 200 == status
    assert ("restart-stream", None, ["the command ended with exit code 0"]) == (
        answer["action"],
        answer["held"],
        answer["steps"],
    )
    assert answer["seconds"] >= 0
    assert 1 == agent.acts()


@pytest.mark.parametrize("value", [None, "", "Bearer abc", SCHEME])
def test_without_a_signature_the_answer_is_401_and_nothing_is_done(agent, value):
    status, headers, answer = ask(agent.url, "POST", PATH, body_of(UID), {"Authorization": value} if value else {})

    assert (401, SCHEME, "unsigned", "application/problem+json") == (
        status,
        headers["WWW-Authenticate"],
        answer["reason"],
        headers["Content-Type"],
    )
    assert 0 == agent.acts()


def test_another_instances_key_is_401(agent):
    assert (401, "bad-signature") == agent.post(key=OTHER_INSTANCES_KEY)[:2]
    assert 0 == agent.acts()


def test_a_bad_signature_doesnt_use_up_the_challenge(agent):
    told, _ = challenge(agent.url)

    assert (401, "bad-signature") == agent.post(told=told, key=OTHER_INSTANCES_KEY)[:2]
    assert 200 == agent.post(told=told)[0]


def test_a_request_that_was_sent_again_is_401(agent):
    told, _ = challenge(agent.url)
    agent.post(told=told)

    assert (401, "challenge-used") == agent.post(told=told)[:2]
    assert 1 == agent.acts()


def test_an_old_challenge_is_401(agent):
    told, _ = challenge(agent.url)
    agent.routes._door._challenges._clock = lambda: time.monotonic() + 30.0

    assert (401, "challenge-expired") == agent.post(told=told)[:2]
    assert 0 == agent.acts()


def test_a_challenge_of_one_agent_is_unknown_to_another(agent, agent_with):
    told, _ = challenge(agent_with().url)

    assert (401, "challenge-unknown") == agent.post(told=told)[:2]


@pytest.mark.parametrize("changed", [{"deadline_seconds": 59.0}, {"attempt": "a-2"}, {"incident": None}])
def test_a_body_that_was_changed_on_its_way_is_401(agent, changed):
    told, _ = challenge(agent.url)
    headers = signed(PATH, body_of(UID), told=told, uid=UID)
    status, _, answer = ask(agent.url, "POST", PATH, body_of(UID, **changed), headers)

    assert (401, "bad-signature") == (status, answer["reason"])
    assert 0 == agent.acts()


def test_a_signature_for_one_act_is_none_for_another(agent):
    told, _ = challenge(agent.url)
    headers = signed(PATH, body_of(UID), told=told, uid=UID)
    status, _, answer = ask(agent.url, "POST", "/actions/lower-quality", body_of(UID), headers)

    assert (401, "bad-signature") == (status, answer["reason"])


def test_a_request_for_another_pod_is_409(agent):
    assert (409, "other-pod") == agent.post(uid="uid-1")[:2]
    assert 0 == agent.acts()


def test_a_request_signed_for_this_pod_that_means_another_is_409(agent):
    assert (409, "other-pod") == agent.post(body=body_of("uid-1"))[:2]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        body_of(UID, deadline_seconds=0),
        body_of(UID, deadline_seconds=60.1),
        body_of(UID, deadline_seconds="long"),
        body_of(UID, colour="blue"),
        json.dumps({"pod_uid": UID}).encode(),
    ],
)
def test_a_signed_body_that_makes_no_sense_is_422(agent, body):
    assert (422, "bad-body") == agent.post(body=body)[:2]
    assert 0 == agent.acts()


def test_a_body_may_have_4_kib_and_no_more(agent):
    largest = body_of(UID, incident="i" * 3900)
    largest += b" " * (4096 - len(largest))

    assert 200 == agent.post(body=largest)[0]
    assert 413 == agent.post(body=largest + b" ")[0]


def test_an_act_that_nobody_knows_is_404(agent):
    assert 404 == agent.post(path="/actions/format-disk")[0]


def test_an_act_that_isnt_allowed_here_is_403_even_with_a_right_signature(agent_with):
    agent = agent_with(actions=("reset-audio",))

    assert (403, "not-allowed") == agent.post()[:2]
    assert (401, "bad-signature") == agent.post(key=OTHER_INSTANCES_KEY)[:2]
    assert 0 == agent.acts()


@pytest.mark.parametrize("state", ["unset", "missing", "empty", "directory", "rubbish", "no uid"])
def test_without_a_key_all_acts_are_off_and_the_report_says_why(agent_with, tmp_path, state):
    changes = {"unset": {"action_key_file": ""}, "no uid": {"pod_uid": ""}}.get(state, {})
    agent = agent_with(**changes)
    path = agent.key_file
    if state in {"missing", "directory"}:
        path.unlink()
    if state == "directory":
        path.mkdir()
    if state == "empty":
        path.write_text("\n")
    if state == "rubbish":
        path.write_text("deadbeef")

    status, reason, _ = agent.post()
    agent.routes._rounds.run_round()
    report = ask(agent.url, "GET", "/health")[2]["actions"]
    why = {
        "unset": "no key file is set (LOCO_ACTION_KEY_FILE)",
        "missing": f"key file {path}: No such file or directory",
        "directory": f"key file {path}: there is no key for this instance",
        "empty": f"key file {path} is empty",
        "rubbish": f"key file {path}: line 1 isn't 64 hexadecimal digits",
        "no uid": "the pod's uid isn't known (LOCO_POD_UID), so no request can be told to be for it",
    }[state]

    assert (403, "acts-off", 0) == (status, reason, agent.acts())
    assert f"acts are off: {why}" == report["error"]
    assert (200, UID if state != "no uid" else "") == (
        ask(agent.url, "GET", "/actions/challenge")[0],
        challenge(agent.url)[1],
    )


def test_a_rotated_key_counts_at_once_and_the_one_before_it_still_does(agent):
    agent.key_file.write_text(f"{OLD_KEY.hex()}\n{KEY.hex()}\n")
    assert [200, 200] == [agent.post(key=key)[0] for key in (OLD_KEY, KEY)]

    agent.key_file.write_text(f"{OLD_KEY.hex()}\n")
    assert (401, "bad-signature") == agent.post(key=KEY)[:2]


def test_what_cant_be_done_here_is_422_and_costs_nothing(agent):
    for _ in range(5):
        assert (422, "cannot") == agent.post(path="/actions/lower-quality")[:2]

    assert 200 == agent.post()[0]


def test_a_fourth_act_within_the_hour_is_409_and_says_when(agent):
    assert [200, 200, 200] == [agent.post()[0] for _ in range(3)]
    status, reason, headers = agent.post()

    assert (409, "quota-spent", 3) == (status, reason, agent.acts())
    assert 3500 < int(headers["Retry-After"]) <= 3600


def test_while_one_act_runs_another_is_409(agent_with, tmp_path):
    os.mkfifo(tmp_path / "gate")
    agent = agent_with(restart_stream=f"cat {tmp_path / 'gate'}")
    first = []
    thread = threading.Thread(target=lambda: first.append(agent.post()))
    thread.start()
    wait_for(agent.routes._door._turnstile._lock.locked)
    second = agent.post()
    (tmp_path / "gate").write_text("")
    thread.join(10)

    assert (409, "busy") == second[:2]
    assert 200 == first[0][0]


def test_many_signed_requests_at_once_are_three_acts_at_most(agent):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(agent.post()[:2])) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert 12 == len(answers)
    assert agent.acts() == answers.count((200, "restart-stream")) <= 3
    assert {(200, "restart-stream"), (409, "busy"), (409, "quota-spent")} >= set(answers)


def test_each_request_leaves_an_audit_line_and_no_secret_in_it(agent, caplog):
    caplog.set_level(logging.INFO, "agent.actions.door")
    told, _ = challenge(agent.url)
    agent.post(told=told, body=body_of(UID, attempt="7", incident="i\n\x1b[31m9"))
    agent.post(key=OTHER_INSTANCES_KEY)
    lines = [record for record in caplog.records if record.name == "agent.actions.door"]

    assert [("act done", "7", "i[31m9"), ("act refused", None, None)] == [
        (line.message, getattr(line, "attempt", None), getattr(line, "incident", None)) for line in lines
    ]
    everything = repr([vars(line) for line in lines])
    assert not [secret for secret in (KEY.hex(), told, OTHER_INSTANCES_KEY.hex()) if secret in everything]


def test_the_report_says_what_can_be_done_here(agent):
    agent.routes._rounds.run_round()
    block = ask(agent.url, "GET", "/health")[2]["actions"]

    assert (["restart-stream"], None) == (block["can"], block["error"])
    assert "no tap is configured" == block["cannot"]["reset-interface"]
    assert 7 == len(block["cannot"])
