"""The network check inside a network namespace of the test's own, with a real bridge and a real tap."""

import json
import os
import shutil
import subprocess
import sys

import pytest

# Runs in the new namespace: builds it up, then reports after each change.
SCENE = """
import json, subprocess, sys
import msgspec
from agent.checks.network import NetworkCheck
from agent.settings import Settings

def ip(line):
    subprocess.run(["ip", *line.split()], check=True)

settings = Settings(("", 0), "", "", "", ("", 0), "", "loco-br", "tap0", "", "", "")
check = NetworkCheck(settings)
seen = {"nothing": check.measure()}
for name, lines in json.loads(sys.argv[1]).items():
    for line in lines:
        ip(line)
    seen[name] = check.measure()
print(msgspec.json.encode(seen).decode())
"""

STEPS = {
    "up": [
        "link add loco-br type bridge",
        "link set loco-br up",
        "tuntap add tap0 mode tap",
        "link set tap0 master loco-br",
        "link set tap0 up",
    ],
    "again": [],
    "tap down": ["link set tap0 down"],
    "tap out of the bridge": ["link set tap0 up", "link set tap0 nomaster"],
    "bridge down": ["link set loco-br down"],
    "bridge gone": ["link del loco-br"],
    "tap made anew": ["tuntap del tap0 mode tap", "tuntap add tap0 mode tap"],
}

pytestmark = [
    pytest.mark.decoy,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network namespace"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="not installed: ip"),
]


@pytest.fixture(scope="module", params=["nsenter", "ip netns exec"])
def seen(request):
    """Return the block after each step, with /sys of the machine and with /sys of the namespace."""
    sys_of_namespace = "mount -t sysfs none /sys && " if request.param == "ip netns exec" else ""
    script = f'{sys_of_namespace}exec "$@"'
    command = ["unshare", "--net", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", SCENE, json.dumps(STEPS)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert 0 == finished.returncode, finished.stderr
    return json.loads(finished.stdout)


@pytest.mark.parametrize(
    ("step", "bridge_up", "tap_up", "tap_in_bridge"),
    [
        ("nothing", False, False, False),
        ("up", True, True, True),
        ("tap down", True, False, True),
        ("tap out of the bridge", True, True, False),
        ("bridge down", False, True, False),
        ("bridge gone", False, True, False),
    ],
)
def test_each_break_is_seen_as_itself(seen, step, bridge_up, tap_up, tap_in_bridge):
    block = seen[step]

    assert (bridge_up, tap_up, tap_in_bridge) == (block["bridge_up"], block["tap_up"], block["tap_in_bridge"])


def test_counters_and_rates_come_with_the_second_round(seen):
    assert None is seen["up"]["errors_per_second"]
    assert 0 == seen["up"]["tx_errors"]
    assert 0.0 == seen["again"]["errors_per_second"]


def test_a_tap_made_anew_has_no_rate(seen):
    assert None is seen["tap made anew"]["errors_per_second"]


def test_what_is_missing_is_named(seen):
    assert "no interface loco-br and no tap0 in this network namespace" == seen["nothing"]["error"]
    assert "no interface loco-br in this network namespace" == seen["bridge gone"]["error"]
