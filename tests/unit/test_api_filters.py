"""What the wall's query asks for, and what it may not hold."""

import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from snapshots import BOOTING, QEMU_DEAD, a_fleet_now, a_snapshot, an_entry, latest_of

from api.pages.filters import EVERYTHING, Filter, form, read_filter
from api.pages.wall import PORTION, render
from api.problem import Problem
from jobs.health.model import Pod, Verdict


def a_pod(node):
    """Return a pod on a node."""
    return Pod(namespace="loco", name="emulator-0", phase="Running", node=node)


def three():
    """Return a fleet: one healthy on node a, one dead on node b, one never observed without a node."""
    well, dead, new = an_entry(0), an_entry(1), an_entry(2)
    well = replace(well, name="Sunny Harbour", pod=a_pod("node-a"))
    dead = replace(dead, description="the one in the corner", pod=a_pod("node-b"))
    return a_fleet_now(a_snapshot((well, latest_of(well, BOOTING)), (dead, latest_of(dead, QEMU_DEAD)), (new, None)))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [0, 1, 2]),
        ("verdict=all&class=all&node=&search=", [0, 1, 2]),
        ("verdict=&class=", [0, 1, 2]),
        ("verdict=sick", [1, 2]),
        ("verdict=unhealthy", [1]),
        ("verdict=unknown", [2]),
        ("class=qemu", [1]),
        ("class=none", [0, 2]),
        ("node=node-a", [0]),
        ("node=gone", []),
        ("search=HARBOUR", [0]),
        ("search=instance-1", [1]),
        ("search=corner+node-b", [1]),
        ("search=corner+node-a", []),
        ("search=qemudead", [1]),
        ("search=%20%20", [0, 1, 2]),
        ("verdict=sick&class=none", [2]),
    ],
)
def test_a_query_takes_the_instances_that_it_names(query, expected):
    wanted = read_filter(query)

    assert expected == [n for n, standing in enumerate(three().standings.values()) if wanted.takes(standing)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("verdict=ill", "query parameter verdict is 'ill'; allowed are all, sick, healthy"),
        ("class=disk", "query parameter class is 'disk'; allowed are all, none, network"),
        ("start=-1", "query parameter start is '-1'; a whole number from 1 to 1000000 is allowed"),
        ("start=" + "9" * 5000, "a whole number from 1 to 1000000 is allowed"),
        ("search=" + "x" * 101, "query parameter search has 101 characters; at most 100 are allowed"),
        ("node=" + "x" * 254, "query parameter node has 254 characters; at most 253 are allowed"),
        ("colour=red", "query parameter 'colour' is unknown here; known are verdict, class, node, search, start"),
        ("verdict=sick&verdict=sick", "a query parameter is given twice"),
        ("search=%ff", "the query string isn't UTF-8"),
    ],
)
def test_a_query_that_means_nothing_is_one_sentence(query, expected):
    with pytest.raises(Problem) as raised:
        read_filter(query)

    assert expected in raised.value.detail


@pytest.mark.parametrize(
    "wanted",
    [
        EVERYTHING,
        Filter(verdict="sick", failure_class="qemu", node="node-a", search='a "b" & c=d', start=48),
        Filter(search="Ünïcode <b>"),
    ],
)
def test_a_link_asks_for_what_it_was_made_of(wanted):
    assert wanted == read_filter(urlsplit(wanted.link()).query)


def test_the_form_holds_what_was_asked_for_and_nothing_of_it_is_markup():
    made = form(Filter(verdict="unhealthy", node="<i>", search='"><script>'), three().standings.values())

    assert '<option value="unhealthy" selected>unhealthy</option>' in made
    assert '<option value="&lt;i&gt;" selected>&lt;i&gt;</option>' in made
    assert 'value="&quot;&gt;&lt;script&gt;"' in made


def test_a_fleet_without_nodes_is_not_asked_for_one():
    assert "Node" not in form(EVERYTHING, a_fleet_now().standings.values())


def many(count):
    """Return a fleet of which every seventh is dead."""
    entries = [an_entry(n) for n in range(count)]
    return a_fleet_now(
        a_snapshot(*((e, latest_of(e, *([QEMU_DEAD] if n % 7 == 0 else []))) for n, e in enumerate(entries)))
    )


def shown(html):
    """Return how many cards and how many marks a page has."""
    return html.count("<article "), html.partition('<nav class="marks"')[2].partition("</nav>")[0].count("<a ")


def test_a_portion_is_shown_whole_and_a_larger_fleet_at_a_glance_too():
    assert (PORTION, 0) == shown(render(many(PORTION)))
    assert (PORTION, PORTION + 1) == shown(render(many(PORTION + 1)))


def test_portions_hold_each_instance_once_the_sick_first():
    fleet = many(60)
    pages = [render(fleet, Filter(start=start)) for start in (0, 24, 48)]
    ids = [part.split('data-id="')[1].partition('"')[0] for page in pages for part in page.split("<article ")[1:]]

    assert [(24, 60), (24, 0), (12, 0)] == [shown(page) for page in pages]
    assert set(fleet.standings) == set(ids)
    assert 60 == len(ids)
    assert [f"instance-{n}" for n in range(0, 60, 7)] == ids[:9]
    assert ["Next: 25 to 48 of 60", "Next: 49 to 60 of 60"] == re.findall("Next: [^<]*", "".join(pages))


def test_a_portion_past_the_end_leads_back():
    html = render(many(30), Filter(start=5000))

    assert (0, 0) == shown(html)
    assert 'class="previous"' in html


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([()], "all 1 healthy"),
        ([(QEMU_DEAD,), ()], "1 of 2 not healthy"),
        ([None, ()], "1 of 2 unknown"),
        ([None, (QEMU_DEAD,), ()], "2 of 3 not healthy"),
    ],
)
def test_the_headline_is_the_fleets_verdict(entries, expected):
    pairs = [(an_entry(n), None if one is None else latest_of(an_entry(n), *one)) for n, one in enumerate(entries)]

    assert f"<span>{expected}</span>" in render(a_fleet_now(a_snapshot(*pairs)))


def test_the_headline_of_what_was_last_known_is_of_no_verdict():
    assert f'<h1 class="headline {Verdict.UNKNOWN}">' in (html := render(a_fleet_now(problem="store x is locked")))
    assert "last known: <span>all 1 healthy</span>" in html
