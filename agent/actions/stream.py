"""`restart-stream` and `lower-quality`: what the emulator's image names for it, a command or a URL.

The agent doesn't know the stream, so whether it came back is not for it to say; the browsers' statistics will.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
from collections.abc import Callable
from typing import BinaryIO
from urllib.parse import urlsplit

from agent.actions.act import ActFailed, Done, Work
from agent.actions.scene import Scene
from agent.report import HealthReport
from agent.settings import Settings

# chosen: what a command complains of fits in a line.
_SAID_CHARACTERS = 200
# chosen: what is kept of it, however much it is; what doesn't fit is refused as it is written.
_SAID_BYTES = 65_536

Setting = Callable[[Settings], str]


def why_not(setting: Setting, name: str) -> Callable[[Scene, HealthReport], str | None]:
    """Return the question why there is nothing to call."""

    def ask(scene: Scene, _report: HealthReport) -> str | None:
        return None if setting(scene.settings) else f"the emulator's image names nothing for it ({name})"

    return ask


def perform(setting: Setting) -> Callable[[Scene, Work], Done]:
    """Return the act that calls what a setting names."""

    def call(scene: Scene, work: Work) -> Done:
        named = setting(scene.settings)
        return _post(named, work) if named.startswith("http://") else _run(named, work)

    return call


def _run(line: str, work: Work) -> Done:
    """Run a command without a shell. Raises: ActFailed."""
    with _stderr() as stderr:
        try:
            done = subprocess.run(
                shlex.split(line),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                timeout=work.seconds_left,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ActFailed("the command was killed, as it was not done by the deadline") from error
        except (OSError, ValueError) as error:
            raise ActFailed(f"the command can't be run: {error}") from error
        work.note(f"the command ended with exit code {done.returncode}")
        if done.returncode:
            said = " ".join(os.pread(stderr.fileno(), _SAID_BYTES, 0).rstrip(b"\0").decode(errors="replace").split())
            why = said[-_SAID_CHARACTERS:].strip() or "it said nothing"
            raise ActFailed(f"the command ended with exit code {done.returncode}: {why}")
    return Done(held=None, detail="the command is done; what it did to the stream can't be measured here")


def _stderr() -> BinaryIO:
    """Return a file in memory that never grows.

    No pipe: a stream that the command leaves running would hold it open, and end of its first word after the act.
    """
    fd = os.memfd_create("stderr", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, _SAID_BYTES)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
    return os.fdopen(fd, "r+b")


def _post(url: str, work: Work) -> Done:
    """POST to a URL without a body. Raises: ActFailed."""
    import http.client  # noqa: PLC0415 - 2 MiB that an instance without a stream need not pay

    place = urlsplit(url)
    path = (place.path or "/") + (f"?{place.query}" if place.query else "")
    try:
        client = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=work.seconds_left)
        client.request("POST", path, headers={"Content-Length": "0", "Connection": "close"})
        status = client.getresponse().status
        client.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ActFailed(f"the URL doesn't answer: {error or type(error).__name__}") from error
    work.note(f"the URL answered {status}")
    if not 200 <= status < 300:
        raise ActFailed(f"the URL answered {status}")
    return Done(held=None, detail="the URL has taken it; what it did to the stream can't be measured here")
