"""The whole path on one machine, as `make demo` runs it: decoys, `jobs local` and the API, each a process."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

EXPECTATIONS = {"loco-health/expect-motion-seconds": 20, "loco-health/expect-sound-seconds": 15}


class Stack:
    """Start decoys with the given ids, watch them, and answer what the API says; a context manager.

    can_act: the decoys' agents have keys, and the API takes what somebody asks for. policy: TOML, for all that run.
    """

    def __init__(
        self, directory: Path, ids: list[str], *, window_seconds: int = 300, can_act: bool = False, policy: str = ""
    ) -> None:
        self.directory, self.ids, self._window_seconds = directory, ids, window_seconds
        self._can_act, self._policy = can_act, policy
        self.store = directory / "loco.db"
        self._stack = ExitStack()
        self.programs: dict[str, subprocess.Popen[bytes]] = {}
        self.url = ""

    def __enter__(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "policy.toml").write_text(self._policy)
        try:
            for decoy in self.ids:
                key = ("--key-file", self.directory / "keys" / f"{decoy}.key") if self._can_act else ()
                self.start(decoy, "agent", "decoy", "run", "--id", decoy, "--dir", self.directory, *key)
            records = [self._record(decoy) for decoy in self.ids]
            inventory = self.directory / "instances.json"
            inventory.write_text(json.dumps([_entry(record) for record in records]))
            self.watch(inventory)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_):
        self._stack.close()

    def watch(self, inventory: Path) -> None:
        """Start the scheduler and the API on an inventory, and wait until the API has a store to answer from."""
        window = str(self._window_seconds)
        self.start("local", "jobs", "local", "--instances", inventory, "--store", self.store, "--window", window)
        self.answer()

    def answer(self) -> None:
        """Start the API, and wait until it has a store to answer from."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        settings = {}
        if self._can_act:
            settings = {
                "LOCO_TOKEN_FILE": self.directory / "token",
                "LOCO_MASTER_KEY_FILE": self.directory / "keys" / "master",
                "LOCO_CONTROL": self.directory / "control",
            }
        self.start("api", "api", "--store", self.store, "--listen", f"127.0.0.1:{port}", **settings)
        until(lambda: self.status("/readyz") == 200, 30, "the API to be ready")

    def start(self, name: str, *words: object, **settings: object) -> None:
        """Start one of our programs, its output in a file beside the store. settings: of its environment."""
        log = self._stack.enter_context((self.directory / f"{name}.log").open("wb"))
        program = subprocess.Popen(
            [sys.executable, "-m", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={
                **os.environ,
                "LOCO_POLICY": str(self.directory / "policy.toml"),
                **{setting: str(value) for setting, value in settings.items()},
            },
            start_new_session=True,
        )
        self.programs[name] = program
        self._stack.callback(_end, program)

    def _record(self, decoy: str) -> dict:
        path = self.directory / decoy / "decoy.json"
        until(lambda: path.exists() and json.loads(path.read_text())["is_up"], 30, f"decoy {decoy} to be up")
        return json.loads(path.read_text())

    def decoy(self, *words: str) -> str:
        """Run `python -m agent decoy ...` against this stack's decoys and return what it printed."""
        answer = subprocess.run(
            [sys.executable, "-m", "agent", "decoy", *words, "--dir", self.directory],
            check=True,
            capture_output=True,
            text=True,
        )
        return answer.stdout

    def status(self, path: str) -> int | None:
        """Return the HTTP status of a path, None when nothing answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return None

    def get(self, path: str):
        """Return the JSON of a path."""
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return json.load(answer)

    def deep_health(self) -> dict:
        """Return what the API says of each instance."""
        return self.get("/api/quality/deep-health")

    def wait_healthy(self, seconds: float) -> dict:
        """Wait until every instance reads healthy and return the answer."""

        def healthy() -> dict | None:
            fleet = self.deep_health()
            good = [i for i in self.ids if fleet.get(i, {}).get("overallStatus") == "healthy"]
            return fleet if len(good) == len(self.ids) else None

        return until(healthy, seconds, "every instance to read healthy", told=self.told)

    def told(self) -> str:
        """Return one line an instance: its verdict, class and reasons."""
        return "\n".join(f"{i}: {told(one)}" for i, one in self.deep_health().items())


def told(one: dict) -> str:
    """Return verdict, class and reason codes of one deep-health answer."""
    return f"{one['overallStatus']} {one['failureType']} {' '.join(r['code'] for r in one['reasons'])}"


def until(test, seconds: float, what: str, *, told=lambda: ""):
    """Return the first true answer of `test`; fail after `seconds` with what was awaited and what was seen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = test()
        if answer:
            return answer
        time.sleep(0.25)
    raise AssertionError(f"waited {seconds} s for {what}\n{told()}")


# Below those that Linux gives to whoever asks for any port, and none twice: what is free stays so until it is used.
_PORTS = iter(random.SystemRandom().sample(range(20_000, 30_000), 10_000))


def free_port() -> int:
    """Return a loopback port that nobody has."""
    import socket  # noqa: PLC0415 - only where sockets are allowed

    for port in _PORTS:
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("this session has had ten thousand ports")


def _entry(record: dict) -> dict:
    return {
        "id": record["id"],
        "name": f"Decoy {record['id']}",
        "vncUrl": record["vnc_address"],
        "streamUrl": "",
        "healthUrl": record["health_url"],
        **EXPECTATIONS,
    }


def _end(program: subprocess.Popen[bytes]) -> None:
    program.send_signal(signal.SIGTERM)
    try:
        program.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait(5)
