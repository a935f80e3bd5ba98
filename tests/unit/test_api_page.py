"""The page tells the truth, also about itself, and no report can put markup into it."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import msgspec
import pytest
from full_report import a_full_report
from markup import said
from snapshots import BOOTING, NOW_MS, QEMU_DEAD, a_fleet_now, a_run, a_snapshot, an_entry, latest_of

from api.fleet import see
from api.pages.wall import render
from api.spans import DAY_MS, PERIODS
from api.trends import Beat, Trend
from jobs.health.model import Evidence, FailureClass, InstanceKey, Reason, Severity, Verdict
from jobs.health.rollup import Shares
from jobs.store.fleet import Picture

NASTY = "<script>alert(1)</script>\" onerror='x' & {braces}"


class Tags(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        """Keep one (the parser's own hook)."""
        self.found.append((tag, dict(attrs)))


def banners(html):
    """Return the texts of the banners that are shown."""
    return re.findall(r'<p class="banner (?:alarm|note)" role="(?:alert|status)">(.*?)</p>', html)


def test_a_healthy_fleet_has_no_banner_and_says_so_in_the_title():
    html = render(a_fleet_now())

    assert [] == banners(html)
    assert "<title>all 1 healthy · loco-health</title>" in html


def test_a_sick_instance_shows_reason_value_and_class_of_its_verdict():
    reason = replace(QEMU_DEAD, evidence=(Evidence("screen.still", 120.0, 20, "s"),))
    html = render(a_fleet_now(a_snapshot((an_entry(), latest_of(an_entry(), reason)))))

    assert '<article class="card unhealthy" data-id="instance-0">' in html
    assert "No QEMU process runs. <code>QemuDead</code><ul><li>screen.still 120 s (limit 20 s)</li></ul>" in html


def test_the_sick_come_first_and_within_a_verdict_the_order_of_the_inventory():
    second, third = an_entry(1), an_entry(2)
    html = render(
        a_fleet_now(
            a_snapshot(
                (an_entry(), latest_of(an_entry())), (second, latest_of(second)), (third, latest_of(third, QEMU_DEAD))
            )
        )
    )

    assert ["instance-2", "instance-0", "instance-1"] == re.findall(r'<article [^>]*data-id="([^"]+)"', html)


def test_nothing_from_a_report_or_a_file_becomes_markup():
    instance = replace(an_entry(), public_id=NASTY, name=NASTY, description=NASTY)
    reason = Reason(NASTY, FailureClass.QEMU, Severity.UNHEALTHY, (Evidence(NASTY, NASTY, unit=NASTY),))
    report = a_full_report()
    report = msgspec.structs.replace(report, screen=msgspec.structs.replace(report.screen, error=NASTY))
    snapshot = replace(
        a_snapshot((instance, latest_of(instance, reason)), report=report),
        runs={"discover": a_run("discover", problem=NASTY)},
    )

    pictured = replace(snapshot, pictures={instance.key: Picture(NASTY, NOW_MS)})
    found = [tag for shown in (snapshot, pictured) for tag in Tags(render(a_fleet_now(shown, problem=NASTY))).found]

    assert {("static/page.js", True), ("static/wall.js", True)} == {
        (a.get("src"), "defer" in a) for tag, a in found if tag == "script"
    }
    assert [] == [tag for tag in found if any(name.startswith("on") for name in tag[1])]


def test_every_address_is_relative():
    snapshot = replace(a_snapshot(), pictures={InstanceKey("static/instance-0"): Picture("abc", NOW_MS)})

    addresses = [a[n] for _, a in Tags(render(a_fleet_now(snapshot))).found for n in ("href", "src") if n in a]

    assert "api/instances/instance-0/screen.png?hash=abc" in addresses
    assert [] == [address for address in addresses if address.startswith(("/", "http"))]


def test_without_a_store_the_page_says_so():
    html = render(see(None, "store x isn't there yet", NOW_MS))

    assert ["<b>No data:</b> store x isn&#x27;t there yet."] == banners(html)
    assert "<title>no live data · loco-health</title>" in html


def test_a_store_that_refuses_is_told_above_the_last_news():
    html = render(a_fleet_now(problem="store x is locked"))

    assert ["<b>The store can't be read now; this is what it last said.</b> store x is locked."] == banners(html)
    assert 'data-id="instance-0"' in html


def test_a_silent_collector_is_told_with_the_time_of_its_last_tick():
    (banner,) = banners(render(a_fleet_now(now_ms=NOW_MS + 60_000)))

    assert "2026-11-24T20:07:41.000Z, over 45 s ago" in banner


def test_a_stale_card_says_unknown_what_it_was_and_no_value():
    snapshot = a_snapshot((an_entry(), latest_of(an_entry(), QEMU_DEAD)))
    html = render(a_fleet_now(snapshot, now_ms=NOW_MS + 60_000))

    assert '<article class="card unknown stale" data-id="instance-0">' in html
    assert "Then it was unhealthy. No QEMU process runs." in html
    assert 3 == html.count("not measured")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"last_successes": {}}, "never committed a tick"),
        ({"instances": {}, "latest": {}}, "<b>No instances.</b>"),
        (
            {"runs": {"discover": a_run("discover", problem="line 3")}},
            "<b>The list of instances may be old.</b> line 3",
        ),
    ],
)
def test_whatever_keeps_the_page_from_the_truth_is_a_banner(changes, expected):
    assert any(expected in banner for banner in banners(render(a_fleet_now(replace(a_snapshot(), **changes)))))


def test_one_instance_not_observed_lately_is_counted():
    old = an_entry(1)
    snapshot = a_snapshot((an_entry(), latest_of(an_entry())), (old, latest_of(old, observed_at_ms=NOW_MS - 60_000)))

    assert ["<b>1 of 2 not observed lately.</b> Their verdicts read unknown."] == banners(render(a_fleet_now(snapshot)))


def clock(html):
    """Return the class and the word of the clock."""
    return re.search(r'<p class="(clock[^"]*)"[^>]*><b>([^<]*)</b>', html).groups()


@pytest.mark.parametrize(
    ("fleet", "expected"),
    [
        (a_fleet_now(), ("clock", "live")),
        (a_fleet_now(now_ms=NOW_MS + 60_000), ("clock loud", "nobody is watching")),
        (a_fleet_now(problem="store x is locked"), ("clock loud", "store unreadable")),
        (see(None, "store x isn't there yet", NOW_MS), ("clock loud", "no data")),
    ],
)
def test_the_clock_is_loud_unless_all_is_that_of_now(fleet, expected):
    assert expected == clock(render(fleet))


def test_what_is_loud_is_an_alert_and_what_is_not_is_a_status():
    snapshot = replace(a_snapshot(), runs={"discover": a_run("discover", problem="line 3")})
    html = render(a_fleet_now(snapshot, problem="store x is locked"))

    assert [("alarm", "alert"), ("note", "status")] == re.findall(r'class="banner (\w+)" role="(\w+)">', html)


def test_many_reasons_are_folded_away_and_one_too_many_is_not():
    def folded(count):
        reasons = [replace(QEMU_DEAD, code=f"Code{n}") for n in range(count)]
        html = render(a_fleet_now(a_snapshot((an_entry(), latest_of(an_entry(), *reasons)))))
        assert count == html.count('<li class="fault">')
        return re.findall(r"<summary>([^<]*)</summary>", html)

    assert [[], [], [], ["2 more reasons"]] == [folded(count) for count in (1, 2, 3, 4)]


def test_a_finding_keeps_its_numbers_for_its_own_page():
    finding = replace(BOOTING, evidence=(Evidence("qemu.uptime", 20, 30, "s"),))
    html = render(a_fleet_now(a_snapshot((an_entry(), latest_of(an_entry(), finding)))))

    assert "<code>Booting</code>" in html
    assert "qemu.uptime" not in html


def test_without_a_past_a_card_says_so_and_with_one_it_shows_it():
    key = an_entry().key
    minutes = (1.0,) * 60
    shares = Shares(healthy=0.9999, degraded=0.0001, unhealthy=0, unreachable=0, unknown=0, not_observed=0)
    beats = (Beat(NOW_MS, 1800, Verdict.HEALTHY, (), 1.0),)
    past = Trend(minutes, (None,) * 60, beats, dict.fromkeys(("24h", "7d", "30d"), shares), {})
    without, with_it = render(a_fleet_now()), render(a_fleet_now(), trends={key: past})

    assert (3, 0) == (without.count("history not read yet"), without.count('class="spark"'))
    assert (0, 1) == (with_it.count("history not read yet"), with_it.count('class="spark"'))
    assert 1 == with_it.count("none in the last hour")  # of its sound, nothing was measured
    assert "<li>7 d <b>99.99 %</b></li>" in with_it


@pytest.mark.parametrize(
    ("found_at_ms", "expected"),
    [
        ({}, ["24 h 100 %", "7 d 100 %", "30 d 100 %"]),
        ({"30d": NOW_MS - 9 * DAY_MS}, ["24 h 100 %", "7 d 100 %", "since 2026-11-15 100 %"]),
        (dict.fromkeys(PERIODS, NOW_MS - 19_000), ["since 20:07 UTC 100 %"]),
    ],
)
def test_no_uptime_is_told_of_a_span_that_has_not_passed(found_at_ms, expected):
    shares = Shares(healthy=1, degraded=0, unhealthy=0, unreachable=0, unknown=0, not_observed=0)
    past = Trend((None,) * 60, (None,) * 60, (), dict.fromkeys(PERIODS, shares), found_at_ms)
    html = render(a_fleet_now(), trends={an_entry().key: past})
    uptimes = html.partition('<ul class="uptimes"')[2].partition("</ul>")[0]

    assert expected == [said(one) for one in re.findall(r"<li>.*?</li>", uptimes)]
