"""Photograph a running demo for the README: all well, one ill, what was done about it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
URL = f"http://127.0.0.1:{os.environ.get('DEMO_PORT', '3000')}/"
ILL = "instance-1"

# chosen: long enough that the lines of the last hour are lines.
MINUTES_BEFORE = 15

# The fault is told within 35 s and mended within two minutes; a busy machine gets more.
PATIENCE_SECONDS = 240.0


def main() -> None:
    """Write the pictures."""
    wait("all to be healthy", lambda: verdicts() == {"healthy"}, PATIENCE_SECONDS)
    wait(f"{MINUTES_BEFORE} minutes of history", lambda: minutes() > MINUTES_BEFORE, MINUTES_BEFORE * 60 + 120)
    directory = json.loads((ROOT / ".demo" / "demo.json").read_text())["directory"]
    fault = ["-m", "agent", "decoy", "fault", "tap-down", "--id", ILL, "--dir", directory]
    subprocess.run([sys.executable, *fault], check=True, cwd=ROOT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        wait("the incident to be open", lambda: bool(incidents("open")), PATIENCE_SECONDS)
        photograph(browser, "", "fleet", scheme="light")
        photograph(browser, f"instances/{ILL}", "instance", scheme="light", height=700)
        photograph(browser, "", "fleet-dark", scheme="dark")
        photograph(browser, "", "fleet-narrow", scheme="light", width=360)
        wait("it to be mended", lambda: not incidents("open"), PATIENCE_SECONDS)
        photograph(browser, f"incidents/{incidents('all')[0]['id']}", "incident", scheme="light", height=1000)
        browser.close()


def photograph(
    browser: Browser, path: str, name: str, *, scheme: Literal["light", "dark"], width: int = 1280, height: int = 760
) -> None:
    """Write one picture, of what fits the window."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(URL + path)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / f"{name}.png")
    page.close()
    print(f"pictures: docs/images/{name}.png", flush=True)


def verdicts() -> set[str]:
    """Return every verdict that an instance has."""
    return {one["verdict"] for one in get("quality/deep-health").values()}


def minutes() -> int:
    """Return of how many minutes something is known."""
    return len(get(f"instances/{ILL}/history")["points"])


def incidents(state: str) -> list[dict[str, Any]]:
    """Return the incidents of the ill one, the newest first."""
    return get(f"incidents?state={state}&instance={ILL}")


def get(path: str) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Return what the API says."""
    with urllib.request.urlopen(f"{URL}api/{path}", timeout=10) as answer:  # noqa: S310 - http, see URL
        return json.load(answer)


def wait(what: str, is_so: Callable[[], bool], seconds: float) -> None:
    """Return once it is so; end the program when that takes too long. A refusal of the API is no yes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError):
            if is_so():
                return
        time.sleep(1)
    sys.exit(f"pictures: waited {seconds:.0f} s for {what}; the pictures that are written stay")


if __name__ == "__main__":
    main()
