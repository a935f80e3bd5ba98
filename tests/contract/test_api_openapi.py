"""What openapi.json promises of every operation, tried with good and bad requests that schemathesis makes of it."""

import itertools
from contextlib import closing

import pytest
import schemathesis
from filled_store import fill
from openapi import OPENAPI
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode

from api.app import Application
from api.asked import Made
from api.follower import Follower
from api.instants import now_ms
from api.local import LocalDoor

TOKEN = "the-token-of-this-start"
SETTINGS = {
    "base-url": "http://localhost",
    "headers": {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "identity"},
    "generation": {"max-examples": 20, "deterministic": True, "database": "none"},
}


class IdleDoor(LocalDoor):
    """The door of one machine, behind which nothing is started."""

    def _start(self, what, words):
        return Made("host:1:2")


class Served:
    """The WSGI callable that the tests collected so early are to meet."""

    application = None

    def __call__(self, environ, start_response):
        """Pass the request on."""
        return self.application(environ, start_response)


SCHEMA = schemathesis.openapi.from_dict(OPENAPI, config=SchemathesisConfig.from_dict(SETTINGS))
SCHEMA.app = SERVED = Served()


@pytest.fixture(scope="module", autouse=True)
def _application(tmp_path_factory):
    """Serve a filled store by the real application; each request comes long after the one before."""
    folder = tmp_path_factory.mktemp("openapi")
    fill(folder / "loco.db")
    inventory = folder / "instances.json"
    inventory.write_text("[]")
    door = IdleDoor(folder / "loco.db", TOKEN, token_file=folder / "token", instances=inventory)
    with closing(Follower(folder / "loco.db", now_ms)) as follower:
        SERVED.application = Application(follower, now_ms, door, clock=itertools.count(step=100).__next__)
        yield


@SCHEMA.parametrize()
def test_an_operation_keeps_its_promises(case):
    if case.meta.generation.mode is GenerationMode.POSITIVE:
        _make_real(case)
    case.call_and_validate()


def _make_real(case):
    """Let a good request ask for what there is: ids and cursors are no words that could be made up."""
    if "id" in case.path_parameters:
        case.path_parameters["id"] = "instance-0"
    for name in ("cursor", "before"):
        case.query.pop(name, None)
