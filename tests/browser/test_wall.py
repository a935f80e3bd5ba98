"""The wall in a real browser: it follows its source, and what people do to it stays."""

import re
import time
from dataclasses import replace

import msgspec
import pytest
from api_process import an_api
from full_report import a_full_report
from large_fleet import a_screen
from playwright.sync_api import expect
from stores import TICK_MS, a_fleet, an_instance

from jobs.health.model import Pod, ProbeOutcome

pytestmark = pytest.mark.browser

REFUSED = ProbeOutcome.REFUSED

# What has the keyboard, by its name or its words; empty for the page itself.
FOCUSED = """
(({localName, name, textContent}) => localName === "body" ? "" : name || textContent.trim().replace(/\\s+/g, " "))
(document.activeElement)
"""


def muted(sequence):
    """Return a report that is degraded, class qemu."""
    report = a_full_report(sequence=sequence)
    return msgspec.structs.replace(report, audio=msgspec.structs.replace(report.audio, muted=True))


def broken(sequence):
    """Return a report with more reasons than a card shows at once."""
    report = muted(sequence)
    network = msgspec.structs.replace(report.network, tap_up=False, bridge_up=False)
    video = msgspec.structs.replace(report.video, vnc_available=False, display_active=False)
    return msgspec.structs.replace(report, network=network, video=video)


def on_node(instance, node):
    """Return the instance as a pod on a node."""
    pod = Pod(namespace="loco", name=instance.public_id, phase="Running", is_ready=True, node=node)
    return replace(instance, pod=pod)


@pytest.fixture
def three(tmp_path):
    """Yield a fleet of three, healthy so far, the address of its wall and its API.

    A test asks for it before `open_page`, so that no page outlives its source.
    """
    instances = [
        on_node(an_instance(0, name="Sunny Harbour"), "worker-a"),
        on_node(an_instance(1, name="Old Mill"), "worker-b"),
        on_node(an_instance(2, name="Station North"), "worker-a"),
    ]
    start_ms = int(time.time() * 1000) - 61 * TICK_MS
    with a_fleet(tmp_path / "loco.db", instances, at_ms=start_ms) as fleet:
        fleet.ticks(60)
        for number, instance in enumerate(instances):
            fleet.picture(instance.public_id, a_screen(number, 256, 160))
        with an_api(tmp_path / "loco.db") as api:
            yield fleet, f"http://127.0.0.1:{api.port}/", api


def tick_now(fleet, answers=None):
    """Write a tick whose time is now."""
    fleet.at_ms = int(time.time() * 1000) - TICK_MS
    fleet.ticks(1, answers)


def names(page):
    """Return the names on the cards, in order."""
    return page.locator(".card h2").all_inner_texts()


def test_a_card_tells_all_that_is_known_of_an_instance(three, open_page, keep_picture):
    fleet, url, _ = three
    tick_now(fleet, {"instance-1": muted(61)})
    page = open_page(url)
    card = page.locator("[data-id=instance-1].card")
    keep_picture(page, "wall-3-light")

    expect(card.locator(".verdict")).to_contain_text("degraded qemu for ")
    expect(card.get_by_role("link", name="Old Mill")).to_have_attribute("href", "instances/instance-1")
    expect(card.locator(".id")).to_have_text("instance-1 · worker-b")
    expect(card.locator(".reasons")).to_contain_text("AudioMuted")
    expect(card.get_by_role("img", name="Screen of Old Mill")).to_be_visible()
    expect(card.get_by_role("img", name="Frames a second in the last hour")).to_be_visible()
    expect(card.get_by_role("img", name="Sound level in the last hour")).to_be_visible()
    expect(card.get_by_role("img", name="Verdicts of the last 24 hours: degraded at worst")).to_be_visible()
    assert ["sessions", "frames", "sound"] == card.locator("dt").all_inner_texts()
    expect(card.locator(".uptimes li")).to_have_text([re.compile(r"since .* %")])  # found 15 minutes ago


def test_a_fault_appears_without_a_reload_seconds_after_the_store_knows_it(three, open_page):
    fleet, url, _ = three
    tick_now(fleet)
    page = open_page(url)
    expect(page.get_by_role("heading", level=1)).to_have_text("all 3 healthy")
    page.evaluate("window.isTheSamePage = true")
    tick_now(fleet, {"instance-2": muted(62)})
    known = time.monotonic()
    expect(page.locator("[data-id=instance-2].card.degraded")).to_be_visible(timeout=10_000)
    print(f"a fault is on the page {time.monotonic() - known:.1f} s after the store knows it; promised are 3 s")

    assert "Station North" == names(page)[0]
    assert page.evaluate("window.isTheSamePage")
    expect(page).to_have_title("1 of 3 not healthy · loco-health")


def test_what_people_did_survives_news(three, open_page):
    fleet, url, _ = three
    tick_now(fleet, {"instance-0": broken(61)})
    page = open_page(url, height=300)
    page.locator("[data-id=instance-0] summary").click()
    page.locator("[data-id=instance-1] h2 a").focus()
    page.evaluate("window.image = document.querySelector('[data-id=instance-1] img')")
    scrolled = page.evaluate("scrollTo(0, 150); scrollY")
    for _ in range(3):
        tick_now(fleet, {"instance-0": broken(fleet.tick + 1), "instance-1": REFUSED})
    expect(page.locator("[data-id=instance-1].card")).not_to_have_class("card healthy")

    assert "Old Mill" == page.evaluate("document.activeElement.textContent")
    assert page.evaluate("window.image === document.querySelector('[data-id=instance-1] img')")
    assert page.evaluate("document.querySelector('[data-id=instance-0] details').open")
    assert scrolled == page.evaluate("scrollY")


def test_filters_work_live_and_the_address_can_be_shared(three, open_page):
    fleet, url, _ = three
    tick_now(fleet, {"instance-1": muted(61)})
    page = open_page(url)
    page.evaluate("window.isTheSamePage = true")
    page.get_by_role("searchbox").fill("harbour")
    expect(page.locator(".card")).to_have_count(1)
    expect(page).to_have_url(url + "?search=harbour")
    page.get_by_role("searchbox").fill("")
    expect(page.locator(".card")).to_have_count(3)
    page.get_by_label("Node").select_option("worker-a")
    expect(page.locator(".card")).to_have_count(2)
    page.get_by_label("Verdict").select_option("sick")
    expect(page.locator(".found")).to_have_text("0 of 3 instances match.")
    page.get_by_role("link", name="show all").press("Enter")
    expect(page.locator(".card")).to_have_count(3)
    expect(page.locator(".clear")).to_have_count(0)
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.get_by_role("link", name="1 degraded").click()
    expect(page).to_have_url(url + "?verdict=degraded")

    assert page.evaluate("window.isTheSamePage")
    assert "degraded" == page.get_by_label("Verdict").input_value()
    shared = open_page(page.url)
    assert ["Old Mill"] == names(shared)


def test_filters_work_without_script(three, open_page):
    fleet, url, _ = three
    tick_now(fleet, {"instance-1": muted(61)})
    page = open_page(url, java_script_enabled=False)
    before = page.locator(".card img").count()
    page.get_by_role("searchbox").fill("NORTH")
    page.get_by_role("button", name="Show").click()

    assert 3 == before
    assert ["Station North"] == names(page)
    page.get_by_role("link", name="show all").click()
    page.get_by_role("link", name="1 degraded").click()
    assert ["Old Mill"] == names(page)


def test_a_bad_query_is_one_sentence_with_and_without_script(three, open_page):
    _, url, _ = three
    for script in (True, False):
        page = open_page(url + "?verdict=bad", java_script_enabled=script, expects=("400",))

        expect(page.get_by_role("heading", level=1)).to_have_text("Bad Request")
        expect(page.locator("main")).to_contain_text("Query parameter verdict is 'bad'; allowed are all, sick")
        page.get_by_role("link", name="All instances").click()
        expect(page.locator(".card")).to_have_count(3)


def test_a_page_that_lost_its_source_turns_loud_and_calms_down(three, tmp_path, open_page, keep_picture):
    fleet, url, api = three
    tick_now(fleet)
    page = open_page(url, expects=("net::ERR_",), timezone_id="Asia/Tokyo")
    expect(page.locator(".clock b")).to_have_text("live")
    hours = {time.gmtime().tm_hour}
    api.process.kill()
    expect(page.get_by_role("alert")).to_contain_text("This page has lost its source.")
    hours.add(time.gmtime().tm_hour)
    keep_picture(page, "wall-lost")
    true_at = re.search(r"It was true at (\d\d):\d\d:\d\d UTC\.", page.get_by_role("alert").inner_text())

    assert int(true_at[1]) in hours
    expect(page.locator(".clock.loud b")).to_have_text("no answer")
    expect(page).to_have_title("no live data · loco-health")
    api.process.wait(10)
    with an_api(tmp_path / "loco.db", port=api.port):
        tick_now(fleet)
        expect(page.locator(".clock b")).to_have_text("live")
        expect(page).to_have_title("all 3 healthy · loco-health")


def test_a_collector_that_stops_turns_the_clock_loud(three, open_page, keep_picture):
    fleet, url, _ = three
    fleet.at_ms = int(time.time() * 1000) - TICK_MS - 40_000
    fleet.ticks(1)
    page = open_page(url)
    expect(page.locator(".clock.loud b")).to_have_text("nobody is watching")
    keep_picture(page, "wall-silent")

    expect(page.get_by_role("alert")).to_contain_text("Nobody is watching")
    expect(page).to_have_title("no live data · loco-health")


def test_all_can_be_reached_with_the_keyboard_in_the_order_it_is_read(three, open_page):
    _, url, _ = three
    page = open_page(url)
    reached = []
    page.keyboard.press("Tab")
    while (told := page.evaluate(FOCUSED)) and len(reached) < 30:
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        reached.append((told, outline))
        page.keyboard.press("Tab")
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")

    assert [] == [told for told, outline in reached if outline == "none"]
    assert [
        "Skip to the content",
        "loco-health",
        "3 healthy",
        "search",
        "verdict",
        "class",
        "node",
        "Sunny Harbour",
        "Old Mill",
        "Station North",
        "incidents",
    ] == [told for told, _ in reached][:11]
    assert "search" == page.evaluate("document.activeElement.name")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_no_grave_fault_for_people_who_see_or_hear_it_otherwise(
    three, open_page, grave_faults, keep_picture, scheme, width
):
    fleet, url, _ = three
    for _ in range(4):
        tick_now(fleet, {"instance-0": REFUSED, "instance-1": muted(fleet.tick + 1)})
    page = open_page(url, width=width, color_scheme=scheme)
    page.wait_for_load_state("networkidle")
    keep_picture(page, f"wall-3-{scheme}-{width}", is_whole=True)

    assert [] == grave_faults(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_first_load_is_light_and_names_no_other_place(three, open_page):
    fleet, url, _ = three
    tick_now(fleet)
    page = open_page(url)
    page.wait_for_load_state("networkidle")
    loaded = page.evaluate(
        "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".filter((e) => e.initiatorType !== 'fetch').map((e) => [e.name, e.transferSize])"
    )
    addresses = page.eval_on_selector_all(
        "[src], [href]", "(all) => all.map((e) => e.getAttribute('src') || e.getAttribute('href'))"
    )
    print(len(loaded), "requests,", sum(size for _, size in loaded), "bytes")

    assert len(loaded) <= 10
    assert sum(size for _, size in loaded) <= 150_000
    assert [] == [one for one in addresses if one.startswith(("/", "http", "//")) or ":" in one]


def test_it_is_whole_and_alive_behind_the_proxy_of_an_api_server(three, open_page):
    fleet, url, _ = three
    tick_now(fleet)
    proxy = "/api/v1/namespaces/loco-health/services/http:loco-api:3000/proxy"
    page = open_page(url, prefix=proxy)
    expect(page.get_by_role("img", name="Screen of Old Mill")).to_have_js_property("naturalWidth", 256)
    page.get_by_role("searchbox").fill("mill")
    expect(page.locator(".card")).to_have_count(1)
    tick_now(fleet, {"instance-1": muted(62)})
    expect(page.locator("[data-id=instance-1].card.degraded")).to_be_visible()

    assert proxy + "/?search=mill" == page.evaluate("location.pathname + location.search")
