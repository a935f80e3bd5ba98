"""A decoy as the container of a pod: the network namespace is there before it, and so is the agent beside it."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from acts import KEY, OLD_KEY, act, ask
from decoys import wait_for

from agent.decoy.process import Process

pytestmark = [pytest.mark.decoy, pytest.mark.timeout(180)]

NUMBERS = itertools.count()

# What the manifest leaves to the agent's container.
SIDECAR = ("setpriv", "--bounding-set=-all,+kill,+net_admin")


class Pod:
    """A network namespace, a shared folder and the environment that a pod's manifest gives to its containers."""

    def __init__(self, directory: Path) -> None:
        self.netns = f"pod-{os.getpid()}-{next(NUMBERS)}"
        self.cable = f"c-{self.netns.removeprefix('pod-')}"
        self.folder = directory / self.netns
        self.environment = {
            **os.environ,
            "LOCO_POD": self.netns,
            "LOCO_DECOY_DIR": str(directory),
            "LOCO_QMP_SOCKET": str(self.folder / "qmp-agent.sock"),
            "LOCO_QEMU_PID_FILE": str(self.folder / "qemu.pid"),
            "LOCO_PULSE_SERVER": f"unix:{self.folder / 'pulse.sock'}",
        }
        self.processes: list[subprocess.Popen[str]] = []
        subprocess.run(["ip", "netns", "add", self.netns], check=True)
        subprocess.run(["ip", "-n", self.netns, "link", "set", "lo", "up"], check=True)

    def start(self, *words: str, under: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start `python -m agent` with these words. under: a program to run it by."""
        command = ["ip", "netns", "exec", self.netns, *under, sys.executable, "-m", "agent", *words]
        pipe = subprocess.PIPE
        self.processes.append(
            process := subprocess.Popen(command, env=self.environment, stdout=pipe, stderr=pipe, text=True)
        )
        return process

    def start_decoy(self, *, under: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start the decoy and wait until it and the agent answer."""
        run = self.start("decoy", "run", "--in-pod", under=under)
        wait_for(lambda: self.record["is_up"] and self.record["processes"]["decoy"]["pid"] == run.pid, 30)
        return run

    def tell(self, *words: str) -> str:
        """Run one of the decoy's commands as `kubectl exec` does."""
        process = self.start("decoy", *words)
        answer, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint
        return answer

    @property
    def record(self) -> dict:
        """Return what the run says about itself."""
        return json.loads((self.folder / "decoy.json").read_text())

    def links(self) -> dict[str, int]:
        """Return the number of each link."""
        rows = json.loads(subprocess.check_output(["ip", "-json", "-n", self.netns, "link", "show"], text=True))
        return {row["ifname"]: row["ifindex"] for row in rows}

    def is_up(self, name: str) -> bool:
        """Tell whether a link is administratively up."""
        rows = subprocess.check_output(["ip", "-json", "-n", self.netns, "link", "show", name], text=True)
        return "UP" in json.loads(rows)[0]["flags"]

    def join(self) -> str:
        """Lay a cable from this machine to the pod, and return the pod's address."""
        ip = ["ip", "-n", self.netns]
        subprocess.run(
            ["ip", "link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.netns], check=True
        )
        subprocess.run(["ip", "address", "add", "198.19.255.0/31", "dev", self.cable], check=True)
        subprocess.run(["ip", "link", "set", self.cable, "up"], check=True)
        subprocess.run([*ip, "address", "add", "198.19.255.1/31", "dev", "eth0"], check=True)
        subprocess.run([*ip, "link", "set", "eth0", "up"], check=True)
        return "198.19.255.1"

    def end(self) -> None:
        """End what runs, and remove the namespace."""
        for process in self.processes:
            process.terminate()
            process.communicate(timeout=20)
        if (self.folder / "decoy.json").exists():
            self.tell("stop")
        subprocess.run(["ip", "link", "delete", self.cable], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "delete", self.netns], check=True)


@pytest.fixture
def pod(decoy_directory):
    """Return a pod in which nothing runs yet."""
    pod = Pod(decoy_directory)
    try:
        yield pod
    finally:
        pod.end()


def test_a_decoy_is_bridged_in_its_pod_and_obeys_without_being_named(pod):
    pod.start("serve")
    pod.start_decoy()

    assert {"lo", "loco-br", "tap0"} == set(pod.links())
    assert {"decoy", "pulseaudio", "qemu"} == set(pod.record["processes"])
    assert "the tap is down" in pod.tell("fault", "tap-down")
    assert not pod.is_up("tap0")

    pod.start("decoy", "heal")  # which goes on to wait for the guest
    wait_for(lambda: pod.is_up("tap0"), 20)


def test_vnc_is_served_on_every_address_of_either_family(pod):
    pod.start("serve")
    pod.start_decoy()
    command = ["ip", "netns", "exec", pod.netns, "ss", "-Hltn", "sport = :5901"]

    def listening() -> set[str]:
        return {line.split()[3] for line in subprocess.check_output(command, text=True).splitlines()}

    wait_for(lambda: len(listening()) > 1, 20)  # QEMU opens it after its monitor

    assert {"0.0.0.0:5901", "[::]:5901"} == listening()


def test_the_next_run_clears_away_what_a_killed_one_left(pod):
    pod.start("serve")
    killed = pod.start_decoy()
    left, orphan = pod.links(), Process(**pod.record["processes"]["qemu"])
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)

    pod.start_decoy()

    assert left["loco-br"] != pod.links()["loco-br"]
    assert orphan.pid != pod.record["processes"]["qemu"]["pid"]
    assert not orphan.is_alive


def test_links_that_are_not_a_decoys_are_left_alone(pod):
    subprocess.run(["ip", "-n", pod.netns, "tuntap", "add", "tap0", "mode", "tap"], check=True)
    before = pod.links()
    run = pod.start("decoy", "run", "--in-pod")
    _, complaint = run.communicate(timeout=30)

    assert 2 == run.returncode
    assert complaint.endswith("tap0 is here already and no decoy's record names it; nothing was started\n")
    assert before == pod.links()


def test_without_the_right_to_make_links_the_rest_runs_and_faults_of_the_network_are_refused(pod):
    pod.start("serve")
    run = pod.start_decoy(under=["setpriv", "--bounding-set=-net_admin"])
    refused = pod.start("decoy", "fault", "tap-down")
    _, complaint = refused.communicate(timeout=30)
    before = pod.links()
    run.terminate()
    _, log = run.communicate(timeout=30)

    assert {"lo"} == set(before)
    assert (1, True) == (refused.returncode, complaint.endswith("CAP_NET_ADMIN); nothing was done\n"))
    assert "no CAP_NET_ADMIN, /dev/net/tun or `ip` in this container: this decoy has no bridge and no tap" in log


# The promise is 2 s, and the kubelet is told to wait 5.
@pytest.mark.parametrize("allowed_seconds", [5, pytest.param(2, marks=pytest.mark.soak)])
def test_sigterm_ends_it_in_time_and_leaves_nothing(pod, allowed_seconds):
    pod.start("serve")
    run = pod.start_decoy()
    asked_at = time.monotonic()
    run.terminate()
    run.wait(30)
    seconds = time.monotonic() - asked_at

    assert 0 == run.returncode
    assert seconds < allowed_seconds
    assert {"lo"} == set(pod.links())
    assert [] == [path.name for path in pod.folder.iterdir() if path.is_socket()]


@pytest.fixture
def key_file(pod, tmp_path):
    """Return the key file that the pod's agent is given."""
    path = tmp_path / "key"
    path.write_text(f"{KEY.hex()}\n")
    pod.environment |= {"LOCO_ACTION_KEY_FILE": str(path), "LOCO_POD_UID": "uid-of-pod"}
    return path


def test_a_sidecar_with_two_capabilities_acts_on_the_other_container(pod, key_file):
    pod.start("serve", under=SIDECAR)
    pod.start_decoy()
    url = f"http://{pod.join()}:8080"
    wait_for(lambda: ask(url, "GET", "/health")[2]["audio"]["qemu_streams"], 30)
    qemu = Process(**pod.record["processes"]["qemu"])
    subprocess.run(["ip", "-n", pod.netns, "link", "delete", "loco-br"], check=True)
    qemu.send(signal.SIGSTOP)
    done = {name: act(url, name) for name in ("rebuild-bridge", "reset-audio", "restart-qemu")}

    assert dict.fromkeys(done, (200, True)) == {name: (status, it["held"]) for name, (status, it) in done.items()}
    assert [f"SIGTERM and SIGCONT to process {qemu.pid}"] == done["restart-qemu"][1]["steps"]
    assert (True, False) == (pod.is_up("loco-br"), qemu.is_alive)
    wait_for(lambda: pod.record["processes"].get("qemu", {}).get("pid") not in {None, qemu.pid}, 20)


def test_a_sidecar_without_the_capabilities_says_so_and_does_what_needs_none(pod, key_file):
    pod.start("serve", under=["setpriv", "--bounding-set=-all"])
    pod.start_decoy()
    url = f"http://{pod.join()}:8080"
    wait_for(lambda: ask(url, "GET", "/health")[2]["agent"]["sequence"], 30)
    status, answer = act(url, "rebuild-bridge")

    assert (422, "rebuild-bridge can't be done here: this process lacks CAP_NET_ADMIN") == (status, answer["detail"])
    assert 401 == act(url, "reset-guest", key=OLD_KEY)[0]
    assert act(url, "reset-guest")[1]["held"]
