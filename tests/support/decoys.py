"""A real decoy for tests, and ways to see what state it is in that share nothing with the agent."""

import hashlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pulsectl


class Decoy:
    """A running decoy. folder: its sockets, logs and record. prefix: a program to run it under. options: of `run`."""

    def __init__(self, directory: Path, name: str, *prefix: str, options: Sequence[str] = ()) -> None:
        self.id, self.directory, self.folder = name, directory, directory / name
        self.log = directory / f"{name}.log"
        with self.log.open("wb") as log:
            self.run = subprocess.Popen(
                [*prefix, *self._command("run", *options)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def record(self) -> dict:
        """Return what the run says about itself."""
        return json.loads((self.folder / "decoy.json").read_text())

    @property
    def health_url(self) -> str:
        """Return the agent's address; /health is the report."""
        return self.record["health_url"]

    @property
    def vnc_address(self) -> tuple[str, int]:
        """Return host and port."""
        host, _, port = self.record["vnc_address"].rpartition(":")
        return host, int(port)

    def pid(self, program: str) -> int | None:
        """Return the pid of `qemu`, `pulseaudio`, `agent` or `decoy`, None while it is away."""
        process = self.record["processes"].get(program)
        return process and process["pid"]

    def wait_up(self) -> "Decoy":
        """Wait until the agent and QEMU answer and the guest moves."""
        wait_for(lambda: (self.folder / "decoy.json").exists() and self.record["is_up"], 30)
        wait_for(self.moves, 30)
        return self

    def fault(self, name: str) -> str:
        """Cause a fault and return what the command says."""
        return self.command("fault", name).stdout

    def heal(self) -> str:
        """Heal and return what the command says."""
        return self.command("heal").stdout

    def command(self, *words: str, is_good: bool = True) -> subprocess.CompletedProcess:
        """Run `python -m agent decoy ...` on this decoy."""
        done = subprocess.run(self._command(*words), capture_output=True, text=True, check=False, timeout=120)
        assert not is_good or done.returncode == 0, done.stderr
        return done

    def stop(self) -> int:
        """Ask the run to end as Ctrl-C does, and return its exit code."""
        self.run.terminate()
        return self.run.wait(30)

    def qmp(self, command: str, **arguments: object) -> object:
        """Run one command on the decoy's own QMP socket."""
        with closing(socket.socket(socket.AF_UNIX)) as link:
            link.settimeout(5)
            link.connect(str(self.folder / "qmp.sock"))
            with link.makefile("rwb") as lines:
                lines.readline()
                for message in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                    lines.write(json.dumps(message).encode() + b"\n")
                    lines.flush()
                    answer = next(each for line in lines if "event" not in (each := json.loads(line)))
        return answer["return"]

    def picture(self) -> bytes:
        """Return the guest's pixels, three bytes each, after a header of one line each for kind, size and depth."""
        path = self.folder / "test.ppm"
        self.qmp("screendump", filename=str(path))
        return path.read_bytes()

    def moves(self) -> bool:
        """Tell whether the guest (640 x 400; the BIOS has other sizes) paints something else after half a second."""
        before = self.picture()
        time.sleep(0.5)
        return before[3:10] == b"640 400" and hashlib.sha256(before).digest() != hashlib.sha256(self.picture()).digest()

    def colours(self) -> set[bytes]:
        """Return the different colours of the guest's picture."""
        pixels = self.picture().split(b"\n", 3)[3]
        return {pixels[start : start + 3] for start in range(0, len(pixels), 3)}

    def state(self, program: str) -> str:
        """Return the kernel's state letter of a program."""
        return Path(f"/proc/{self.pid(program)}/stat").read_text().rpartition(")")[2].split()[0]

    def link(self, name: str) -> dict:
        """Return what `ip` says about a link of the decoy's namespace."""
        text = subprocess.check_output(["ip", "-json", "-n", self.record["netns"], "link", "show", name], text=True)
        return json.loads(text)[0]

    def peak(self) -> float:
        """Return the sink monitor's peak over 0.3 s, 0-1."""
        with pulsectl.Pulse("test", server=f"unix:{self.folder}/pulse.sock") as pulse:
            return pulse.get_peak_sample(pulse.get_sink_by_name("loco").monitor_source_name, 0.3)

    def streams(self) -> int:
        """Return how many streams play into the sink."""
        with pulsectl.Pulse("test", server=f"unix:{self.folder}/pulse.sock") as pulse:
            return len(pulse.sink_input_list())

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "agent", "decoy", *words, "--id", self.id, "--dir", str(self.directory)]


def wait_for(is_so, seconds: float) -> None:
    """Return once `is_so` holds; what refuses to connect meanwhile isn't there yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if is_so():
                return
        except (OSError, StopIteration):
            pass
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)
