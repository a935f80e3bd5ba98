"""A real QEMU with sound and screen and a real agent beside it, without root and without a network namespace."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pulsectl
from stack import free_port

import agent.decoy
from agent.checks.audio import dial

GUEST = Path(agent.decoy.__file__).parent / "guest.bin"
QUICK_AGENT = Path(__file__).with_name("quick_agent.py")
PROGRAMS = ("qemu-system-x86_64", "pulseaudio")
MISSING = [program for program in PROGRAMS if shutil.which(program) is None]


def wait_for(question, *, seconds=20.0):
    """Return the first true answer to a question asked again and again, or fail with the last one."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, f"still {answer!r} after {seconds} s"
        time.sleep(0.1)
    return answer


def ask_monitor(path, command, **arguments):
    """Send one QMP command on a connection of its own and return the answer."""
    with socket.socket(socket.AF_UNIX) as link, link.makefile("rw") as file:
        link.settimeout(10)
        link.connect(str(path))
        file.readline()
        for message in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
            file.write(json.dumps(message) + "\n")
            file.flush()
            while "event" in (answer := json.loads(file.readline())):
                pass
        return answer["return"]


class Emulator:
    """QEMU, PulseAudio and the agent of one instance, each started and ended alone."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="lh"))
        self.vnc_port = free_port()
        self.agent_port = free_port()
        self.monitor, self.pulse = self.folder / "qmp", self.folder / "sound"
        self.processes = {}

    def start(self, name):
        """Start one of qemu, pulse, agent."""
        arguments, variables = {"qemu": self._qemu, "pulse": self._pulse, "agent": self._agent}[name]()
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | variables
            )
        if name == "pulse":
            wait_for(lambda: self.pulse.exists() and dial(str(self.pulse)) is None)

    def kill(self, name, sign=signal.SIGKILL):
        """End one of them and wait until it is gone."""
        self.processes[name].send_signal(sign)
        return self.processes.pop(name).wait(timeout=20)

    def signal(self, name, sign):
        """Send a signal that ends nobody."""
        self.processes[name].send_signal(sign)

    def close(self):
        """End all and leave nothing behind."""
        for name in list(self.processes):
            self.signal(name, signal.SIGCONT)
            self.kill(name)
        shutil.rmtree(self.folder)

    def report(self, *, within_seconds=1.0):
        """Return the agent's report; it must come in time, whatever hangs."""
        url = f"http://127.0.0.1:{self.agent_port}/health"
        with urllib.request.urlopen(url, timeout=within_seconds) as answer:
            return json.load(answer)

    def until(self, question, *, seconds=20.0):
        """Return the first report for which `question` holds."""
        return wait_for(lambda: (report := self.report()) and question(report) and report, seconds=seconds)

    def press(self, key):
        """Type a key into the guest."""
        ask_monitor(self.monitor, "send-key", keys=[{"type": "qcode", "data": key}])

    def sound(self):
        """Return a PulseAudio client of the test's own."""
        return pulsectl.Pulse("test", server=f"unix:{self.pulse}")

    def _qemu(self):
        accelerator = "kvm" if os.access("/dev/kvm", os.W_OK) else "tcg"
        return [
            "qemu-system-x86_64",
            *("-nodefaults", "-m", "16", "-accel", accelerator, "-vga", "std", "-display", "none"),
            *("-drive", f"file={GUEST},format=raw,if=ide,snapshot=on", "-vnc", f"127.0.0.1:{self.vnc_port - 5900}"),
            *("-qmp", f"unix:{self.monitor},server=on,wait=off"),
            *("-qmp", f"unix:{self.folder}/qmp-agent,server=on,wait=off", "-pidfile", f"{self.folder}/qemu.pid"),
            *("-audiodev", f"pa,id=a,server=unix:{self.pulse},out.name=loco", "-machine", "pc,pcspk-audiodev=a"),
        ], {}

    def _pulse(self):
        return [
            *("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disallow-exit"),
            *("-L", "module-null-sink sink_name=loco"),
            *("-L", f"module-native-protocol-unix socket={self.pulse} auth-anonymous=1 auth-cookie-enabled=0"),
        ], {"HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder)}

    def _agent(self):
        return [sys.executable, str(QUICK_AGENT), "serve", "--bridge", "", "--tap", ""], {
            "LOCO_AGENT_LISTEN": f"127.0.0.1:{self.agent_port}",
            "LOCO_QMP_SOCKET": f"{self.folder}/qmp-agent",
            "LOCO_QEMU_PID_FILE": f"{self.folder}/qemu.pid",
            "LOCO_VNC_ADDRESS": f"127.0.0.1:{self.vnc_port}",
            "LOCO_PULSE_SERVER": f"unix:{self.pulse}",
            "LOCO_POD": "instance-0",
        }
