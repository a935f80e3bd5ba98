"""Recovery as it is told: what was done, what is next, why not yet, and nothing where nothing is known."""

import json
import re
from dataclasses import replace
from html import escape

import msgspec
import pytest
from snapshots import (
    NOW_MS,
    QEMU_DEAD,
    a_fleet_now,
    a_plan,
    a_recovery,
    a_snapshot,
    an_attempt,
    an_entry,
    an_incident,
    latest_of,
    the_standing,
)

from api import prose
from api.fleet import see
from api.pages.wall import render
from api.views.history import incident, why
from api.views.recovery import UNTOLD, recovery
from jobs.health.control import Stop
from jobs.health.model import InstanceKey
from jobs.health.recovery import Action, AttemptOutcome, AttemptState, Held, Hold

ENTRY = an_entry()
SEED = {"attempts", "maxAttempts", "canRecover", "reason", "history"}
WAITS = "restart-qemu waits: one viewer for 40 s, at most 300 s"


def sick(known, *, now_ms=NOW_MS):
    """Return the standing of a dead instance with an open incident."""
    return the_standing(snapshot_of(known), now_ms=now_ms)


def snapshot_of(known):
    """Return the snapshot of a dead instance with an open incident."""
    return a_snapshot((ENTRY, latest_of(ENTRY, QEMU_DEAD)), incident=an_incident(ENTRY), recovery=known)


def test_recovery_status_keeps_the_seeds_fields():
    assert set() == SEED - set(recovery(the_standing()))


def test_a_card_that_is_well_again_says_so_and_no_code():
    plan = a_plan(ENTRY, action=None, hold=Hold.NOT_ACTIONABLE, detail="nothing is wrong at this tick")
    well = a_snapshot((ENTRY, latest_of(ENTRY)), incident=an_incident(ENTRY), recovery=a_recovery(plan))

    assert "Nothing is wrong now; the incident closes once that has lasted." == prose.outlook(the_standing(well))
    assert "Recovery: NotActionable: nothing is wrong at this tick." == prose.outlook(sick(a_recovery(plan)))


def test_an_instance_without_an_incident_has_nothing_planned():
    told = recovery(the_standing())

    assert (0, 3, False, "no incident is open, so nothing is planned", None, None, []) == tuple(
        told[field] for field in ("attempts", "maxAttempts", "canRecover", "reason", "hold", "next", "history")
    )


def test_a_due_plan_can_recover_and_has_no_reason_against_it():
    told = recovery(sick(a_recovery(a_plan(ENTRY))))

    assert (True, None, None, "restart-qemu", True) == (
        told["canRecover"],
        told["reason"],
        told["hold"],
        told["next"]["action"],
        told["next"]["due"],
    )


def test_a_held_plan_says_what_is_next_why_not_yet_and_until_when():
    plan = a_plan(ENTRY, hold=Hold.USER_CONNECTED, detail=WAITS, until_ms=NOW_MS + 260_000)

    told = recovery(sick(a_recovery(plan)))

    assert (False, f"UserConnected: {WAITS}", "UserConnected") == (told["canRecover"], told["reason"], told["hold"])
    assert ("restart-qemu", False, "2026-11-24T20:12:03.000Z") == tuple(
        told["next"][field] for field in ("action", "due", "until")
    )


@pytest.mark.parametrize(
    ("hold", "held", "expected"),
    [
        (None, Hold.BUDGET_SPENT, "BudgetSpent"),
        (Hold.USER_CONNECTED, Hold.COOL_DOWN, "UserConnected"),
        (Hold.USER_CONNECTED, Hold.ATTEMPT_RUNNING, "AttemptRunning"),
        (Hold.NEEDS_HUMAN, Hold.LEDGER_UNREAD, "LedgerUnread"),
    ],
)
def test_the_ledger_has_the_last_word_over_a_due_plan_and_over_what_is_older_than_it(hold, held, expected):
    told = recovery(sick(a_recovery(a_plan(ENTRY, hold=hold), held=Held(held, "so it is"))))

    assert (False, expected) == (told["canRecover"], told["hold"])


def test_nothing_is_done_on_an_old_assessment():
    told = recovery(sick(a_recovery(a_plan(ENTRY)), now_ms=NOW_MS + 60_000))

    assert (False, "the latest assessment is too old to act on") == (told["canRecover"], told["reason"])


def test_an_attempt_is_told_with_its_times_and_its_outcome():
    (told,) = recovery(sick(a_recovery(None, an_attempt(ENTRY))))["history"]

    assert (12, "reset-audio", "healed", "well for 6 s", "2026-11-24T20:07:14.000Z", None, True) == tuple(
        told[field] for field in ("id", "action", "outcome", "detail", "actedAt", "requestedBy", "hasEvidence")
    )


def test_a_configmap_tells_null_and_why():
    told = recovery(replace(the_standing(), recovery=None))

    assert (UNTOLD, {None}) == (told["reason"], {value for name, value in told.items() if name != "reason"})


def test_bodies_hold_no_running_age():
    known = a_recovery(a_plan(ENTRY, hold=Hold.USER_CONNECTED, detail=WAITS), an_attempt(ENTRY))

    assert 1 == len({msgspec.json.encode(recovery(sick(known, now_ms=NOW_MS + late))) for late in (0, 20_000)})


def test_an_incident_has_its_plan_its_attempts_and_its_members():
    one = replace(an_incident(ENTRY), members=(ENTRY.key, InstanceKey("loco/gone-0")))

    told = incident(one, {ENTRY.key: "instance-0"}, attempts=[an_attempt(ENTRY)], planned=a_plan(ENTRY))

    assert ("restart-qemu", [12]) == (told["plan"]["action"], [each["id"] for each in told["attempts"]])
    assert [("instance-0", "static/instance-0"), (None, "loco/gone-0")] == [
        (member["instanceId"], member["key"]) for member in told["members"]
    ]


def test_the_plan_of_another_incident_isnt_this_ones():
    told = incident(an_incident(ENTRY), {}, attempts=[], planned=a_plan(ENTRY, incident="other"))

    assert (None, None) == (told["plan"], told["instanceId"])


def test_why_says_what_is_next_and_why_not_yet():
    standing = sick(a_recovery(a_plan(ENTRY, hold=Hold.USER_CONNECTED, detail=WAITS)))

    told = json.loads(msgspec.json.encode(why(standing, [], [an_attempt(ENTRY)])))

    assert (f"UserConnected: {WAITS}", "restart-qemu", [12]) == (
        told["recovery"]["reason"],
        told["incident"]["plan"]["action"],
        [each["id"] for each in told["incident"]["attempts"]],
    )


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (a_plan(ENTRY), "Recovery: restart-qemu next; QemuDead for 58 s."),
        (a_plan(ENTRY, detail=""), "Recovery: restart-qemu next; due now."),
        (
            a_plan(ENTRY, hold=Hold.USER_CONNECTED, detail=WAITS),
            f"Recovery: UserConnected: {WAITS}.",
        ),
        (
            a_plan(ENTRY, action=None, hold=Hold.NEEDS_HUMAN, detail="every rung was tried"),
            "Recovery: nothing next; NeedsHuman: every rung was tried.",
        ),
        (None, ""),
    ],
)
def test_the_page_has_a_line_of_what_is_next(plan, expected):
    assert expected == prose.outlook(sick(a_recovery(plan, an_attempt(ENTRY))))


def test_while_an_attempt_runs_the_page_tells_only_that():
    running = an_attempt(ENTRY, state=AttemptState.RUNNING, outcome=None, ended_at_ms=None)
    held = Held(Hold.ATTEMPT_RUNNING, "attempt 12 is running")

    assert "" == prose.outlook(sick(a_recovery(a_plan(ENTRY), running, held=held)))
    assert "AttemptRunning" in prose.outlook(sick(a_recovery(a_plan(ENTRY), an_attempt(ENTRY), held=held)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Attempt 12, reset-audio, ended healed: well for 6 s. ended 20:07:23 UTC"),
        (
            {"state": AttemptState.RUNNING, "outcome": None, "ended_at_ms": None},
            "Attempt 12, reset-audio, is running. begun 20:07:13 UTC",
        ),
        (
            {"outcome": AttemptOutcome.UNKNOWN, "ended_at_ms": None, "detail": "<lost>"},
            "Attempt 12, reset-audio, ended unknown-outcome: &lt;lost&gt;. begun 20:07:13 UTC",
        ),
    ],
)
def test_the_page_has_a_line_of_what_came_of_the_last_attempt(changes, expected):
    attempts = (an_attempt(ENTRY, **changes), an_attempt(ENTRY, id=3, action=Action.RESET_GUEST))
    page = render(a_fleet_now(snapshot_of(a_recovery(None, *attempts))))

    assert [expected] == [re.sub("</?time[^>]*>", "", line) for line in re.findall('class="recovery">(.+?)</p>', page)]


def test_without_attempts_or_a_store_the_page_has_no_such_line():
    assert (None, "") == (prose.newest(the_standing()), prose.outlook(replace(the_standing(), recovery=None)))


def braked(key, *members):
    """Return the snapshot of a dead instance, held by an incident of several."""
    brake = replace(an_incident(ENTRY), id="b", key=InstanceKey(key), members=members or (ENTRY.key,))
    made = snapshot_of(a_recovery(a_plan(ENTRY, hold=Hold.FLEET_BRAKE, detail="restart-qemu waits: it is on")))
    return replace(made, incidents={**made.incidents, brake.key: brake})


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (
            "common/fleet/brake",
            (
                "Nothing is done about any instance.",
                "FleetBrake: 1 instances were ill at once without a common cause, too many to act one by one",
            ),
        ),
        ("common/node/<a>", ("Nothing is done about them one by one.", "CommonCause: 1 instances on node <a> are ill")),
    ],
)
def test_a_brake_is_one_banner_whatever_acts_it_holds(key, expected):
    fleet = a_fleet_now(braked(key))

    assert [expected] == prose.banners(fleet)
    assert escape(expected[1]) in render(fleet)


def test_the_footer_says_what_the_banner_says_of_a_fleet_brake():
    of_fleet, of_node = (prose.mode(a_fleet_now(braked(key))) for key in ("common/fleet/brake", "common/node/a"))

    assert ("recovery is stopped", "recovery acts") == (of_fleet, of_node)


def test_a_ledger_that_is_not_read_yet_is_one_banner():
    held = Held(Hold.LEDGER_UNREAD, "it isn't known yet what was done")
    one = a_recovery(a_plan(ENTRY), held=held).of(ENTRY.key)
    known = replace(a_recovery(), instances={InstanceKey("a/a"): one, InstanceKey("a/b"): one})

    assert [("Nothing is done yet.", held.detail)] == prose.banners(a_fleet_now(snapshot_of(known)))


def test_a_dry_run_is_a_banner():
    expected = "<b>Dry run.</b> Recovery is planned and shown, and nothing is done."

    assert expected in render(a_fleet_now(snapshot_of(a_recovery(is_dry_run=True))))


def test_what_the_switches_forbid_is_a_banner_also_while_nothing_is_ill():
    fleet = see(a_snapshot(), "", NOW_MS, Stop(Hold.KILL_SWITCH, "recovery is switched off in loco-control"))

    assert [("Nothing is done now.", "KillSwitch: recovery is switched off in loco-control")] == prose.banners(fleet)
    assert "recovery is stopped" == prose.mode(fleet)


def test_what_stops_one_act_is_no_banner():
    known = a_recovery(a_plan(ENTRY, hold=Hold.COOL_DOWN))

    assert [] == prose.banners(a_fleet_now(snapshot_of(known)))


@pytest.mark.parametrize(
    ("known", "expected"),
    [(a_recovery(), "recovery acts"), (a_recovery(is_dry_run=True), "recovery is a dry run")],
)
def test_the_page_says_whether_recovery_acts(known, expected):
    assert f", {expected}</span>" in render(a_fleet_now(a_snapshot(recovery=known)))


def test_a_configmap_doesnt_say_whether_recovery_acts():
    fleet = a_fleet_now(replace(a_snapshot(), recovery=None))

    assert ("", []) == (prose.mode(fleet), prose.banners(fleet))
