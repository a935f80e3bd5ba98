"""The wall over HTTP: each address is a page of its own, and a query that can't be read is told to whoever asked."""

import pytest
from api_process import an_api
from filled_store import fill

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """An API over a filled store."""
    store = tmp_path_factory.mktemp("api") / "loco.db"
    fill(store)
    with an_api(store) as running:
        yield running


def cards(reply):
    """Return the ids of the cards of a page."""
    return [part.split('data-id="')[1].partition('"')[0] for part in reply.body.decode().split("<article ")[1:]]


def test_each_filter_has_an_answer_and_a_tag_of_its_own(api):
    replies = [api.ask(f"/?search=instance-{n}", headers=HTML) for n in range(3)]

    assert [["instance-0"], ["instance-1"], ["instance-2"]] == [cards(reply) for reply in replies]
    assert 3 == len({reply.headers["etag"] for reply in replies})


def test_a_page_that_the_browser_has_isnt_sent_again(api):
    etag = api.ask("/?verdict=sick", headers=HTML).headers["etag"]

    assert 304 == api.ask("/?verdict=sick", headers={**HTML, "If-None-Match": etag}).status
    assert 200 == api.ask("/?verdict=healthy", headers={**HTML, "If-None-Match": etag}).status


def test_a_query_that_cannot_be_read_is_a_page_for_people_and_a_problem_for_programs(api):
    page, problem = api.ask("/?verdict=ill", headers=HTML), api.ask("/?verdict=ill")

    assert (400, "text/html; charset=utf-8") == (page.status, page.headers["content-type"])
    assert b"Query parameter verdict is &#x27;ill&#x27;; allowed are all, sick" in page.body
    assert (400, "application/problem+json") == (problem.status, problem.headers["content-type"])
    assert "BadQuery" == problem.json["reason"]


def test_more_filters_than_are_kept_are_all_answered(api):
    assert {200} == {api.ask(f"/?search=word{n}", headers=HTML).status for n in range(100)}


def test_a_form_may_be_sent_to_this_origin_and_nothing_else_is_allowed(api):
    policy = api.ask("/", headers=HTML).headers["content-security-policy"]

    assert "form-action 'self'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
