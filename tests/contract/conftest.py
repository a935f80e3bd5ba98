"""What contract tests share: a real decoy, started once for all that only look or heal what they break; one attempt."""

import os
import shutil
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from attempts import Recovery, World
from decoys import Decoy

from jobs.health.recovery import Action


def pytest_collection_modifyitems(items):
    """Skip what needs a decoy where none can run, and say why."""
    lacks = [] if os.geteuid() == 0 else ["root"]
    lacks += [name for name in ("qemu-system-x86_64", "pulseaudio", "ip") if shutil.which(name) is None]
    if lacks:
        for item in items:
            if item.get_closest_marker("decoy"):
                item.add_marker(pytest.mark.skip(reason=f"a decoy needs {', '.join(lacks)}"))


@pytest.fixture(scope="session")
def decoy_directory():
    """Return a directory with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="loco-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def _running_decoy(decoy_directory):
    """Start the decoy that all tests of a session share."""
    decoy = Decoy(decoy_directory, "shared")
    try:
        yield decoy.wait_up()
    finally:
        decoy.stop()


@pytest.fixture
def decoy(_running_decoy):
    """Return a healthy decoy, and heal it after a test that failed or left it sick."""
    yield _running_decoy
    _running_decoy.heal()


@pytest.fixture
def world():
    """Return a world in which all goes well until a test says otherwise."""
    return World()


@pytest.fixture
def recovery(tmp_path, world):
    """Return one booked attempt to reset a guest of that world."""
    made = Recovery(tmp_path / "loco.db", world, action=Action.RESET_GUEST)
    with closing(made.connection):
        yield made
