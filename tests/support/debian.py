"""Debian's programs that scripts/setup unpacks for the tests."""

import os
import shutil
from pathlib import Path

import pytest

UNPACKED = Path(__file__).parents[2] / ".venv/debian/usr"


def tool(name: str) -> str:
    """Return a program's path; without it the test is skipped, or fails in CI."""
    if found := shutil.which(name) or shutil.which(name, path=UNPACKED / "bin"):
        return found
    reason = f"no {name} on PATH; `make test` sets Debian's up"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
