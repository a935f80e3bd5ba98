"""Drawings of values over time: well-formed, gaps are gaps, every number in words."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.charts import chart, heartbeat, spark
from api.trends import Beat
from jobs.health.model import Verdict

MINUTE_MS = 60_000
# Thursday, 2026-11-26T13:00:00Z.
AT_MS = 1_795_698_000_000

values = st.lists(st.one_of(st.none(), st.floats(0, 1e9)), max_size=80)


def parsed(svg):
    """Return the drawing; inline SVG in HTML needs no name space, XML does."""
    return ET.fromstring(svg)  # noqa: S314 - our own drawing


def named(svg):
    """Return the accessible name."""
    root = parsed(svg)
    assert ("svg", "img", "title") == (root.tag, root.get("role"), root[0].tag)
    return root[0].text


def drawn(svg, name):
    """Return the path data of each path of a class."""
    return [path.get("d") for path in parsed(svg).iter("path") if name in path.get("class", "").split()]


def a_beat(n=0, verdict=Verdict.HEALTHY, codes=(), share=1.0):
    """Return one half hour."""
    return Beat(AT_MS + n * 30 * MINUTE_MS, 1800, verdict, codes, share)


def points(*known):
    """Return minutes with these values."""
    return [(AT_MS + n * MINUTE_MS, value) for n, value in enumerate(known)]


def a_chart(known, **options):
    """Return a chart of frame rates."""
    moments = [at_ms for at_ms, _ in known] or [AT_MS]
    span_ms = (min(moments), max(moments))
    return chart(known, **{"unit": "/s", "label": "Frame rate of a", "step_seconds": 60, "span_ms": span_ms} | options)


def test_a_line_is_interrupted_where_a_value_is_missing():
    assert "M0 3 2 3M6 16 8 3" == parsed(spark([10, 10, None, 5, 10], label="a"))[1].get("d")


def test_a_value_between_two_gaps_is_a_dash():
    assert "M1 3h2" == parsed(spark([None, 10, None], label="a"))[1].get("d")


def test_a_level_line_needs_two_places():
    assert "M0 3 118 3" == parsed(spark([30.0] * 60, label="a"))[1].get("d")


def test_the_last_known_value_is_marked():
    assert ["M2 16h0"] == drawn(spark([10, 5, None], label="a"), "last")


def test_a_given_highest_value_is_the_top():
    assert "M0 16 2 29" == parsed(spark([0.5, 0], label="a", highest=1))[1].get("d")


def test_what_is_higher_than_the_top_stays_in_the_drawing():
    assert "M0 3 2 3" == parsed(spark([7, 1], label="a", highest=1))[1].get("d")


def test_nothing_measured_draws_nothing():
    svg = spark([None] * 60, label="a")

    assert "" == parsed(svg)[1].get("d")
    assert [] == drawn(svg, "last")


@settings(deadline=None)
@given(values)
def test_every_line_stays_in_its_box(known):
    root = parsed(spark(known, label="a"))
    left, _, width, height = map(int, root.get("viewBox").split())
    numbers = [int(n) for path in root.iter("path") for n in re.findall(r"-?\d+", path.get("d").split("h")[0])]

    assert all(left <= x <= left + width for x in numbers[::2])
    assert all(0 <= y <= height for y in numbers[1::2])


@pytest.mark.parametrize("draw", [spark, heartbeat, a_chart])
def test_a_name_is_escaped_and_nothing_has_a_style(draw):
    hostile = "</title><script>alert('\"&"
    svg = draw([], label=hostile)

    assert named(svg).startswith(hostile)
    assert not re.search(r"\bstyle=|\bon\w+=|<style", svg)


def test_neighbours_that_say_the_same_are_one_element():
    svg = heartbeat([a_beat(n) for n in range(48)], label="Last day of a")

    assert ["M0 10h191"] == drawn(svg, "healthy")
    assert ["Thu 13:00-13:00 UTC: healthy 100 % of the time."] == [path[0].text for path in parsed(svg).iter("path")]
    assert "Last day of a: healthy throughout" == named(svg)
    assert len(svg) < 300


def test_each_bar_tells_its_span_its_worst_verdict_its_share_and_its_reasons():
    bad = a_beat(1, Verdict.UNHEALTHY, ("QemuDead", "OfLater"), 0.4333)
    svg = heartbeat([a_beat(0), bad, a_beat(2, None, (), None)], label="a")

    assert [
        ("healthy", "M0 10h3", "Thu 13:00-13:30 UTC: healthy 100 % of the time."),
        (
            "unhealthy",
            "M4 10h3",
            "Thu 13:30-14:00 UTC: unhealthy at worst, healthy 43.33 % of the time. No QEMU process runs. OfLater",
        ),
        ("unseen", "M8 10h3", "Thu 14:00-14:30 UTC: not observed"),
    ] == [(path.get("class"), path.get("d"), path[0].text) for path in parsed(svg).iter("path")]
    assert "a: unhealthy at worst, 1 of 3 spans not observed" == named(svg)


@pytest.mark.parametrize(
    "other",
    [
        a_beat(1, Verdict.DEGRADED),
        a_beat(1, share=0.5),
        a_beat(1, codes=("PausedByOperator",)),
        a_beat(2),
        a_beat(1, None, (), None),
    ],
)
def test_neighbours_that_differ_are_elements_of_their_own(other):
    assert 2 == len(list(parsed(heartbeat([a_beat(0), other], label="a")).iter("path")))


def test_a_day_that_nobody_watched_is_not_healthy():
    svg = heartbeat([a_beat(n, None, (), None) for n in range(48)], label="a")

    assert "a: not observed" == named(svg)
    assert [] == drawn(svg, "healthy")


def test_a_chart_tells_least_greatest_and_last_value_with_the_unit():
    svg = a_chart(points(30.04, 12, None, 31.26))

    assert "Frame rate of a: min 12, max 31.3, last 31.3 /s" == named(svg)
    assert "min 12, max 31.3, last 31.3 /s" in [text.text for text in parsed(svg).iter("text")]


def test_a_chart_has_round_levels_its_unit_and_round_times():
    svg = a_chart(points(*range(40)))
    texts = {name: [t.text for t in parsed(svg).iter("text") if t.get("class") == name] for name in ("level", "time")}

    assert ["0", "10", "20", "30", "40", "UTC"] == texts["level"]
    assert ["13:00", "13:10", "13:20", "13:30"] == texts["time"]
    assert ["/s"] == [t.text for t in parsed(svg).iter("text") if t.get("class") == "unit"]


def test_days_are_told_by_their_date():
    month = [(AT_MS + n * 60 * MINUTE_MS, 1.0) for n in range(720)]
    times = [t.text for t in parsed(a_chart(month, step_seconds=3600)).iter("text") if t.get("class") == "time"]

    assert times[0] == "28 Nov"
    assert len(times) <= 7


def test_a_minute_without_a_row_is_a_gap():
    known = points(1, 1, 1, 1, 1)

    assert 2 == drawn(a_chart(known[:2] + known[3:]), "line")[0].count("M")
    assert 1 == drawn(a_chart(known), "line")[0].count("M")


def test_an_hour_apart_is_no_gap_between_hours():
    known = [(AT_MS + n * 60 * MINUTE_MS, 1.0) for n in range(3)]

    assert 1 == drawn(a_chart(known, step_seconds=3600), "line")[0].count("M")


def test_only_what_lies_in_the_span_is_drawn_and_told():
    svg = a_chart(points(99, 5, 5), span_ms=(AT_MS + MINUTE_MS, AT_MS + 60 * MINUTE_MS))

    assert "Frame rate of a: min 5, max 5, last 5 /s" == named(svg)


@pytest.mark.parametrize("known", [[], points(None, None)])
def test_a_chart_of_nothing_says_so(known):
    svg = a_chart(known, span_ms=(AT_MS, AT_MS + 60 * MINUTE_MS))

    assert "Frame rate of a: not measured" == named(svg)
    assert [] == drawn(svg, "last")


@settings(deadline=None)
@given(values)
def test_every_chart_stays_in_its_box(known):
    root = parsed(a_chart(points(*known)))
    _, _, width, height = map(int, root.get("viewBox").split())
    numbers = [n for path in root.iter("path") for n in re.findall(r"[ML ](\d+) (\d+)", path.get("d"))]

    assert all(0 <= int(x) <= width and 0 <= int(y) <= height for x, y in numbers)
    assert 2 <= len([t for t in root.iter("text") if t.get("class") == "level"]) <= 7
