"""The wall in a real browser."""

import time

import pytest
from api_process import an_api
from stores import TICK_MS, a_fleet, an_instance

pytestmark = pytest.mark.browser


def test_the_wall_shows_each_instance(tmp_path, open_page):
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=int(time.time() * 1000) - TICK_MS) as fleet:
        fleet.ticks()
        with an_api(tmp_path / "loco.db") as api:
            page = open_page(f"http://127.0.0.1:{api.port}/")

            assert 1 == page.locator("article.card").count()
