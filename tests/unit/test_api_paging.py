"""A cursor leads on where its page ended, and nowhere else."""

import re
from base64 import urlsafe_b64encode
from urllib.parse import parse_qsl

import pytest

from api import paging
from api.problem import Problem


def in_base64(text):
    """Return bytes as a cursor is written."""
    return urlsafe_b64encode(text).decode()


def next_values(values, last):
    """Return the query that a Link names."""
    name, value = paging.link(values, of="incidents", last=last)
    assert "Link" == name
    return dict(parse_qsl(re.fullmatch(r'<\?(.+)>; rel="next"', value)[1]))


def refusal(values, of="incidents"):
    """Return the sentence with which a query is refused."""
    with pytest.raises(Problem) as raised:
        paging.last_seen(values, of=of)
    assert 400 == raised.value.status
    return raised.value.detail


def test_without_a_cursor_it_is_the_first_page():
    assert paging.last_seen({"limit": "5"}, of="incidents") is None


def test_the_next_page_begins_after_the_last_row_under_the_same_filter():
    following = next_values({"state": "open", "limit": "5"}, "a1-\u00e9 &=")

    assert ("open", "5") == (following["state"], following["limit"])
    assert "a1-\u00e9 &=" == paging.last_seen(following, of="incidents")


def test_a_link_goes_on_from_a_cursor_or_from_before():
    second = next_values(next_values({"limit": "1"}, "a"), "b")

    assert "b" == paging.last_seen(second, of="incidents")
    assert {"cursor"} == set(next_values({"before": "x"}, "c"))


def test_another_limit_may_follow():
    following = next_values({"limit": "1"}, "a")

    assert "a" == paging.last_seen({**following, "limit": "7"}, of="incidents")


def test_a_cursor_of_another_filter_or_list_is_refused():
    following = next_values({"state": "open"}, "a")
    expected = "query parameter cursor is of another list or filter; begin without it"

    assert expected == refusal({"cursor": following["cursor"]})
    assert expected == refusal({**following, "instance": "x"})
    assert expected == refusal(following, of="runs")


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "\u00e9", "%", "A" * 5000, "....", "bm8", "bm8!", in_base64(b"[" * 5000), in_base64(b"[1]")],
)
def test_a_cursor_that_no_link_gave_is_refused(cursor):
    detail = refusal({"cursor": cursor})

    assert detail.endswith("which no Link gave; begin without it")
    assert len(detail) < 200


def test_a_cursor_beside_before_is_refused():
    assert "query parameters cursor and before exclude each other; give one" == refusal({"cursor": "x", "before": "y"})


@pytest.mark.parametrize("name", ["cursor", "before"])
def test_a_row_that_isnt_there_is_named_by_its_parameter(name):
    assert f"query parameter {name} is of a row that isn't there; begin without it" == paging.gone({name: "x"}).detail
