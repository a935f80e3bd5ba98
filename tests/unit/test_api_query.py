"""A query is read whole or refused with one sentence."""

import pytest

from api.problem import Problem
from api.query import instant_ms, read_query, whole_number, word


def detail_of(call):
    """Return the sentence with which a call is refused."""
    with pytest.raises(Problem) as raised:
        call()
    assert raised.value.status == 400
    return raised.value.detail


def test_known_names_are_read_and_decoded():
    assert {"limit": "5", "since": "a b"} == read_query("limit=5&since=a%20b", ("limit", "since"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("limits=5", "query parameter 'limits' is unknown here; known are limit"),
        ("limit=5&limit=6", "a query parameter is given twice; each may be given once"),
        ("limit=%ff", "the query string isn't UTF-8 or has over 16 fields; nothing was read"),
        ("&".join(["limit=1"] * 17), "the query string isn't UTF-8 or has over 16 fields; nothing was read"),
        (f"{'x' * 5000}=1", f"query parameter '{'x' * 80}...' is unknown here; known are limit"),
        ("%0a=1", "query parameter '?' is unknown here; known are limit"),
    ],
)
def test_anything_else_is_refused(text, expected):
    assert expected == detail_of(lambda: read_query(text, ("limit",)))


@pytest.mark.parametrize(("text", "expected"), [(None, 60), ("1", 1), ("500", 500), ("007", 7)])
def test_a_whole_number_within_its_bounds_is_read(text, expected):
    assert expected == whole_number({"limit": text} if text else {}, "limit", default=60, highest=500)


@pytest.mark.parametrize("text", ["", "0", "501", "-1", "1.5", "1e2", "9" * 5000, "٣", " 1"])
def test_a_number_outside_its_bounds_is_refused(text):
    detail = detail_of(lambda: whole_number({"limit": text}, "limit", default=60, highest=500))

    assert detail.endswith("a whole number from 1 to 500 is allowed")


def test_a_word_is_one_of_those_allowed():
    assert "minute" == word({}, "resolution", allowed=("minute", "hour"))
    assert "hour" == word({"resolution": "hour"}, "resolution", allowed=("minute", "hour"))
    assert "query parameter resolution is 'day'; allowed are minute, hour" == detail_of(
        lambda: word({"resolution": "day"}, "resolution", allowed=("minute", "hour"))
    )


def test_an_instant_needs_its_offset():
    assert 1_795_550_863_000 == instant_ms({"since": "2026-11-24T20:07:43Z"}, "since")
    assert instant_ms({}, "since") is None


@pytest.mark.parametrize("text", ["2026-11-24T20:07:43", "yesterday", "", "12"])
def test_anything_but_an_instant_is_refused(text):
    assert "an RFC 3339 time" in detail_of(lambda: instant_ms({"since": text}, "since"))


def test_the_timeout_that_kubectl_adds_is_passed_over():
    assert {"limit": "3"} == read_query("limit=3&timeout=30s", ("limit",))
