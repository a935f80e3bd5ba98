"""A thousand connectivity probes against QEMU's own VNC server, beside a user who is looking at it."""

import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from emulator import MISSING, Emulator, wait_for

from jobs.health.model import ConnectivityOutcome
from jobs.probe.vnc import VncProber

VIEWER = Path(__file__).parents[1] / "support" / "viewer.py"
PROBES = 1000


class Viewer:
    """A user's session in a process of its own, by an RFB client that isn't ours."""

    def __init__(self, port, log):
        self.log = log
        with log.open("wb") as out:
            words = [sys.executable, str(VIEWER), "127.0.0.1", str(port)]
            self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT)

    def said(self):
        """Return how often the viewer said which word."""
        return Counter(self.log.read_text().split())

    def close(self):
        """End the session as its user."""
        self.process.stdin.close()
        return self.process.wait(20)


@pytest.mark.decoy
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}")
def test_a_thousand_probes_leave_a_users_session_alive_and_painted(tmp_path):
    prober = VncProber(clock=lambda: time.time_ns() // 1_000_000)
    with closing(Emulator()) as emulator:
        emulator.start("pulse")
        emulator.start("qemu")
        address = ("127.0.0.1", emulator.vnc_port)
        wait_for(lambda: prober.probe([address], seconds=1)[address].outcome is ConnectivityOutcome.OK)
        viewer = Viewer(emulator.vnc_port, tmp_path / "viewer.log")
        wait_for(lambda: viewer.said()["painted"] > 3)
        outcomes = Counter(prober.probe([address], seconds=1)[address].outcome for _ in range(PROBES))
        painted = viewer.said()["painted"]
        wait_for(lambda: viewer.said()["painted"] > painted + 3)
        times_lost = viewer.said()["lost"]

        assert (0, 0) == (times_lost, viewer.close())
    assert {ConnectivityOutcome.OK: PROBES} == outcomes
