"""How often a POST may be asked for, at the real WSGI callable on a clock of the test's own."""

import io
import json
from contextlib import closing

import pytest
from filled_store import fill

from api.app import Application
from api.asked import Made
from api.asking import OF_ONE, OF_STRANGERS
from api.follower import Follower
from api.instants import now_ms
from api.local import LocalDoor

RECOVER = "/api/quality/recover/instance-0"
GOOD = "Bearer the-token"


class CountingDoor(LocalDoor):
    """The door of one machine, behind which things are counted and nothing is started."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.asked = self.started = 0

    def admit(self, environ):
        """Count who comes to the door."""
        self.asked += 1
        return super().admit(environ)

    def _start(self, what, words):  # noqa: ARG002 - the signature of the real one
        self.started += 1
        return Made("host:1:2")


class Counted(io.BytesIO):
    """A body that knows whether it was read."""

    reads = 0

    def read(self, *arguments):
        """Read on."""
        self.reads += 1
        return super().read(*arguments)


class Site:
    """The application, its door and its clock."""

    def __init__(self, follower, folder):
        self.door = CountingDoor(folder / "loco.db", "the-token", token_file=folder / "token", instances=None)
        self.seconds = 0.0
        self.application = Application(follower, now_ms, self.door, clock=lambda: self.seconds)

    def post(self, path=RECOVER, *, authorization=GOOD, body=None, method="POST", **more):
        """Return status, headers and the JSON of an answer."""
        told = {}
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "HTTP_HOST": "localhost",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": "2",
            "wsgi.input": body or io.BytesIO(b"{}"),
            **({"HTTP_AUTHORIZATION": authorization} if authorization else {}),
            **more,
        }
        answer = self.application(
            environ, lambda status, headers: told.update(status=int(status[:3]), headers=dict(headers))
        )
        return told["status"], told["headers"], json.loads(b"".join(answer) or b"{}")

    def statuses(self, count, **asked):
        """Return the statuses of so many POSTs."""
        return [self.post(**asked)[0] for _ in range(count)]


@pytest.fixture
def site(tmp_path):
    fill(tmp_path / "loco.db")
    with closing(Follower(tmp_path / "loco.db", now_ms)) as follower:
        yield Site(follower, tmp_path)


def test_one_too_many_says_when_to_come_back_and_reaches_nothing(site):
    site.statuses(OF_ONE.burst)
    asked, started, body = site.door.asked, site.door.started, Counted(b"{}")
    status, headers, told = site.post(body=body)

    assert (429, "TooManyRequests", "6") == (status, told["reason"], headers["Retry-After"])
    assert "more was asked for than may be; ask again in 6 s; nothing was started" == told["detail"]
    assert (asked, started, 0) == (site.door.asked, site.door.started, body.reads)


def test_who_waits_as_long_as_was_said_is_let_in_again(site):
    assert [202] * OF_ONE.burst + [429] == site.statuses(OF_ONE.burst + 1)
    site.seconds += OF_ONE.seconds

    assert [202, 429] == site.statuses(2)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [(None, 401), ("Bearer wrong", 401), ("Basic x", 401), ("Bearer \u00ff", 401), ("\ud800", 401)],
)
def test_what_is_refused_counts_too(site, authorization, status):
    got = site.statuses(OF_STRANGERS.burst + 1, authorization=authorization)

    assert [status] * OF_STRANGERS.burst + [429] == got


def test_a_wish_for_an_unknown_instance_counts_too(site):
    got = site.statuses(OF_STRANGERS.burst + 1, path="/api/quality/recover/nobody")

    assert [404] * OF_STRANGERS.burst + [429] == got


def test_made_up_tokens_crowd_no_known_caller_out(site):
    site.post()
    flood = [site.post(authorization=f"Bearer {n}")[0] for n in range(100)]

    assert (OF_STRANGERS.burst - 1, 202) == (flood.count(401), site.post()[0])


def test_what_was_done_is_told_whatever_body_the_caller_has(site):
    status, headers, told = site.post(body=io.BytesIO(b'{"dryRun": true}'), CONTENT_LENGTH="16", HTTP_IF_NONE_MATCH="*")

    assert (200, False, "instance-0") == (status, "ETag" in headers, told["instanceId"])


def test_reading_and_other_methods_count_for_nothing(site):
    for _ in range(50):
        assert 405 == site.post(method="GET")[0]
        assert 200 == site.post("/livez", method="GET")[0]

    assert 202 == site.post()[0]


def test_one_too_many_leaves_no_line_in_the_log(site, caplog):
    def lines():
        """Return how many lines are the API's: a thread of a test before may still have something to say."""
        return len([record for record in caplog.records if record.name.startswith("api.")])

    site.statuses(OF_STRANGERS.burst, authorization=None)
    before = lines()
    site.statuses(1000, authorization=None)

    assert (OF_STRANGERS.burst, OF_STRANGERS.burst) == (before, lines())
