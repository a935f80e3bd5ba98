"""Whether the next rung may be climbed now, and what the plan says."""

from dataclasses import replace

import msgspec
import pytest
from builders import a_legacy_report
from hypothesis import given, settings
from hypothesis import strategies as st
from pods import a_pod
from situations import ACTS, INSTANCE, NOW_MS, WITNESSED_MS, a_situation, acting_report, an_attempt, lasting

from agent.report import Actions
from jobs.health.control import Stop
from jobs.health.holds import HOLDS
from jobs.health.ladder import FROZEN
from jobs.health.people import connected
from jobs.health.plan import plan_recovery
from jobs.health.policy import Policy
from jobs.health.recovery import Action, AttemptOutcome, Held, Hold, Plan
from jobs.health.remedies import CUTTING, ORDER, REMEDIES, STREAM_ACTS
from jobs.health.situation import Leave, Wish

WATCHED = acting_report(sessions={"count": 1})
UNKNOWN = acting_report(sessions=None)
COOLING = Held(Hold.COOL_DOWN, "the last attempt ended 5 s ago, 20 s are to pass", 15.0)
SPENT = Held(Hold.BUDGET_SPENT, "3 attempts in 60 minutes, at most 3 are allowed", 120.0)
RUNNING = Held(Hold.ATTEMPT_RUNNING, "attempt 4 is running")
UNREAD = Held(Hold.LEDGER_UNREAD, "it isn't known yet")


OF_A_FILE = replace(INSTANCE, pod=None, uid=None)


def plan(*codes, **fields):
    return plan_recovery(a_situation(*codes, **fields))


def hold(*codes, **fields):
    return plan(*codes, **fields).hold


def test_a_fault_with_nothing_in_the_way_is_due():
    made = plan("ScreenFrozen")

    assert made == Plan(
        incident="incident-1",
        key=INSTANCE.key,
        decided_at_ms=NOW_MS,
        action=Action.RESET_GUEST,
        detail="reset-guest is due for ScreenFrozen",
        uid="uid-1",
        restarts=2,
        codes=("ScreenFrozen",),
        is_cutting=True,
        wanted_ms=WITNESSED_MS,
    )
    assert made.is_due


def test_a_plan_survives_the_store():
    made = plan("ScreenFrozen", report=WATCHED)

    assert made == msgspec.json.decode(msgspec.json.encode(made), type=Plan)


def test_a_fault_that_has_passed_is_not_acted_on_though_its_incident_is_open():
    made = plan()

    assert (None, Hold.NOT_ACTIONABLE, ()) == (made.action, made.hold, made.codes)


def test_a_plan_without_a_rung_names_the_faults():
    assert ("HighCpu",) == plan("HighCpu").codes
    assert () == plan(assessment=None).codes


# What stands in the way, in the order of the table; each situation holds all of those after it too.
IN_THE_WAY = {
    Hold.DRY_RUN: {"leave": Leave(Policy(), is_dry_run=True)},
    Hold.USER_CONNECTED: {"report": WATCHED},
    Hold.COOL_DOWN: {"refusal": COOLING},
    Hold.BUDGET_SPENT: {"refusal": SPENT},
    Hold.NO_KEY: {"report": acting_report(sessions={"count": 1}, actions=Actions(error="no key"))},
    Hold.IDENTITY_UNPROVEN: {"report": acting_report(agent={"uid": None}, actions=None)},
    Hold.COMMON_CAUSE: {"brake": Held(Hold.COMMON_CAUSE, "4 instances on node a are ill")},
    Hold.FLEET_BRAKE: {"brake": Held(Hold.FLEET_BRAKE, "5 instances are ill")},
    Hold.ATTEMPT_RUNNING: {"refusal": RUNNING},
    Hold.LEDGER_UNREAD: {"refusal": UNREAD},
    Hold.PAUSED: {"stop": Stop(Hold.PAUSED, "paused until 2027", NOW_MS + 60_000)},
    Hold.KILL_SWITCH: {"stop": Stop(Hold.KILL_SWITCH, "recovery is switched off in loco-control")},
    Hold.NEEDS_HUMAN: {"attempts": (an_attempt("reset-guest", "worse"),)},
    Hold.SELF_HEALING: {"assessment": lasting("QemuDead", seconds=30)},
    Hold.NOT_ACTIONABLE: {"assessment": lasting()},
    Hold.BOOT_GRACE: {"assessment": lasting("Booting")},
}


def test_holds_are_asked_in_the_order_of_their_table():
    fields, found = {"assessment": lasting("ScreenFrozen")}, []
    for name, change in IN_THE_WAY.items():
        fields |= change
        found.append(plan(**fields).hold)
        assert name == found[-1]

    assert list(reversed(found)) == list(HOLDS)
    assert set(Hold) == set(HOLDS)


def test_pods_that_never_get_to_act_spend_the_budget_and_that_is_told():
    lost = replace(an_attempt("reset-interface", "unknown-outcome"), acted_ms=None, ended_ms=WITNESSED_MS)
    spent = plan("TapDown", refusal=SPENT, attempts=(lost,) * 3)

    assert (Hold.BUDGET_SPENT, Action.RESET_INTERFACE) == (spent.hold, spent.action)


def test_a_hold_says_what_waits_for_what_and_until_when():
    spent = plan("ScreenFrozen", refusal=SPENT)

    assert "reset-guest waits: 3 attempts in 60 minutes, at most 3 are allowed" == spent.detail
    assert (Action.RESET_GUEST, NOW_MS + 120_000) == (spent.action, spent.until_ms)
    paused = plan("ScreenFrozen", **IN_THE_WAY[Hold.PAUSED])
    assert ("reset-guest waits: paused until 2027", NOW_MS + 60_000) == (paused.detail, paused.until_ms)
    assert plan("ScreenFrozen", **IN_THE_WAY[Hold.KILL_SWITCH]).until_ms is None


@pytest.mark.parametrize(
    ("fields", "detail", "until_ms"),
    [
        (
            {"is_recovery_off": True},
            "annotation loco-health/recovery of the pod is off, or one of ours can't be taken",
            None,
        ),
        (
            {"maintenance_until_ms": NOW_MS + 1},
            "the pod is in maintenance by annotation loco-health/maintenance-until",
            NOW_MS + 1,
        ),
    ],
)
def test_a_pod_may_wish_to_be_left_alone(fields, detail, until_ms):
    made = plan("ScreenFrozen", instance=replace(INSTANCE, pod=a_pod(**fields)))

    assert (Hold.PAUSED, f"reset-guest waits: {detail}", until_ms) == (made.hold, made.detail, made.until_ms)


def test_maintenance_ends_at_its_instant():
    assert hold("ScreenFrozen", instance=replace(INSTANCE, pod=a_pod(maintenance_until_ms=NOW_MS))) is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"instance": replace(INSTANCE, pod=a_pod(is_stale=True))}, "the pod's namespace can't be listed now"),
        ({"instance": replace(INSTANCE, uid=None)}, "the pod's uid isn't known"),
        ({"report": None}, "the agent sent no report at this tick"),
        ({"report": a_legacy_report()}, "the report carries no pod uid"),
        ({"report": acting_report(agent=None)}, "the report carries no pod uid"),
        ({"report": a_legacy_report(), "instance": OF_A_FILE}, "the report carries no pod uid"),
    ],
)
def test_an_act_needs_proof_of_whose_agent_it_is(fields, why):
    made = plan("ScreenFrozen", **fields)

    assert Hold.IDENTITY_UNPROVEN == made.hold
    assert why in made.detail


def test_an_instance_of_a_file_without_a_uid_has_none_to_prove():
    assert hold("ScreenFrozen", instance=OF_A_FILE) is None
    assert hold("ScreenFrozen", instance=OF_A_FILE, report=acting_report(agent={"uid": None})) is None


def test_deleting_a_pod_needs_no_agent_but_its_uid():
    leave = Leave(Policy(), may_delete_pod=True)
    wish = Wish(Action.DELETE_POD, is_forced=True)

    assert hold("QemuDead", leave=leave, report=None, wish=wish) is None
    assert Hold.IDENTITY_UNPROVEN == hold("QemuDead", leave=leave, wish=wish, instance=replace(INSTANCE, uid=None))


@pytest.mark.parametrize(
    ("actions", "detail"),
    [
        (None, "the agent's report says nothing of acts"),
        (Actions(error="LOCO_ACTION_KEY_FILE isn't set"), "the agent does no acts: LOCO_ACTION_KEY_FILE isn't set"),
    ],
)
def test_without_a_key_nothing_is_done(actions, detail):
    made = plan("ScreenFrozen", report=acting_report(actions=actions))

    assert (Hold.NO_KEY, f"reset-guest waits: {detail}") == (made.hold, made.detail)


def test_an_outcome_that_nobody_saw_has_its_time_to_show():
    lost = an_attempt("reset-guest", "unknown-outcome", ended_seconds_ago=10, attempt_id=3)
    made = plan("QemuStuck", attempts=(lost,))

    assert (Hold.COOL_DOWN, NOW_MS + 20_000) == (made.hold, made.until_ms)
    assert "restart-qemu waits: nobody saw the end of attempt 3, 30 s are to show what it did" == made.detail
    later = an_attempt("reset-guest", "unknown-outcome", ended_seconds_ago=30)
    assert hold("QemuStuck", attempts=(later,)) is None
    assert hold("QemuStuck", attempts=(lost,), wish=Wish(is_forced=True)) is None
    assert hold("QemuStuck", attempts=(replace(lost, acted_ms=None, ended_ms=lost.spent_ms),)) is None


def test_force_waits_neither_for_people_nor_is_it_told_to_cool_down():
    wish = Wish(is_forced=True)

    assert hold("ScreenFrozen", report=WATCHED, wish=wish) is None
    assert Hold.BUDGET_SPENT == hold("ScreenFrozen", refusal=SPENT, wish=wish)
    assert Hold.IDENTITY_UNPROVEN == hold("ScreenFrozen", report=None, wish=wish)


def test_a_person_may_ask_without_an_incident():
    made = plan(incident=None, wish=Wish(Action.RESET_AUDIO))

    assert (None, Action.RESET_AUDIO, "reset-audio is due, as asked") == (made.incident, made.action, made.detail)


def test_a_dry_run_says_what_would_be_done():
    leave = Leave(Policy(), is_dry_run=True)

    assert "reset-guest waits: it would be done now for ScreenFrozen, but this is a dry run" == (
        plan("ScreenFrozen", leave=leave).detail
    )
    assert "for a person" in plan(leave=leave, wish=Wish(Action.RESET_AUDIO)).detail


def test_a_plan_that_says_the_same_stays_as_it_was():
    first = plan("ScreenFrozen", refusal=SPENT)

    assert first == plan("ScreenFrozen", refusal=SPENT, before=first, now_ms=NOW_MS + 1999)
    assert first != plan("ScreenFrozen", refusal=SPENT, before=first, now_ms=NOW_MS + 2000)
    due = plan("ScreenFrozen")
    assert NOW_MS + 5 == plan("ScreenFrozen", before=due, now_ms=NOW_MS + 5).decided_at_ms


CODES = st.lists(st.sampled_from([*REMEDIES, *FROZEN, "HighCpu", "AgentTimeout"]), unique=True, max_size=4)
HISTORY = st.lists(
    st.tuples(st.sampled_from(Action), st.sampled_from([*AttemptOutcome, None]), CODES, st.integers(0, 100)),
    max_size=6,
)
REPORTS = st.sampled_from(
    [
        None,
        a_legacy_report(),
        acting_report(),
        WATCHED,
        UNKNOWN,
        acting_report(actions=None),
        acting_report(actions=Actions(error="no key")),
        acting_report(actions=Actions(can=ACTS.can[1:], cannot={"reset-interface": "no NET_ADMIN"})),
    ]
)
SITUATIONS = st.fixed_dictionaries(
    {
        "report": REPORTS,
        "refusal": st.sampled_from([None, COOLING, SPENT, RUNNING, UNREAD]),
        "stop": st.sampled_from([None, Stop(Hold.PAUSED, "paused", NOW_MS + 1), Stop(Hold.KILL_SWITCH, "off")]),
        "brake": st.sampled_from([None, Held(Hold.FLEET_BRAKE, "many are ill")]),
        "wish": st.sampled_from([None, Wish(), Wish(is_forced=True), Wish(Action.RESTART_QEMU)]),
        "leave": st.builds(Leave, st.just(Policy()), may_delete_pod=st.booleans(), is_dry_run=st.booleans()),
        "instance": st.sampled_from([INSTANCE, replace(INSTANCE, pod=None), replace(INSTANCE, uid=None)]),
    }
)


def attempts_of(history):
    return tuple(
        an_attempt(action, outcome, codes=tuple(codes), ended_seconds_ago=ago, attempt_id=number)
        for number, (action, outcome, codes, ago) in enumerate(history, 1)
    )


@given(codes=CODES, history=HISTORY, fields=SITUATIONS, seconds=st.integers(0, 100))
@settings(max_examples=150, deadline=None)
def test_whatever_the_situation_there_is_one_plan_and_what_is_due_had_leave(codes, history, fields, seconds):
    made = plan(assessment=lasting(*codes, seconds=seconds), attempts=attempts_of(history), **fields)

    assert made.is_due == (made.hold is None)
    assert made.detail
    if made.hold is None:
        assert fields["stop"] is fields["refusal"] is fields["brake"] is None
        assert not fields["leave"].is_dry_run
        assert set(codes).isdisjoint(FROZEN)
        assert made.action is not Action.DELETE_POD or (fields["leave"].may_delete_pod and fields["instance"].uid)
        if made.action in CUTTING and not (fields["wish"] and fields["wish"].is_forced):
            assert 0 == connected(fields["report"])


@given(codes=CODES, history=HISTORY)
@settings(max_examples=150, deadline=None)
def test_no_rung_is_due_again_after_it_failed_nor_any_below_it_for_the_same_fault(codes, history):
    made = plan(assessment=lasting(*codes), attempts=attempts_of(history))
    # What was done about the stream says nothing of a fault that was measured.
    attempts = [one for one in attempts_of(history) if made.action in STREAM_ACTS or one.action not in STREAM_ACTS]

    last = {one.action: one.outcome for one in attempts if one.outcome in {*_FAILED, "healed"}}
    if made.is_due:
        assert last.get(made.action) not in _FAILED
        for one in attempts:
            if last.get(one.action) in _FAILED and one.outcome in _FAILED and set(one.codes) & set(made.codes):
                assert ORDER[one.action] < ORDER[made.action]
        assert "worse" not in [one.outcome for one in attempts]


_FAILED = {"no-effect", "worse", "refused", "unknown-outcome"}


@given(codes=CODES.filter(lambda codes: set(codes).isdisjoint(FROZEN)))
@settings(max_examples=100, deadline=None)
def test_within_one_fault_acts_grow_more_disruptive_until_a_human_is_needed(codes):
    attempts, climbed = [], []
    for number in range(12):
        made = plan(*codes, attempts=tuple(attempts), leave=Leave(Policy(), may_delete_pod=True))
        if not made.is_due:
            break
        climbed.append(ORDER[made.action])
        attempts.append(an_attempt(made.action, "no-effect", codes=made.codes, attempt_id=number))

    assert climbed == sorted(set(climbed))
    assert made.hold in ((Hold.NEEDS_HUMAN,) if climbed else (Hold.NOT_ACTIONABLE,))
