"""Badges in a real browser: a picture under a strict policy, whose text stays inside whatever the font."""

import time

import pytest
from api_process import an_api
from stores import TICK_MS, a_fleet, an_instance

pytestmark = pytest.mark.browser

# A badge as people embed it, and its texts as the browser lays them out.
_LAID_OUT = """async path => {
    const image = new Image();
    image.src = path;
    await image.decode();
    const place = document.body.appendChild(document.createElement("div"));
    place.innerHTML = await (await fetch(path)).text();
    const boxes = [...place.querySelectorAll("text")].map(one => one.getBBox());
    return [image.naturalWidth, boxes.map(box => [box.x, box.x + box.width])];
}"""


@pytest.mark.parametrize("path", ["badge.svg", "badge-7d.svg", "badge/instance-0.svg", "badge/instance-0/24h.svg"])
def test_a_badge_is_a_picture_whose_text_stays_inside(tmp_path, open_page, path):
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=int(time.time() * 1000) - TICK_MS) as fleet:
        fleet.ticks()
        with an_api(tmp_path / "loco.db") as api:
            page = open_page(f"http://127.0.0.1:{api.port}/")
            width, ((label_from, label_to), (from_, to)) = page.evaluate(_LAID_OUT, path)

            assert 0 < label_from < label_to < from_ < to < width
