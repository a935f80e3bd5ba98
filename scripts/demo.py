"""The demo: real decoys, the jobs that watch them, the API that shows them, as child processes of one run."""

from __future__ import annotations

import fcntl
import hashlib
import http
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec

from agent.decoy import instance
from agent.decoy.folder import Record, default_directory, folder_of
from agent.decoy.means import find_means
from agent.decoy.process import Process, boot_id, end, identify

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".demo"
LOG = STATE / "demo.log"

# chosen: an instance costs about 5 % of a core and 100 MiB.
MAX_INSTANCES = 50

# The promise of DETACH=1.
API_SECONDS = 60.0

# chosen: a decoy writes its record within a second; a busy machine gets twenty times that.
RECORD_SECONDS = 20.0

# chosen: what a child has to end in after SIGTERM, the scheduler in up to 14 s; the promise of demo-stop is 60 s for
# everything.
GRACE_SECONDS = 16.0
STOP_SECONDS = 30.0

# How a person in the checkout calls it.
PROGRAM = ".venv/bin/python -m agent decoy"

# The instances' keys and the fleet's switches, where `jobs local` has them: beside the store.
KEYS, CONTROL = STATE / "keys", STATE / "control"
TOKEN = STATE / "token"

# What to try: a fault, what will be seen, and the program or network that it is done to.
TRIES = (
    ("mute", "degraded, class qemu, within 35 s: AudioMuted; then reset-audio", "pulseaudio"),
    ("tap-down", "unhealthy, class network, within 35 s: TapDown; then reset-interface", "netns"),
    ("freeze", "unhealthy, class qemu, within 45 s: ScreenFrozen; then reset-guest", "qemu"),
    ("kill-qemu", "class qemu within 20 s: QemuDead; it comes back by itself, and nothing is done", "qemu"),
)


class Refusal(Exception):
    """Stop with one sentence."""


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """What a running demo leaves in .demo/demo.json, so that another command can end it."""

    boot_id: str
    run: Process
    port: int
    directory: str
    ids: list[str]
    processes: dict[str, Process] = {}


def start() -> None:
    """Start the demo and follow it, or with DETACH=1 leave it running once the API answers."""
    port = _number("DEMO_PORT", 3000, 65535)
    _number("DEMO_INSTANCES", 3, MAX_INSTANCES)
    with _hold():  # nobody else runs: what is there, a killed demo left
        _clear()
    if not _is_free(port):
        raise Refusal(f"port {port} is in use; choose another, such as make demo DEMO_PORT={port % 65000 + 1}")
    for lack in find_means().lacks:
        print(f"demo: {lack}", flush=True)
    if os.environ.get("DETACH") in (None, "", "0"):
        run()
        return
    with LOG.open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, __file__, "run"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    if not _wait(lambda: child.poll() is not None or _answers(port), API_SECONDS) or child.poll() is not None:
        stop()
        raise Refusal(f"the API did not answer on port {port} ({_last_line(LOG)}); {STATE} has the logs")
    # What is typed first is to find a fleet; a store that doesn't come is told by the page itself.
    _wait(lambda: _status(port, "/api/instances") == http.HTTPStatus.OK, API_SECONDS)
    print(_guide(_read()), "\nmake demo-stop ends it.", sep="", flush=True)


def run() -> None:
    """Run the demo until SIGINT or SIGTERM, then end everything."""
    port, count = _number("DEMO_PORT", 3000, 65535), _number("DEMO_INSTANCES", 3, MAX_INSTANCES)
    ids = [f"instance-{number}" for number in range(count)]
    with _listening() as asked, _hold():
        children: dict[str, subprocess.Popen[bytes]] = {}
        demo = Demo(
            boot_id=boot_id(), run=identify(os.getpid()), port=port, directory=str(_choose_directory(ids)), ids=ids
        )
        try:
            _start_all(demo, children, asked)
            if not asked:
                print(_guide(_read()), "\nCtrl-C stops everything.", sep="", flush=True)
            while not asked:
                _report_dead(children)
                time.sleep(0.25)
        finally:
            _clear()


def stop() -> None:
    """End the demo, also one of which parts were killed."""
    demo = _read()
    if demo is None:
        print("demo: none runs")
        return
    if demo.boot_id == boot_id():
        end([demo.run], grace_seconds=STOP_SECONDS)
    with _hold():
        _clear()
    print("demo: stopped")


def _start_all(demo: Demo, children: dict[str, subprocess.Popen[bytes]], asked: list[int]) -> None:
    """Start the decoys, then what watches them; return when the API answers or a signal asks to stop."""
    processes: dict[str, Process] = {}

    def record() -> None:
        _write(STATE / "demo.json", msgspec.json.encode(msgspec.structs.replace(demo, processes=processes)))

    def launch(name: str, *words: object, **settings: object) -> None:
        with (STATE / f"{name}.log").open("wb") as log:
            children[name] = subprocess.Popen(
                [sys.executable, "-m", *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **{setting: str(value) for setting, value in settings.items()}},
                start_new_session=True,  # Ctrl-C is for this run, which then ends its children in order
            )
        processes[name] = identify(children[name].pid)
        record()

    record()
    for name in demo.ids:
        launch(name, "agent", "decoy", "run", "--id", name, "--dir", demo.directory, "--key-file", KEYS / f"{name}.key")
    found = [each for name in demo.ids if (each := _record(demo, name, children, asked))]
    inventory, store = STATE / "instances.json", STATE / "loco.db"
    for old in STATE.glob("loco.db*"):  # another demo's instances had these ids
        old.unlink()
    _write(inventory, json.dumps([_entry(each) for each in found], indent=2).encode())
    launch("jobs", "jobs", "local", "--instances", inventory, "--store", store)
    asking = ("--token-file", TOKEN, "--instances", inventory)
    acting = {"LOCO_MASTER_KEY_FILE": KEYS / "master", "LOCO_CONTROL": CONTROL}  # of what a caller asks for
    launch("api", "api", "--store", store, "--listen", f"127.0.0.1:{demo.port}", *asking, **acting)
    _wait(lambda: bool(asked) or children["api"].poll() is not None or _answers(demo.port), API_SECONDS)


def _record(demo: Demo, name: str, children: dict[str, subprocess.Popen[bytes]], asked: list[int]) -> Record | None:
    """Return a decoy's record once it has written one, None when it ended or takes too long."""
    folder = folder_of(Path(demo.directory), name)
    _wait(lambda: bool(asked) or children[name].poll() is not None or folder.read() is not None, RECORD_SECONDS)
    return folder.read()


def _entry(record: Record) -> dict[str, object]:
    expectations: dict[str, object] = {}
    if "qemu" in record.programs:
        expectations["loco-health/expect-motion-seconds"] = 20
    if "pulseaudio" in record.programs:
        expectations["loco-health/expect-sound-seconds"] = 15
    return {
        "id": record.id,
        "name": record.id.replace("-", " ").capitalize(),
        "description": "A small real instance on this machine",
        "vncUrl": record.vnc_address,
        "streamUrl": "",
        "healthUrl": record.health_url,
        **expectations,
    }


def _guide(demo: Demo | None) -> str:
    """Return what a person wants to know: where to look, what to try, what will be seen."""
    if demo is None:
        return "demo: it has ended already"
    url, folders = f"http://127.0.0.1:{demo.port}", [folder_of(Path(demo.directory), name) for name in demo.ids]
    records = [record for folder in folders if (record := folder.read())]
    where = "" if Path(demo.directory) == _default_directory() else f" --dir {demo.directory}"
    lines = [f"demo: {len(records)} instances at {url}/{_key()}", f"  curl -s {url}/api/quality/deep-health"]
    lines += [f"  {record.id}: {record.health_url}/health, VNC {record.vnc_address}" for record in records]
    lines.append(
        "Try a fault (all causes are real); each heals by itself within 2 minutes, unless three at once stop every act:"
    )
    tries = 0
    for name, effect, part in TRIES:
        able = [record for record in records if (record.netns if part == "netns" else part in record.programs)]
        if able:
            record = able[tries % len(able)]
            lines.append(f"  {PROGRAM} fault {name} --id {record.id}{where}\n      {effect}")
            tries += 1
    lines += [
        f"  {PROGRAM} heal --id ID{where}\n      by hand, where recovery is off or has given up",
        f"What was done: {url}/incidents, or curl -s {url}/api/quality/recovery-status",
        f"In a terminal: .venv/bin/kubectl-loco get --url {url}\n      describe, why, top and screen take an ID first",
        "Ask for an act yourself: by the button on an instance's page, come by the link above, or",
        f'  curl -s -X POST -H "Authorization: Bearer $(cat {_shown(TOKEN)})" {url}/api/quality/recover/{demo.ids[0]}',
        f"  echo off > {_shown(CONTROL / 'recovery')}\n      nothing is done any more; rm it, and recovery goes on",
    ]
    lines.append(f"All faults: {PROGRAM} fault --help")
    return "\n".join(lines)


def _key() -> str:
    """Return what makes the page's link one that may ask for recoveries, empty before the API has its token."""
    try:
        return f"#token={TOKEN.read_text().strip()}"
    except OSError:
        return ""


def _shown(path: Path) -> str:
    """Return a path as a person in the checkout types it."""
    return str(path.relative_to(ROOT))


def _report_dead(children: dict[str, subprocess.Popen[bytes]]) -> None:
    for name in [name for name, child in children.items() if child.poll() is not None]:
        code = children.pop(name).returncode
        print(f"demo: {name} ended with {code}: {_last_line(STATE / f'{name}.log')}", flush=True)


def _clear() -> None:
    """End what the recorded demo started, decoys that lost their run included, and forget it."""
    demo = _read()
    if demo is None:
        return
    if demo.boot_id == boot_id():
        end(demo.processes.values(), grace_seconds=GRACE_SECONDS)
    for folder in (folder_of(Path(demo.directory), name) for name in demo.ids):
        record = folder.read()
        if record and record.processes[instance.RUN] == demo.processes.get(record.id):
            instance.stop(folder)
    (STATE / "demo.json").unlink(missing_ok=True)


def _choose_directory(ids: list[str]) -> Path:
    """Return where decoys are looked for by default, or one of this checkout's own if somebody has these ids there."""
    directory = _default_directory()
    records = [folder_of(directory, name).read() for name in ids]
    if any(record and instance.has_run(record) for record in records):
        digest = hashlib.sha256(os.fsencode(ROOT)).hexdigest()[:8]
        return directory.with_name(f"{directory.name}-{digest}")
    return directory


def _default_directory() -> Path:
    return Path(os.environ.get("LOCO_DECOY_DIR") or default_directory())


def _number(name: str, default: int, highest: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= highest:
        raise Refusal(f"{name}={text} is not a number from 1 to {highest}; nothing was started")
    return int(text)


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _answers(port: int) -> bool:
    """Tell whether the API answers, whatever it says."""
    return _status(port, "/livez") is not None


def _status(port: int, path: str) -> int | None:
    """Return the status of the API's answer at a path, None for no answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as answer:
        answer.close()
        return answer.code
    except OSError:
        return None


def _wait(is_so: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _last_line(path: Path) -> str:
    """Return the last line of a log, at most 200 characters of it."""
    with suppress(OSError):
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "it said nothing")
    return "it has no log"


def _read() -> Demo | None:
    try:
        return msgspec.json.decode((STATE / "demo.json").read_bytes(), type=Demo)
    except FileNotFoundError:
        return None


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)


@contextmanager
def _hold() -> Iterator[None]:
    """Be the only demo of this checkout until the block ends."""
    STATE.mkdir(mode=0o700, exist_ok=True)  # the log has the link with the token
    with (STATE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            demo = _read()
            where = f" at http://127.0.0.1:{demo.port}/" if demo else ""
            raise Refusal(f"one runs already{where}; make demo-stop ends it") from None
        yield


@contextmanager
def _listening() -> Iterator[list[int]]:
    """Note the signals that end the demo in the list it yields, instead of dying of them."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: asked.append(received))
    yield asked


def main() -> None:
    """Do what the one argument says."""
    commands = {"start": start, "run": run, "stop": stop}
    if sys.argv[1:2] == [] or sys.argv[1] not in commands:
        raise SystemExit("usage: scripts/demo start | stop")
    try:
        commands[sys.argv[1]]()
    except Refusal as refusal:
        raise SystemExit(f"demo: {refusal}") from None


if __name__ == "__main__":
    main()
