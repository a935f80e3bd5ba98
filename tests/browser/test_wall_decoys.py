"""Three real decoys on the wall: their pictures move, and a real fault is there without a reload."""

import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import expect
from stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.decoy, pytest.mark.timeout(280)]

IDS = ["wall-0", "wall-1", "wall-2"]


def test_three_decoys_move_on_the_wall_and_a_fault_of_one_appears(open_page, keep_picture):
    with tempfile.TemporaryDirectory(prefix="loco-") as directory, Stack(Path(directory) / "decoys", IDS) as stack:
        stack.wait_healthy(90)
        page = open_page(stack.url)
        page.evaluate("window.isTheSamePage = true")
        for one in IDS:
            picture = page.locator(f"[data-id={one}] img")
            first = picture.get_attribute("src")
            expect(picture).not_to_have_attribute("src", first, timeout=60_000)
            expect(picture).to_have_js_property("complete", value=True)
            assert picture.evaluate("(image) => image.naturalWidth") > 0
        keep_picture(page, "wall-decoys-healthy")

        stack.decoy("fault", "mute", "--id", IDS[1])
        expect(page.locator(f".cards .card[data-id={IDS[1]}].degraded")).to_contain_text("AudioMuted", timeout=90_000)
        keep_picture(page, "wall-decoys-muted")
        assert IDS[1] == page.locator(".card").first.get_attribute("data-id")
        assert page.evaluate("window.isTheSamePage")
        page.close()  # before its source is ended
