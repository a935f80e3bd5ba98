"""Every path of the API that the runbooks and the page on troubles ask is answered by a real one."""

import re

import pytest
from api_process import an_api
from filled_store import fill
from kustomizations import ROOT

PAGES = [*(ROOT / "docs/runbooks").glob("*.md"), ROOT / "docs/troubleshooting.md"]
PATHS = sorted({path for page in PAGES for path in re.findall(r"http:loco-api:3000/proxy(/[^ '`]+)", page.read_text())})


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """Yield an API over a store in which every route finds something to tell."""
    store = tmp_path_factory.mktemp("store") / "loco.db"
    fill(store)
    with an_api(store) as found:
        yield found


@pytest.mark.parametrize("path", PATHS)
def test_a_path_of_the_pages_is_answered(api, path):
    assert 200 == api.ask(path).status
