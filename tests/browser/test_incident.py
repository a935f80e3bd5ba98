"""An incident's page reads as a story from fault to healed, of a real decoy that recovery mends by itself."""

import re
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from api_process import an_api
from playwright.sync_api import expect
from stack import Stack, until
from stores import TICK_MS, a_fleet, an_instance

from jobs.health.model import ProbeOutcome
from jobs.health.recovery import Action, Hold, Plan
from jobs.store import reader
from jobs.store.connection import transaction
from jobs.store.plans import put_plans

pytestmark = [pytest.mark.browser, pytest.mark.timeout(280)]

REFUSED = {"instance-0": ProbeOutcome.REFUSED}


# An incident closes after three good ticks.
SOON = "boot_grace_seconds = 1\nincident_close_ticks = 2\nincident_close_window = 3\nincident_hold_down_ticks = 3\n"


@pytest.mark.decoy
def test_the_story_of_a_real_fault_reads_from_opening_to_close(open_page, keep_picture, grave_faults):
    with (
        tempfile.TemporaryDirectory(prefix="loco-") as directory,
        Stack(Path(directory) / "decoys", ["told"], can_act=True, policy=SOON) as stack,
    ):
        stack.wait_healthy(90)
        stack.decoy("fault", "mute", "--id", "told")
        found = until(lambda: stack.get("/api/incidents"), 90, "an incident to open", told=stack.told)
        page = open_page(f"{stack.url}/incidents")
        page.get_by_role("link", name=found[0]["id"]).click()
        story = page.locator(".story")
        expect(story).to_contain_text("AudioMuted")

        # The rest appears by itself, on the page that is open.
        expect(story.get_by_role("heading", name="The proof: healed")).to_be_visible(timeout=120_000)
        expect(story.get_by_role("heading", name="Closed")).to_be_visible(timeout=120_000)
        headings = story.get_by_role("heading").all_inner_texts()
        keep_picture(page, "incident-story", is_whole=True)

        assert "Opened" == headings[0]
        assert "Closed" == headings[-1]
        wanted = ("Attempt 1: reset-audio", "The act: reset-audio", "The proof: healed")
        assert list(wanted) == [one for one in headings if one in wanted]
        assert "Planned" in headings[: headings.index(wanted[0])]
        for picture in page.locator(".pictures img").all():
            assert picture.evaluate("async (image) => { await image.decode(); return image.naturalWidth }") > 0
        assert ["before", "after"] == page.locator(".pictures figcaption b").all_inner_texts()
        expect(page.locator(".story .after").first).to_have_text(re.compile(r"^[0-9.]+ (ms|s|min .*) after that$"))
        page.get_by_text("What was seen right before the act").click()
        page.get_by_text("what only the agent sees").click()
        expect(page.locator("pre").filter(has_text='"interfaces"')).to_be_visible()
        assert [] == grave_faults(page)
        page.close()  # before its source is ended


@contextmanager
def a_troubled_fleet(tmp_path, incidents=1):
    """Yield the address of an API over a store with closed incidents and one that is open, and their ids."""
    ticks = incidents * 25 + 8
    start_ms = int(time.time() * 1000) - (ticks + 1) * TICK_MS
    with a_fleet(tmp_path / "loco.db", [an_instance(), an_instance(1)], at_ms=start_ms) as fleet:
        for _ in range(incidents):
            fleet.ticks(5, REFUSED)
            fleet.ticks(20)
        fleet.ticks(8, REFUSED)
        ids = [one.id for one in reader.incidents(fleet.connection)]
        with an_api(tmp_path / "loco.db") as api:
            yield f"http://127.0.0.1:{api.port}", ids


@pytest.mark.parametrize("what", ["list", "story"])
def test_no_grave_fault_for_people_who_see_or_hear_it_otherwise(tmp_path, open_page, grave_faults, keep_picture, what):
    with a_troubled_fleet(tmp_path) as (url, ids):
        address = f"{url}/incidents" if what == "list" else f"{url}/incidents/{ids[-1]}"
        for width, scheme in ((360, "dark"), (1280, "light"), (360, "light"), (1280, "dark")):
            page = open_page(address, width=width, color_scheme=scheme)
            keep_picture(page, f"incident-{what}-{width}-{scheme}", is_whole=True)

            assert [] == grave_faults(page)
            assert width >= page.evaluate("document.documentElement.scrollWidth")
            page.close()  # before its source is ended


def test_the_list_has_open_ones_first_and_filters_by_state_and_instance(tmp_path, open_page):
    with a_troubled_fleet(tmp_path) as (url, ids):
        page = open_page(f"{url}/incidents", expects=("a status of 404",))
        rows = page.locator("tr[data-id]")
        assert ids == [row.get_attribute("data-id") for row in rows.all()]
        assert ["Open", "Closed"] == page.get_by_role("heading", level=2).all_inner_texts()

        page.get_by_role("link", name="closed", exact=True).click()
        expect(page.get_by_role("heading", level=2)).to_have_text(["Closed"])
        expect(rows).to_have_count(1)
        page.get_by_label("Instance").fill("instance-1")
        page.keyboard.press("Enter")
        expect(page.locator(".panel")).to_contain_text("none")
        page.get_by_label("Instance").fill("instance-9")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("main")).to_contain_text("No instance is called 'instance-9'.")
        page.close()  # before its source is ended


def test_what_a_hold_waits_for_is_told_as_ahead_and_once_it_has_come_as_past(tmp_path, open_page):
    now_ms = int(time.time() * 1000)
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=now_ms - 4 * TICK_MS) as fleet:
        fleet.ticks(3, REFUSED)
        (one,) = reader.incidents(fleet.connection)
        told = {"action": Action.RESTART_QEMU, "hold": Hold.COOL_DOWN, "detail": "it was acted on"}
        plan = Plan(incident=one.id, key=one.key, decided_at_ms=now_ms, until_ms=now_ms + 600_000, **told)
        with transaction(fleet.connection):
            put_plans(fleet.connection, [plan])
        with an_api(tmp_path / "loco.db") as api:
            page = open_page(f"http://127.0.0.1:{api.port}/incidents/{one.id}")

            ahead = re.compile(r"^[\d-]{10} [\d:]{8} UTC in (10|9) min$")
            expect(page.locator(".step.next .when")).to_have_text(ahead)
            spans = "[['in ', -20000], ['in ', 0], ['in ', 5000], ['observed ', -1000]]"
            words = page.evaluate(f"{spans}.map(([lead, ms]) => ageInWords(lead, ms))")
            assert ["in 20 s", "0 s ago", "5 s ago", "observed 0 s ago"] == words
            page.close()  # before its source is ended


def test_an_incident_that_is_not_there_is_one_sentence_in_a_page(tmp_path, open_page):
    with a_troubled_fleet(tmp_path) as (url, _):
        page = open_page(f"{url}/incidents/nope", expects=("a status of 404",))

        expect(page.locator("main")).to_contain_text("No incident has the id 'nope'.")
        page.close()  # before its source is ended
