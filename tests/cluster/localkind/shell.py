"""Run a program to its end, or say in one sentence why it failed."""

import subprocess
from pathlib import Path

from localkind.errors import LocalkindError

TIMEOUT_SECONDS = 120.0


def run(
    *args: str | Path,
    stdin: str = "",
    timeout_seconds: float = TIMEOUT_SECONDS,
    environment: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Return what the program printed on stdout."""
    result = attempt(*args, stdin=stdin, timeout_seconds=timeout_seconds, environment=environment, cwd=cwd)
    if result.returncode:
        words = (result.stderr.strip() or result.stdout.strip() or "it printed nothing").splitlines()
        raise LocalkindError(f"`{_shown(args)}` ended with {result.returncode}: {' '.join(words[-3:])}")
    return result.stdout


def attempt(
    *args: str | Path,
    stdin: str = "",
    timeout_seconds: float = TIMEOUT_SECONDS,
    environment: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Return how the program ended, also when that was badly."""
    try:
        return subprocess.run(
            [str(arg) for arg in args],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env=environment,
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError:
        raise LocalkindError(f"`{args[0]}` is not on PATH, so `{_shown(args)}` was not run") from None
    except subprocess.TimeoutExpired:
        raise LocalkindError(f"`{_shown(args)}` gave no answer in {timeout_seconds:.0f} s and was ended") from None


def _shown(args: tuple[str | Path, ...]) -> str:
    words = " ".join(str(arg) for arg in args)
    return words if len(words) <= 120 else f"{words[:117]}..."
