"""A cluster, asked through kubectl as a user would."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
TIMEOUT_SECONDS = 120


class Kube:
    """kubectl with one kubeconfig. path: a PATH on which the same kubectl comes first."""

    def __init__(self, kubectl: Path, kubeconfig: Path) -> None:
        self.kubectl, self.kubeconfig = kubectl, kubeconfig
        self.path = f"{kubectl.parent}{os.pathsep}{os.environ['PATH']}"

    def __call__(self, *args: str, input: str | None = None) -> str:  # noqa: A002 - as subprocess calls it
        """Return what kubectl printed; a failure fails the test with kubectl's own words."""
        done = self._run(args, input)
        if done.returncode:
            raise AssertionError(f"kubectl {' '.join(args)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def try_(self, *args: str, input: str | None = None) -> str | None:  # noqa: A002
        """Return what kubectl printed, or None where it failed."""
        done = self._run(args, input)
        return None if done.returncode else done.stdout

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start kubectl and return at once, for what runs until it is ended: port-forward, logs --follow."""
        return subprocess.Popen(self._command(args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def get(self, kind: str, *args: str, namespace: str | None = None) -> dict:
        """Return one object by its name, or the list of all."""
        place = ("--namespace", namespace) if namespace else ()
        return json.loads(self("get", kind, *args, *place, "--output=json"))

    def raw(self, path: str) -> str:
        """Return what the API server answers at a path."""
        return self("get", "--raw", path)

    def apply(self, *objects: dict) -> None:
        """Apply objects that a test holds as values."""
        self("apply", "--filename=-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def wait_until(
        self,
        condition: Callable[[], T],
        seconds: float,
        what: str,
        *,
        told: Callable[[], str] | None = None,
        every_seconds: float = 0.25,
    ) -> T:
        """Return the condition's first true answer. told: what to show beside `what` when there is none in time."""
        deadline = time.monotonic() + seconds
        while not (answer := condition()):
            if time.monotonic() > deadline:
                seen = f"; seen last: {told()}" if told else ""
                raise AssertionError(f"waited {seconds:.0f} s for {what}{seen}")
            time.sleep(every_seconds)
        return answer

    def _run(self, args: tuple[str, ...], stdin: str | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(args), input=stdin or "", capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )

    def _command(self, args: tuple[str, ...]) -> list[str]:
        return [str(self.kubectl), f"--kubeconfig={self.kubeconfig}", *args]
