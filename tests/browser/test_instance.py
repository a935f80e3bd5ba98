"""An instance's page in a real browser: complete without script, alive with it, on any screen, for anybody."""

import time
from contextlib import contextmanager

import msgspec
import pytest
from api_process import an_api
from full_report import a_full_report
from large_fleet import a_screen
from playwright.sync_api import expect
from stores import TICK_MS, a_fleet, an_instance

pytestmark = pytest.mark.browser

# Names of the tables of which a part is out of sight.
HIDES = "(all) => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.ariaLabel)"

MISSING = "the server responded with a status of 404"


def a_deaf_report(sequence):
    """Return a report of a muted sink whose network can't be measured."""
    report = a_full_report(sequence=sequence)
    return msgspec.structs.replace(
        report,
        audio=msgspec.structs.replace(report.audio, muted=True),
        network=msgspec.structs.replace(report.network, tap_up=None, error="no interface tap0"),
    )


@contextmanager
def one(tmp_path, ticks=60):
    """Yield a fleet of one that was healthy for a while, and the address of its page."""
    start_ms = int(time.time() * 1000) - (ticks + 1) * TICK_MS
    with a_fleet(tmp_path / "loco.db", [an_instance(name="Old Mill")], at_ms=start_ms) as fleet:
        fleet.ticks(ticks)
        fleet.picture("instance-0", a_screen(1, 256, 160))
        with an_api(tmp_path / "loco.db") as api:
            yield fleet, f"http://127.0.0.1:{api.port}/instances/instance-0"


def tick_now(fleet, answers=None):
    """Write a tick whose time is now."""
    fleet.at_ms = int(time.time() * 1000) - TICK_MS
    fleet.ticks(1, answers)


def test_it_says_everything_without_script(tmp_path, open_page, keep_picture):
    with one(tmp_path) as (fleet, url):
        tick_now(fleet, {"instance-0": a_deaf_report(61)})
        page = open_page(url, java_script_enabled=False)
        keep_picture(page, "instance-without-script", is_whole=True)

        expect(page.get_by_role("heading", level=1)).to_have_text("Old Mill")
        expect(page.locator(".top .verdict")).to_contain_text("degraded class qemu")
        expect(page.locator("#why")).to_contain_text("AudioMuted")
        expect(page.locator("#why [aria-label=Witnesses]")).to_contain_text("a viewer gets in after 4.0 ms")
        expect(page.locator("#network")).to_contain_text("Not measured: no interface tap0")
        expect(page.locator("#performance")).to_contain_text("% of a core")
        for name in ("Healthy ticks", "Frame rate", "Sound level", "CPU of QEMU", "Handshake from outside"):
            expect(page.get_by_role("img", name=f"{name} of Old Mill")).to_be_visible()
        expect(page.locator("#changes")).to_contain_text("AudioMuted")
        expect(page.locator("#commands")).to_contain_text("curl -s http://10.55.0.2:8080/health")
        page.close()  # before its source is ended


def test_news_appear_without_a_reload_and_what_was_folded_open_stays(tmp_path, open_page, keep_picture):
    with one(tmp_path) as (fleet, url):
        tick_now(fleet)
        page = open_page(url)
        page.evaluate("window.isTheSamePage = true")
        expect(page.locator("#why")).not_to_contain_text("AudioMuted")
        tick_now(fleet, {"instance-0": a_deaf_report(90)})

        expect(page.locator("#why")).to_contain_text("AudioMuted", timeout=10_000)
        expect(page.locator(".top .verdict")).to_contain_text("degraded")
        assert page.evaluate("window.isTheSamePage")
        keep_picture(page, "instance-light", is_whole=True)
        page.close()  # before its source is ended


def test_each_span_has_an_address_of_its_own(tmp_path, open_page):
    with one(tmp_path) as (_, url):
        page = open_page(url)
        for words, span in (("last 24 hours", "day"), ("last 30 days", "month"), ("last hour", "hour")):
            page.get_by_role("link", name=words).click()
            page.wait_for_url(f"{url}?span={span}")
            expect(page.locator(".spans [aria-current]")).to_have_text(words)
        page.close()  # before its source is ended


def test_an_instance_or_a_span_that_isnt_there_is_one_sentence_in_a_page(tmp_path, open_page):
    with one(tmp_path) as (_, url):
        page = open_page(url.replace("instance-0", "instance-7"), expects=(MISSING, "a status of 400"))
        expect(page.locator("main")).to_contain_text("No instance is called 'instance-7'.")
        page.goto(f"{url}?span=week")
        expect(page.locator("main")).to_contain_text("Query parameter span is 'week'; allowed are hour, day, month.")
        page.close()  # before its source is ended


def test_no_grave_fault_for_people_who_see_or_hear_it_otherwise(tmp_path, open_page, grave_faults, keep_picture):
    with one(tmp_path) as (fleet, url):
        tick_now(fleet, {"instance-0": a_deaf_report(61)})
        for width, scheme in ((360, "dark"), (1280, "light"), (360, "light"), (1280, "dark")):
            page = open_page(url, width=width, color_scheme=scheme)
            keep_picture(page, f"instance-{width}-{scheme}", is_whole=True)

            assert [] == grave_faults(page)
            assert width >= page.evaluate("document.documentElement.scrollWidth")
            assert [] == page.locator(".wide" if width > 400 else ".reason .wide").evaluate_all(HIDES)
            page.close()  # before its source is ended
