"""The demo as a newcomer runs it, in a checkout of its own beside whatever else runs here."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from decoys import wait_for
from stack import free_port

from jobs.store.connection import open_reader
from jobs.store.ledger import every

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.decoy, pytest.mark.timeout(300)]


class Checkout:
    """A checkout with the demo's scripts, its own port and its own directory of decoys."""

    def __init__(self, root: Path) -> None:
        self.root, self.port = root, free_port()
        (root / "scripts").mkdir()
        for name in ("demo", "demo.py"):
            shutil.copy(ROOT / "scripts" / name, root / "scripts" / name)
        (root / ".venv").symlink_to(ROOT / ".venv")
        self.environment = {
            **os.environ,
            "DEMO_PORT": str(self.port),
            "DEMO_INSTANCES": "1",
            "DETACH": "",
            "LOCO_DECOY_DIR": str(root / "decoys"),
        }

    def demo(self, word: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `scripts/demo WORD` and wait until nothing holds its output any more, as a pipe does."""
        return subprocess.run(
            [self.root / "scripts" / "demo", word],
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=90,
        )

    def follow(self) -> subprocess.Popen[str]:
        """Start the demo in the foreground."""
        return subprocess.Popen(
            [self.root / "scripts" / "demo", "start"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def is_healthy(self) -> bool:
        """Tell whether the API says so of the first instance."""
        fleet = self.get("/api/quality/deep-health")
        return "instance-0" in fleet and "healthy" == fleet["instance-0"]["overallStatus"]

    def decoy(self, *words: str) -> None:
        """Do something to a decoy of the demo, as its guide says."""
        directory = self.recorded()["directory"]
        command = [ROOT / ".venv" / "bin" / "python", "-m", "agent", "decoy", *words, "--dir", directory]
        subprocess.run(command, check=True, capture_output=True)

    def attempts(self) -> list[tuple[str, str, str | None]]:
        """Return action, state and outcome of each attempt that the ledger knows."""
        with closing(open_reader(self.root / ".demo" / "loco.db")) as connection:
            return [(one.action, one.state, one.outcome) for one in every(connection)]

    def recorded(self) -> dict:
        """Return what the running demo says about itself."""
        return json.loads((self.root / ".demo" / "demo.json").read_text())

    def pids(self) -> list[int]:
        """Return every process of the demo and its decoys."""
        decoys = [json.loads(path.read_text()) for path in (self.root / "decoys").glob("*/decoy.json")]
        return [process["pid"] for record in (self.recorded(), *decoys) for process in record["processes"].values()]

    def get(self, path: str) -> dict:
        """Return what the API says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return json.load(answer)


@pytest.fixture
def checkout():
    """Return a checkout, and stop its demo."""
    with tempfile.TemporaryDirectory(prefix="loco-") as directory:
        checkout = Checkout(Path(directory))
        try:
            yield checkout
        finally:
            checkout.demo("stop")


def test_a_detached_demo_answers_heals_by_itself_and_stops(checkout):
    started = checkout.demo("start", DETACH="1")

    assert 0 == started.returncode, started.stdout
    token = (checkout.root / ".demo" / "token").read_text().strip()
    assert f"instances at http://127.0.0.1:{checkout.port}/#token={token}\n" in started.stdout
    assert f"In a terminal: .venv/bin/kubectl-loco get --url http://127.0.0.1:{checkout.port}\n" in started.stdout
    assert f"What was done: http://127.0.0.1:{checkout.port}/incidents, or " in started.stdout
    assert "Ask for an act yourself: by the button on an instance's page" in started.stdout
    wait_for(checkout.is_healthy, 90)

    checkout.decoy("fault", "mute", "--id", "instance-0")
    wait_for(checkout.attempts, 90)
    wait_for(lambda: all(state == "ended" for _, state, _ in checkout.attempts()), 90)
    assert [("reset-audio", "ended", "healed")] == checkout.attempts()
    wait_for(checkout.is_healthy, 30)

    again = checkout.demo("start")
    assert 1 == again.returncode
    assert f"demo: one runs already at http://127.0.0.1:{checkout.port}/; make demo-stop ends it\n" == again.stdout

    pids = checkout.pids()
    stopped = checkout.demo("stop")
    assert (0, "demo: stopped\n") == (stopped.returncode, stopped.stdout)
    assert not any(is_alive(pid) for pid in pids)
    assert "demo: none runs\n" == checkout.demo("stop").stdout


def test_stop_cleans_up_a_demo_of_which_parts_were_killed(checkout):
    checkout.demo("start", DETACH="1")
    pids = checkout.pids()
    for pid in (checkout.recorded()["run"]["pid"], checkout.recorded()["processes"]["instance-0"]["pid"]):
        os.kill(pid, signal.SIGKILL)

    assert 0 == checkout.demo("stop").returncode
    assert not any(is_alive(pid) for pid in pids)


def test_a_dead_child_is_named_and_ctrl_c_stops_everything(checkout):
    demo = checkout.follow()
    wait_for(lambda: "api" in checkout.recorded()["processes"], 60)
    pids = checkout.pids()
    os.kill(checkout.recorded()["processes"]["api"]["pid"], signal.SIGKILL)
    assert any(line.startswith("demo: api ended with -9: ") for line in demo.stdout)

    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=60)
    assert 0 == demo.returncode
    assert not any(is_alive(pid) for pid in pids)


def test_a_busy_port_is_one_line(checkout):
    with socket.create_server(("127.0.0.1", checkout.port)):
        refused = checkout.demo("start", DETACH="1")

    assert 1 == refused.returncode
    assert refused.stdout.startswith(f"demo: port {checkout.port} is in use; choose another")


@pytest.mark.parametrize(("name", "value"), [("DEMO_PORT", "0"), ("DEMO_PORT", "http"), ("DEMO_INSTANCES", "51")])
def test_a_bad_setting_is_one_line(checkout, name, value):
    refused = checkout.demo("start", **{name: value})

    assert 1 == refused.returncode
    assert refused.stdout.startswith(f"demo: {name}={value} is not a number from 1 to ")


def is_alive(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
