"""Start a program inside a node, and wait for what it should bring about."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from localkind import binaries, cgroups, needs
from localkind.errors import LocalkindError
from localkind.layout import Node

POLL_SECONDS = 0.1
LOG_LINES_SHOWN = 3
INIT_SECONDS = 10.0

# The shell enters the cgroups before it becomes the program, so no process is ever outside.
_ENTER = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit; shift; done; shift; exec "$@"'

# Arguments: a file to make when all is mounted, then pairs of folders or files, the second mounted over the first.
_INIT = """
mount --make-rshared / || exit
ready=$1; shift
while [ $# -gt 0 ]; do mount --bind "$2" "$1" || exit; shift 2; done
: >"$ready"
exec sleep infinity
"""


def start_init(node: Node) -> None:
    """Start the process that holds the node's mount namespace.

    In it the folders and settings that components can't be kept from using are the node's own, and every mount of the
    node ends with the node's last process.
    """
    ready = node.folder / "init.ready"
    pairs = []
    for shared, own in node.own_folders.items():
        for folder in (shared, own):
            folder.mkdir(parents=True, exist_ok=True)
        pairs += [shared, own]
    for shared, own in node.own_settings.items():
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(shared.read_text())
        pairs += [shared, own]
    unshare = ("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", _INIT, "init")
    _spawn(node, "init", _in_network(node), *unshare, ready, *pairs)
    until(ready.exists, seconds=INIT_SECONDS, node=node, name="init")


def start(node: Node, program: str | Path, *args: str | Path) -> None:
    """Start the program in the node, with its log and pid in the node's folder."""
    init = (node.folder / "init.pid").read_text().strip()
    _spawn(node, Path(program).stem, f"--mount=/proc/{init}/ns/mnt", _in_network(node), *_command(program), *args)


def _in_network(node: Node) -> str:
    return f"--net=/run/netns/{node.netns}"


def _spawn(node: Node, name: str, *nsenter: str | Path) -> None:
    """Start a process that holds none of our stdin, stdout and stderr: who called us may wait for their end."""
    entrances = cgroups.entrances(f"{node.cluster.cgroup}/daemons")
    with log_of(node, name).open("ab") as log:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _ENTER, name, *map(str, entrances), "--", "nsenter", *map(str, nsenter)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env=_environment(),
        )
    (node.folder / f"{name}.pid").write_text(f"{process.pid}\n")


def log_of(node: Node, name: str) -> Path:
    """Return the log of one of the node's programs."""
    return node.folder / f"{name}.log"


def until(condition: Callable[[], bool], *, seconds: float, node: Node, name: str) -> None:
    """Wait for the condition, or raise with the last words of the program that should have brought it about."""
    deadline = time.monotonic() + seconds
    while not condition():
        if not _is_alive(node, name):
            raise LocalkindError(f"{name} on {node.name} has ended; {_last_words(node, name)}")
        if time.monotonic() > deadline:
            raise LocalkindError(f"{name} on {node.name} was not ready in {seconds:.0f} s; {_last_words(node, name)}")
        time.sleep(POLL_SECONDS)


def _is_alive(node: Node, name: str) -> bool:
    pid = int((node.folder / f"{name}.pid").read_text())
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:  # waited for before
        return False


def _last_words(node: Node, name: str) -> str:
    lines = log_of(node, name).read_text(errors="replace").splitlines()
    return f"its log {log_of(node, name)} ends: {' | '.join(lines[-LOG_LINES_SHOWN:]) or 'nothing'}"


def _command(program: str | Path) -> list[str]:
    if Path(program).suffix == ".py":
        return [sys.executable, "-I", str(program)]  # -I: our own folder must not shadow the standard library
    return [str(binaries.folder() / program)]


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(binaries.folder()), needs.search_path()])
    return {"PATH": path, "HOME": "/root", "PYTHONDONTWRITEBYTECODE": "1"}
