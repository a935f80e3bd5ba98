"""A sender of acts as a recovery Job is one: a challenge, a signature, one POST."""

import http.client
import json
from contextlib import closing
from urllib.parse import urlsplit

from agent.signing import Signable, authorization, sign

KEY = bytes(range(32))
OLD_KEY = bytes(range(32, 64))


def ask(url, method, path, body=None, headers=None, *, seconds=90):
    """Return status, headers and the decoded body of one request."""
    place = urlsplit(url)
    with closing(http.client.HTTPConnection(place.hostname, place.port, timeout=seconds)) as client:
        client.request(method, path, body, headers or {})
        response = client.getresponse()
        text = response.read()
        return response.status, response.headers, json.loads(text) if text[:1] == b"{" else text


def challenge(url):
    """Return the agent's challenge and the uid of its pod."""
    _, _, answer = ask(url, "GET", "/actions/challenge")
    return answer["challenge"], answer["pod_uid"]


def signed(path, body, *, told, uid, key=KEY):
    """Return the headers of a signed POST."""
    signature = sign(key, Signable(told, "POST", path, body, uid))
    return {"Authorization": authorization(told, signature), "Content-Type": "application/json"}


def body_of(uid, *, deadline_seconds=20.0, **fields):
    """Return the bytes of a right request."""
    asked = {"pod_uid": uid, "attempt": "a-1", "incident": "i-1", "deadline_seconds": deadline_seconds}
    return json.dumps(asked | fields).encode()


def act(url, name, *, key=KEY, **fields):
    """Do an act and return (status, answer)."""
    told, uid = challenge(url)
    path, body = f"/actions/{name}", body_of(uid, **fields)
    status, _, answer = ask(url, "POST", path, body, signed(path, body, told=told, uid=uid, key=key))
    return status, answer
