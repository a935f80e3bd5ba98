"""A real Chromium, Debian's own, driven by Playwright; what a page may never do is asserted after each test."""

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

CHROMIUM = shutil.which("chromium")

ARGUMENTS = (
    "--no-sandbox",  # the tests run as root
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

# chosen: a machine that does other things too is slow, and nothing fails before it has come true.
expect.set_options(timeout=20_000)

# What a test saw, to be looked at by people; not in git.
PICTURES = Path(__file__).parent / "pictures"


def pytest_collection_modifyitems(items):
    """Skip what needs a browser or a decoy where there is none, except where nothing may be skipped."""
    lacks = [name for name in ("qemu-system-x86_64", "pulseaudio", "ip") if shutil.which(name) is None]
    lacks += [] if os.geteuid() == 0 else ["root"]
    for item in items:
        if item.path.parent != Path(__file__).parent or os.environ.get("CI"):
            continue
        if CHROMIUM is None:
            item.add_marker(pytest.mark.skip(reason="chromium isn't on PATH"))
        elif lacks and item.get_closest_marker("decoy"):
            item.add_marker(pytest.mark.skip(reason=f"a decoy needs {', '.join(lacks)}"))


@pytest.fixture(scope="session")
def chromium():
    """Return a browser for the whole session."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Return a function that opens an address in a context of its own; options: of Playwright's context.

    prefix: a path below which a proxy shows all that is at `/`, as the API server's does for a Service.
    After the test: no error stood in any console but those that hold one of the texts in `expects`, which the test
    causes itself; no request went elsewhere.
    """
    contexts, complaints = [], []

    def open_it(url, *, width=1280, height=800, expects=(), prefix="", **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        address = urlsplit(url)
        origin = address.netloc + prefix
        if prefix:
            context.route("**", lambda route: route.continue_(url=route.request.url.replace(prefix, "", 1)))

        def complain(text):
            if not any(expected in text for expected in expects):
                complaints.append(text)

        context.on("request", lambda one: complain(f"asked for {one.url}") if _is_outside(one.url, origin) else None)
        page = context.new_page()
        page.on("console", lambda one: complain(f"console: {one.text}") if one.type == "error" else None)
        page.on("pageerror", lambda error: complain(f"error: {error}"))
        page.goto(address._replace(path=prefix + (address.path or "/")).geturl())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert [] == complaints


@pytest.fixture
def keep_picture():
    """Return a function that keeps a picture of a page under a name."""

    def keep(page, name, *, is_whole=False):
        PICTURES.mkdir(exist_ok=True)
        page.screenshot(path=PICTURES / f"{name}.png", full_page=is_whole)

    return keep


@pytest.fixture
def grave_faults():
    """Return a function that tells what axe-core finds serious or critical on a page."""

    def look(page):
        found = Axe().run(page).response["violations"]
        return [
            f"{one['impact']} {one['id']}: {node['html']}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]

    return look


def _is_outside(url, origin):
    return not url.startswith(("data:", "blob:")) and not f"{url.partition('//')[2]}/".startswith(f"{origin}/")
