"""Badges: well-formed, honest about what nobody knows, the same for the same news."""

from dataclasses import replace
from types import MappingProxyType
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.badges import badge, fleet_message, mean, uptime_message
from api.fleet import see
from jobs.health.model import Verdict
from jobs.health.rollup import Shares

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg):
    """Return the drawing."""
    return ET.fromstring(svg)  # noqa: S314 - our own drawing


def texts(svg):
    """Return what is written on it."""
    return [text.text for text in parsed(svg).iter(f"{SVG}text")]


def some_shares(healthy, *, not_observed=0.0):
    """Return shares of which the rest is unhealthy."""
    return Shares(healthy, 0.0, 1 - healthy - not_observed, 0.0, 0.0, not_observed)


def test_a_badge_is_a_picture_with_a_name():
    root = parsed(badge("instance-0", "healthy", Verdict.HEALTHY, "instance-0: healthy"))

    assert (f"{SVG}svg", "img", "20") == (root.tag, root.get("role"), root.get("height"))
    assert (f"{SVG}title", "instance-0: healthy") == (root[0].tag, root[0].text)
    assert ["instance-0", "healthy"] == texts(badge("instance-0", "healthy", Verdict.HEALTHY, ""))


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_name_makes_a_badge_whose_text_fits(label, told):
    root = parsed(badge(label, "healthy", Verdict.HEALTHY, told))
    ends = [int(text.get("x")) + int(text.get("textLength")) for text in root.iter(f"{SVG}text")]

    assert ends[0] < ends[1] < int(root.get("width")) <= 600


def test_a_broad_text_has_more_room_than_a_narrow_one():
    widths = [int(parsed(badge(text, "", Verdict.HEALTHY, "")).get("width")) for text in ("iiii", "nnnn", "字字字字")]

    assert sorted(set(widths)) == widths


def test_markup_in_a_name_stays_text():
    hostile = "</text><script>alert(1)</script>"

    assert ["</text><script>alert(1)</script>", "x"] == texts(badge(hostile, "x", Verdict.HEALTHY, hostile))
    assert "<script" not in badge(hostile, "x", Verdict.HEALTHY, hostile)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        (some_shares(1.0), ("100 %", Verdict.HEALTHY)),
        (some_shares(0.99999), ("99.99 %", Verdict.HEALTHY)),
        (some_shares(0.9, not_observed=0.1), ("90 % (10 % unseen)", Verdict.HEALTHY)),
        (some_shares(0.94), ("94 %", Verdict.DEGRADED)),
        (some_shares(0.57), ("57 %", Verdict.UNHEALTHY)),
        (some_shares(0.0), ("0 %", Verdict.UNHEALTHY)),
        (some_shares(0.999, not_observed=0.001), ("99.9 %", Verdict.HEALTHY)),
        (some_shares(0.0, not_observed=1.0), ("unknown", Verdict.UNKNOWN)),
        (None, ("unknown", Verdict.UNKNOWN)),
    ],
)
def test_an_uptime_is_rounded_down_and_says_what_nobody_saw(shares, expected):
    assert expected == uptime_message(shares)


def test_the_fleet_is_as_good_as_all_its_instances():
    assert some_shares(0.5, not_observed=0.25) == mean([some_shares(1.0), some_shares(0.0, not_observed=0.5)])
    assert mean([]) is None


def a_fleet(*verdicts, silent=False):
    """Return a fleet of instances with these verdicts."""
    empty = see(None, "", 0)

    class Standing:
        def __init__(self, verdict):
            self.verdict = verdict

    standings = MappingProxyType({str(n): Standing(verdict) for n, verdict in enumerate(verdicts)})
    return replace(empty, snapshot=object(), is_silent=silent, standings=standings)


@pytest.mark.parametrize(
    ("fleet", "expected"),
    [
        (a_fleet(Verdict.HEALTHY, Verdict.HEALTHY), ("2 of 2 healthy", Verdict.HEALTHY)),
        (a_fleet(Verdict.HEALTHY, Verdict.DEGRADED, Verdict.UNHEALTHY), ("1 of 3 healthy", Verdict.UNHEALTHY)),
        (a_fleet(Verdict.HEALTHY, Verdict.UNKNOWN), ("1 of 2 healthy", Verdict.UNKNOWN)),
        (a_fleet(Verdict.UNKNOWN, Verdict.UNKNOWN), ("unknown", Verdict.UNKNOWN)),
        (a_fleet(Verdict.HEALTHY, silent=True), ("unknown", Verdict.UNKNOWN)),
        (a_fleet(), ("unknown", Verdict.UNKNOWN)),
        (see(None, "gone", 0), ("unknown", Verdict.UNKNOWN)),
    ],
)
def test_a_fleet_is_healthy_when_all_of_it_is_and_unknown_when_nobody_watches(fleet, expected):
    assert expected == fleet_message(fleet)
