"""The door of one machine: whoever can read the token's file may ask, and a child process does it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from api.asked import Made, Way, WayKind
from api.auth import bearer, refuse_foreign
from api.problem import Problem, ProblemReason, forbidden, unauthorized, unavailable
from jobs.health.model import Instance
from jobs.holder import name_of

TOKEN_BYTES = 32

# chosen: each is a Python of 40 MiB; who needs more at once has a fleet, and the brake would hold it.
MAX_CHILDREN = 4

_REFRESH = "refresh"


class LocalDoor:
    """Start children of this process for a caller who has the token of this start. options: of each recovery."""

    def __init__(
        self, store: Path, token: str, *, token_file: Path, instances: Path | None, options: tuple[str, ...] = ()
    ) -> None:
        self._store = store
        self._token = token
        self._token_file = token_file
        self._instances = instances
        self._options = options
        self._lock = threading.Lock()
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def way(self) -> Way:
        """Return where the token of this start is kept."""
        return Way(WayKind.LOCAL, str(self._token_file))

    def admit(self, environ: Mapping[str, Any]) -> str:
        """Return the caller's token, which is this start's. Raises: Problem."""
        refuse_foreign(environ)
        how = f"send `Authorization: Bearer` with the token in {self._token_file}; nothing was started"
        token = bearer(environ, how=how)
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            raise unauthorized(ProblemReason.CREDENTIALS_REFUSED, f"the token isn't that of this start; {how}")
        return token

    def recover(self, token: str, instance: Instance, *, is_forced: bool) -> Made:  # noqa: ARG002 - the door's signature
        """Start `recover` for one instance. Raises: Problem."""
        words = ["recover", "--instance", instance.public_id, *self._options]
        words += ["--force"] if is_forced else []
        return self._start(instance.key, words)

    def rehearse(self, token: str, instance: Instance, *, is_forced: bool) -> Made:  # noqa: ARG002 - as above
        """Find out whether `recover` would be let start a process now. Raises: Problem."""
        with self._lock:
            self._check_room(instance.key)
        return Made("")

    def refresh(self, token: str) -> Made:  # noqa: ARG002 - the door's signature
        """Ask `discover` for one tick. Raises: Problem."""
        if self._instances is None:
            raise forbidden(
                ProblemReason.ASKING_IS_OFF, "this API was given no LOCO_INSTANCES to look at; nothing was started"
            )
        return self._start(_REFRESH, ["discover", "--instances", str(self._instances), "--window", "0"])

    def _start(self, what: str, words: list[str]) -> Made:
        """Start `python -m jobs`, one child for each thing that is asked; it outlives this process."""
        with self._lock:
            self._check_room(what)
            try:
                child = subprocess.Popen(
                    (sys.executable, "-m", "jobs", *words, "--store", str(self._store)),
                    stdin=subprocess.DEVNULL,
                    stdout=sys.stderr,  # it says there what it did; our own stdout may be somebody's data
                    start_new_session=True,
                )
            except OSError as error:
                raise unavailable(ProblemReason.BUSY, f"no process can be started: {error}") from error
            self._children[what] = child
            return Made(name_of(child.pid))

    def _check_room(self, what: str) -> None:
        """Raise Problem where one more child may not be started for this; the caller holds the lock."""
        self._children = {name: child for name, child in self._children.items() if child.poll() is None}
        if what in self._children:
            raise Problem(
                HTTPStatus.CONFLICT,
                ProblemReason.STILL_RUNNING,
                f"process {self._children[what].pid} does it already; nothing was started",
            )
        if len(self._children) >= MAX_CHILDREN:
            raise unavailable(
                ProblemReason.BUSY,
                f"{MAX_CHILDREN} processes that were asked for still run, as many as may; nothing was started",
            )


def keep_token(path: Path) -> str:
    """Return a new token, and keep it in a file that only this user can read. Raises: OSError."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    fresh = path.with_name(f".{path.name}-{os.getpid()}")
    with suppress(FileNotFoundError):
        fresh.unlink()
    # O_EXCL follows no link that somebody laid here.
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{token}\n")
    fresh.replace(path)
    return token
