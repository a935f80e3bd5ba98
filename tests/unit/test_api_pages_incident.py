"""An incident as a story in the order of time and of cause, and the list of incidents."""

import re
from dataclasses import replace

import pytest
from markup import Tags, said
from snapshots import BOOTING, NOW_MS, QEMU_DEAD, a_fleet_now, a_plan, an_attempt, an_entry, an_incident

from api.pages import incident as incident_page
from api.pages import incidents as incidents_page
from api.story import Step, story
from api.views.evidence import After, Bundle, Screen
from jobs.health.holds import HOLDS
from jobs.health.model import Evidence, FailureClass, InstanceKey, Reason, Severity, Verdict
from jobs.health.recovery import AttemptOutcome, AttemptState, Hold
from jobs.store.reader import Change

ENTRY = an_entry()
PNG = "iVBORw0KGgphZnRlcg=="


def the_story(incident, *, attempts=(), kept=None, plans=(), changes=(), plan=None):
    """Return the page of an incident."""
    events = story(incident, changes=changes, attempts=attempts, plans=plans)
    told = incident_page.Told(incident, events, attempts, plan, {ENTRY.key: "instance-0"}, kept or {})
    return incident_page.render(a_fleet_now(), told)


def steps(incident, **parts):
    """Return what happened, in order."""
    given = {"changes": (), "attempts": (), "plans": (), **parts}
    return [event.step for event in story(incident, **given)]


def test_a_story_is_in_the_order_of_time_and_of_cause():
    incident = replace(an_incident(ENTRY), closed_at_ms=NOW_MS)
    attempt = an_attempt(ENTRY, booked_at_ms=NOW_MS - 30_000, acted_at_ms=NOW_MS - 30_000)
    plan = a_plan(ENTRY, decided_at_ms=NOW_MS - 30_000)
    held = a_plan(ENTRY, decided_at_ms=NOW_MS - 45_000, hold=Hold.SELF_HEALING)
    worse = Change(NOW_MS - 50_000, 4, Verdict.UNHEALTHY, FailureClass.QEMU, (QEMU_DEAD,), incident.id)

    assert [
        Step.OPENED,
        Step.CHANGED,
        Step.HELD,
        Step.PLANNED,
        Step.BOOKED,
        Step.ACTED,
        Step.ENDED,
        Step.CLOSED,
    ] == steps(incident, changes=[worse], attempts=[attempt], plans=[plan, held])


def muted_for(seconds):
    """Return a fault with what was measured."""
    evidence = (Evidence("audio.silent", seconds, 5, "s"),)
    return Reason("AudioSilent", FailureClass.QEMU, Severity.DEGRADED, evidence)


def a_change(incident, seconds_after, *reasons, verdict=Verdict.DEGRADED):
    """Return one row of `changes`."""
    at_ms = incident.opened_at_ms + seconds_after * 1000
    return Change(at_ms, 3 + seconds_after // 15, verdict, FailureClass.QEMU, reasons, incident.id)


def test_the_opening_tells_what_was_measured_then_not_at_the_tick_that_opened_it():
    incident = replace(an_incident(ENTRY), reasons=(muted_for(21),))
    with_row = the_story(incident, changes=[a_change(incident, 0, muted_for(6))])
    without = the_story(incident)

    assert ("audio.silent 6 s", False) == (
        re.search(r"audio.silent \S+ s", said(with_row)).group(),
        "audio.silent 21 s" in said(with_row),
    )
    assert "What was seen at the tick that opened it" in said(without)
    assert "audio.silent 21 s" in said(without)


def test_a_change_of_findings_alone_is_no_step():
    incident = an_incident(ENTRY)
    changes = [
        a_change(incident, 0, muted_for(6)),
        a_change(incident, 15, muted_for(21), BOOTING),
        a_change(incident, 30, muted_for(36)),
        a_change(incident, 45, muted_for(51), QEMU_DEAD, BOOTING, verdict=Verdict.UNHEALTHY),
    ]

    assert [Step.OPENED, Step.CHANGED] == steps(incident, changes=reversed(changes))


def test_only_a_new_fault_is_told_with_all_that_was_measured():
    incident = an_incident(ENTRY)
    changes = [
        a_change(incident, 0, muted_for(6)),
        a_change(incident, 30, muted_for(36), QEMU_DEAD, BOOTING, verdict=Verdict.UNHEALTHY),
        a_change(incident, 45, QEMU_DEAD, verdict=Verdict.UNHEALTHY),
    ]
    html = the_story(incident, changes=changes)

    assert ["AudioSilent", "QemuDead"] == re.findall(r'class="reason fault" data-id="(\w+)"', html)
    assert "Still: AudioSilent Findings, which are no faults: Booting" in said(html)
    assert "Still: QemuDead No more: AudioSilent" in said(html)


def test_what_was_before_or_after_an_incident_is_no_part_of_its_story():
    incident = replace(an_incident(ENTRY), closed_at_ms=NOW_MS - 1000)
    others = [Change(at_ms, 1, Verdict.HEALTHY, FailureClass.NONE, (), None) for at_ms in (NOW_MS - 90_000, NOW_MS)]

    assert [Step.OPENED, Step.CLOSED] == steps(incident, changes=others)


def test_an_attempt_that_never_acted_has_no_act_in_the_story():
    attempt = an_attempt(ENTRY, acted_at_ms=None, outcome=AttemptOutcome.STOOD_DOWN)

    assert [Step.OPENED, Step.BOOKED, Step.ENDED] == steps(an_incident(ENTRY), attempts=[attempt])


def test_the_story_tells_who_wanted_what_how_long_it_took_and_what_was_seen():
    incident = replace(an_incident(ENTRY), closed_at_ms=NOW_MS)
    bundle = Bundle(
        verdict="unhealthy",
        reasons=[{"code": "AudioMuted"}],
        screens=[Screen(png=PNG, takenAt="2026-11-24T20:07:13.000Z")],
        after=After(verdict="healthy", screen=Screen(png=PNG)),
    )
    html = the_story(incident, attempts=[an_attempt(ENTRY, requested_by="jane")], kept={12: bundle})
    told = said(html)

    assert "Attempt 12 : reset-audio Booked in the ledger for AudioMuted, wanted by jane." in told
    assert "Job recover-a1b2c3-instance-0-12 ." in told
    assert "The proof: healed well for 6 s." in told
    assert "1 s after that The act: reset-audio" in told
    assert ["../api/attempts/12/before.png", "../api/attempts/12/after.png"] == [
        attributes["src"] for tag, attributes in Tags(html).found if tag == "img"
    ]
    assert "closed after 1 min 0 s" in told


def test_an_open_incident_tells_what_is_next():
    plan = a_plan(ENTRY, hold=Hold.NEEDS_HUMAN, detail="it made it worse", action=None)

    assert f"Next: nothing NeedsHuman it made it worse. {HOLDS[Hold.NEEDS_HUMAN].means}" in said(
        the_story(an_incident(ENTRY), plan=plan)
    )


def test_what_ends_a_hold_lies_ahead():
    plan = a_plan(ENTRY, hold=Hold.COOL_DOWN, detail="it was acted on", until_ms=NOW_MS + 20_000)
    html = the_story(an_incident(ENTRY), plan=plan)

    assert "No earlier than 2026-11-24 20:08:03 UTC" in said(html)
    assert '<time datetime="2026-11-24T20:08:03.000Z" data-lead="in "></time>' in html


def test_while_an_attempt_runs_no_second_act_is_told_as_next():
    running = an_attempt(ENTRY, state=AttemptState.RUNNING, outcome=None, ended_at_ms=None)
    told = said(the_story(an_incident(ENTRY), attempts=[running], plan=a_plan(ENTRY)))

    assert "Now: reset-audio Attempt 12 , reset-audio, is running." in told
    assert "Next: " not in told


def test_members_of_a_common_cause_lead_to_their_pages():
    incident = replace(an_incident(ENTRY), members=(ENTRY.key, InstanceKey("loco/gone")))
    html = the_story(incident)

    assert ["../instances/instance-0", "../incidents?instance=instance-0"] == re.findall(
        r'href="([^"]+)"', html.split('<ul class="members">')[1].split("</ul>")[0]
    )
    assert "<li>loco/gone</li>" in html


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("common/node/worker-a", "cause node worker-a"),
        ("common/image/registry/emulator:2", "cause image registry/emulator:2"),
        ("common/fleet/brake", "cause the whole fleet"),
        ("loco/gone-0", "instance loco/gone-0"),
    ],
)
def test_what_an_incident_is_about_is_told_in_words(key, expected):
    assert expected in said(the_story(replace(an_incident(ENTRY), key=InstanceKey(key))))


def test_evidence_that_is_gone_says_so_in_place():
    html = the_story(an_incident(ENTRY), attempts=[an_attempt(ENTRY)], kept={12: "it was deleted"})

    assert "No evidence: it was deleted." in said(html)


def test_before_the_end_of_an_attempt_there_is_no_picture_of_after():
    running = an_attempt(ENTRY, state=AttemptState.RUNNING, outcome=None, ended_at_ms=None)
    html = incident_page.render_attempt(a_fleet_now(), running, Bundle(screens=[Screen(png=PNG)]), {})

    assert "no picture the attempt hasn't ended after" in said(html)


# The list


def test_open_incidents_stand_on_the_first_page_only_and_the_filter_is_kept_in_the_way_on():
    one = an_incident(ENTRY)
    first = incidents_page.Listed("all", "instance-0", [one], [], "abc", {ENTRY.key: "instance-0"})
    later = replace(first, opened=None, older=None)

    html = incidents_page.render(a_fleet_now(), first)
    assert 'rel="next" href="incidents?state=all&amp;instance=instance-0&amp;cursor=abc"' in html
    assert "Open incident worst" in said(html)
    assert "Open incident worst" not in said(incidents_page.render(a_fleet_now(), later))
