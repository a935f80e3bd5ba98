"""Nothing that is a secret, by its name or by its looks, is kept."""

import json

import pytest

from agent.signing import Signable, authorization, sign
from jobs.recovery.redaction import REDACTED, redact, redact_text

KEY = bytes(range(32))

CANARIES = {
    "a bearer token": "Authorization: Bearer canary.abc-123_DEF",
    "a token alone": "got bearer canaryabcdef123 from there",
    "basic credentials": "Basic Y2FuYXJ5OmNhbmFyeQ==",
    "a JSON web token": "eyJhbGciOiJSUzI1NiJ9.eyJjYW5hcnkiOjF9.c2lnbmF0dXJlY2FuYXJ5",
    "a key of ours": KEY.hex(),
    "a signature of ours": authorization("canary", sign(KEY, Signable("canary", "POST", "/", b"", "uid"))),
    "a password in a command": "qemu -vnc :1,password=canary-1 -display none",
    "a secret setting": "LOCO_SECRET=canary-2",
    "a token in a URL": "http://127.0.0.1/?token=canary-3&x=1",
    "userinfo in a URL": "http://canary:canary@127.0.0.1/",
    "a private key": "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----",
    "half a private key": "-----BEGIN EC PRIVATE KEY-----\ncanary",
}


@pytest.mark.parametrize("text", CANARIES.values(), ids=CANARIES)
def test_what_looks_like_a_secret_is_taken_out_wherever_it_stands(text):
    kept = json.dumps(redact({"events": [{"detail": f"before {text}"}, [text]], text: 1}))

    assert REDACTED in kept
    assert [] == [part for part in ("canary", KEY.hex(), "Y2FuYXJ5", "eyJj") if part in kept.lower() or part in kept]


@pytest.mark.parametrize(
    "name",
    ["password", "VNC_PASSWORD", "token", "accessToken", "Authorization", "Set-Cookie", "apiKey", "key", "tls.key",
     "clientSecret", "env", "envFrom", "signature", "challenge", "private_key", "credentials"],
)  # fmt: skip
def test_what_is_called_a_secret_is_taken_out_whole(name):
    assert {name: REDACTED} == redact({name: ["anything", {"at": "all"}]})


@pytest.mark.parametrize(
    "value",
    [
        {"keyboard": "us", "monkey": "m", "tokens_per_second": 3, "key": None, "envelope": "e"},
        {"detail": "SHUTDOWN guest-reset", "hash": "9f3a00ff00ff12ab", "uid": "3f1c9d2e-1111-2222-3333-444455556666"},
        {"image": "loco@sha256", "note": "the key isn't there", "url": "http://10.0.0.7:8080/health"},
        {"taken_at": "2026-11-26T00:19:29.130Z", "numbers": [1, 2.5, True, None]},
    ],
)
def test_what_is_no_secret_stays(value):
    assert value == redact(value)


def test_what_is_nested_too_deep_is_left_out():
    value = "canary"
    for _ in range(100):
        value = [value]

    assert "canary" not in json.dumps(redact(value))


def test_a_text_of_a_megabyte_is_read_in_no_time():
    text = "a.b-" * 250_000

    assert text == redact_text(text)


@pytest.mark.parametrize("name", ["registry.example/decoy@sha256:{}", "containerd://{}"])
def test_an_image_or_a_container_is_no_secret(name):
    told = name.format("ab" * 32)

    assert told == redact_text(told)
