"""What openapi.json promises of every operation, tried with good and bad requests that schemathesis makes of it."""

import itertools
from contextlib import closing

import pytest
import schemathesis
from filled_store import fill, real_id
from openapi import OPENAPI
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode

from api.app import Application
from api.asked import Made
from api.follower import Follower
from api.instants import now_ms
from api.local import LocalDoor
from jobs.store import reader

TOKEN = "the-token-of-this-start"
SETTINGS = {
    "base-url": "http://localhost",
    "headers": {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "identity"},
    "generation": {"max-examples": 10, "deterministic": True, "database": "none"},
}


class IdleDoor(LocalDoor):
    """The door of one machine, behind which nothing is started."""

    def _start(self, what, words):  # noqa: ARG002 - the signature of the real one
        return Made("host:1:2")


class Served:
    """The WSGI callable that the tests collected so early are to meet."""

    application = None
    incident = None

    def __call__(self, environ, start_response):
        """Pass the request on."""
        return self.application(environ, start_response)


SCHEMA = schemathesis.openapi.from_dict(OPENAPI, config=SchemathesisConfig.from_dict(SETTINGS))
SCHEMA.app = SERVED = Served()


@pytest.fixture(scope="module", autouse=True)
def _application(tmp_path_factory):
    """Serve a filled store by the real application: all at one instant, yet each POST long after the one before."""
    folder = tmp_path_factory.mktemp("openapi")
    fill(folder / "loco.db")
    at_ms = now_ms()
    inventory = folder / "instances.json"
    inventory.write_text("[]")
    door = IdleDoor(folder / "loco.db", TOKEN, token_file=folder / "token", instances=inventory)
    with closing(Follower(folder / "loco.db", lambda: at_ms)) as follower:
        SERVED.application = Application(follower, lambda: at_ms, door, clock=itertools.count(step=100).__next__)
        SERVED.incident = follower.query(reader.incidents)[0].id
        yield


@SCHEMA.parametrize()
def test_an_operation_keeps_its_promises(case):
    if case.meta.generation.mode is GenerationMode.POSITIVE:
        _make_real(case)
    case.call_and_validate()


def _make_real(case):
    """Let a good request ask for what there is: ids and cursors are no words that could be made up."""
    if "id" in case.path_parameters:
        case.path_parameters["id"] = real_id(case.path, SERVED.incident)
    for name in ("cursor", "before"):
        case.query.pop(name, None)
