"""What a browser shows where a request isn't answered."""

import pytest
from snapshots import a_fleet_now

from api.pages.refusal import render


def test_what_was_asked_for_is_told_without_its_markup():
    html = render(a_fleet_now(), "Bad Request", "query parameter node is '<b>'", "/")

    assert "<title>Bad Request · loco-health</title>" in html
    assert "<p>Query parameter node is &#x27;&lt;b&gt;&#x27;.</p>" in html


@pytest.mark.parametrize(("path", "up"), [("/", ""), ("/nope", ""), ("/incidents/nope", "../"), ("/a/b/", "../../")])
def test_every_link_leads_to_the_root_from_wherever_it_is_shown(path, up):
    html = render(a_fleet_now(), "Not Found", "nothing is served there", path)

    assert f'<a href="{up}./">All instances</a>' in html
    assert f'href="{up}static/detail.css"' in html
