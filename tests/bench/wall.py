"""The wall of 1,000 instances in Chromium: first paint, weight, and the longest task while one scrolls through it."""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from api_process import an_api
from browser_tasks import busiest_ms
from large_fleet import a_large_fleet
from playwright.sync_api import sync_playwright

INSTANCES = 1000
LOADS = 7
CARDS = 240

LOADED = """
const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
const own = all.filter((entry) => entry.initiatorType !== "fetch");
const pictures = own.filter((entry) => entry.name.includes("screen.png"));
const sum = (entries) => entries.reduce((total, entry) => total + entry.transferSize, 0);
return {
  paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
  requests: own.length - pictures.length,
  bytes: sum(own) - sum(pictures),
  pictures: pictures.length,
  pictureBytes: sum(pictures),
};
"""


def load(browser, url):
    """Return what one first load in a context of its own takes."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(url)
    page.wait_for_load_state("networkidle")
    found = page.evaluate(f"(() => {{{LOADED}}})()")
    page.context.close()
    return found


def scroll(browser, url, fleet):
    """Return the longest task, in ms of CPU, while cards come into view and the fleet ticks every second portion."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(url)
    cards = page.locator(".card")
    with busiest_ms(page) as busiest:
        while (count := cards.count()) < CARDS:
            if count % 48 == 0:
                fleet.tick()
            page.mouse.wheel(0, 5000)
            cards.nth(count).wait_for(state="attached")
        time.sleep(5)  # two more answers of the page, and of the portions in sight
    page.context.close()
    return busiest[0]


def main() -> None:
    """Print rows for the README."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("| the wall in a browser | not measured | chromium isn't on PATH |")
        return
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        store = Path(directory) / "loco.db"
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        with a_large_fleet(store, INSTANCES) as fleet, an_api(store) as api:
            url = f"http://127.0.0.1:{api.port}/"
            first, *rest = [load(browser, url) for _ in range(LOADS)]
            longest_ms = scroll(browser, url, fleet)
        browser.close()
    paint_ms = statistics.median(one["paint"] for one in rest)
    print(
        f"| first paint of the wall of {INSTANCES} instances | {paint_ms / 1000:.2f} s | median of {len(rest)};"
        f" {first['paint'] / 1000:.2f} s right after the API's start |"
    )
    print(
        f"| its first load | {first['bytes'] / 1000:.0f} kB, {first['requests']} requests |"
        f" and {first['pictures']} pictures in sight, {first['pictureBytes'] / 1000:.0f} kB |"
    )
    print(
        f"| longest task while {CARDS} of its cards are scrolled through | {longest_ms:.0f} ms CPU | while it ticks |"
    )


if __name__ == "__main__":
    main()
