"""The distribution owns its three names, carries its types, and loads no more than a command needs."""

import importlib.metadata
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {"agent", "jobs", "api"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_no_other_distribution_owns_a_room_name():
    owners = {
        (distribution.metadata["Name"], top)
        for distribution in importlib.metadata.distributions()
        for top in {file.parts[0] for file in distribution.files or () if file.suffix == ".py"}
        if top in ROOMS
    }

    assert {name for name, _ in owners} <= {"loco-health"}


@pytest.mark.timeout(60)
def test_the_wheel_holds_the_three_rooms_with_their_types_and_nothing_else(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )

    (wheel,) = tmp_path.glob("loco_health-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert ROOMS == {name.split("/")[0] for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert {f"{room}/py.typed" for room in ROOMS} <= set(names)
    assert {"agent/health-monitor.sh", "agent/decoy/guest.bin", "api/openapi.json"} <= set(names)


# What each command must not pay for. sqlite_utils is 148 ms that only a migration needs.
HEAVY = {
    "agent serve": {"pycurl", "sqlite3", "sqlite_utils", "waitress", "prometheus_client", "pulsectl", "kubernetes"},
    "jobs collect": {"psutil", "sqlite_utils", "waitress", "prometheus_client", "pulsectl", "kubernetes"},
    "jobs discover": {"psutil", "sqlite_utils", "waitress", "prometheus_client", "pulsectl", "pycurl", "kubernetes"},
    "jobs compact": {"psutil", "sqlite_utils", "waitress", "prometheus_client", "pulsectl", "pycurl", "kubernetes"},
    "jobs local": {"psutil", "sqlite_utils", "waitress", "prometheus_client", "pulsectl", "pycurl", "kubernetes"},
    "api": {"psutil", "sqlite_utils", "pulsectl", "pycurl", "kubernetes", "requests"},
    "api.kubectl recover": {
        "psutil",
        "sqlite_utils",
        "waitress",
        "prometheus_client",
        "pulsectl",
        "pycurl",
        "requests",
    },
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("command", sorted(HEAVY))
def test_a_command_loads_only_what_it_needs(command):
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", *command.split(), "--help"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in answer.stderr.splitlines() if "|" in line}

    assert set() == loaded & HEAVY[command]


def test_each_dependency_is_pinned_from_below_and_locked():
    locked = {line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line}
    project = PROJECT["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    wanted += [d for group in PROJECT["dependency-groups"].values() for d in group]
    named = {d.split(">=")[0].split("[")[0] for d in wanted if not d.startswith("loco-health")}

    assert {d for d in wanted if ">=" not in d and not d.startswith(("loco-health", "types-"))} == set()
    assert named <= {name.replace(".", "-") for name in locked} | locked


def _pins(lock):
    """Return {name: (version, hashes)} of a lock; comments and markers are left out."""
    words = [line.partition("#")[0].strip(" \\") for line in lock.read_text().splitlines()]
    found, name = {}, ""
    for word in words:
        if "==" in word:
            name, _, version = word.partition(" ;")[0].partition("==")
            found[name] = (version.strip(), set())
        elif word.startswith("--hash="):
            found[name][1].add(word)
    return found


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_an_image_gets_what_its_room_asks_for_in_the_versions_that_were_tested(room):
    tested, shipped = _pins(ROOT / "requirements.lock"), _pins(ROOT / "requirements" / f"{room}.lock")
    project = PROJECT["project"]
    wanted = {d.split(">=")[0] for d in [*project["dependencies"], *project["optional-dependencies"][room]]}

    assert wanted <= set(shipped)
    assert {} == {name: pin for name, pin in shipped.items() if tested.get(name) != pin}
    assert set() == {"pip", "aiohttp", "aiohttp-retry"} & set(shipped)
