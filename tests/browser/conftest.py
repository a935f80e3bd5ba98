"""A real Chromium, Debian's own, driven by Playwright; what a page may never do is asserted after each test."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

CHROMIUM = shutil.which("chromium")

ARGUMENTS = (
    "--no-sandbox",  # the tests run as root
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def pytest_collection_modifyitems(items):
    """Skip what needs a browser where there is none, except where nothing may be skipped."""
    if CHROMIUM is None and not os.environ.get("CI"):
        for item in items:
            item.add_marker(pytest.mark.skip(reason="chromium isn't on PATH"))


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

    After the test: no error stood in any console, no request went elsewhere.
    """
    contexts, complaints = [], []

    def open_it(url, *, width=1280, height=800, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        origin = url.split("/", 3)[2]
        context.on(
            "request", lambda one: complaints.append(f"asked for {one.url}") if _is_outside(one.url, origin) else None
        )
        page = context.new_page()
        page.on("console", lambda one: complaints.append(f"console: {one.text}") if one.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.goto(url)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert [] == complaints


def _is_outside(url, origin):
    return not url.startswith(("data:", "blob:")) and url.split("/", 3)[2] != origin
