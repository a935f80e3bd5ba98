"""Python scripts run where they may mount what they like: in a mount namespace of their own, gone with them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_UNSHARE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]


def run_apart(script: str, *arguments: object, timeout_seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a script with the repository and tests/support importable; its arguments are in sys.argv[1:]."""
    if subprocess.run([*_UNSHARE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets us make no mount namespace")
    return subprocess.run(
        [*_UNSHARE, sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"},
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
