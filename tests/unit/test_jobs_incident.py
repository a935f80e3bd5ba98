import msgspec
import pytest
from builders import Watch, a_report, codes
from decoy_faults import clients
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.health.incident import Incident, is_bad
from jobs.health.model import ProbeOutcome, Verdict
from jobs.health.policy import Policy

POLICY = Policy()

GOOD = {}
BAD = {"network": {"tap_up": False}}
MUTED = {"audio": {"muted": True}}
PAUSED = {"qemu": {"run_state": "paused"}}
KINDS = {"g": GOOD, "b": BAD, "m": MUTED, "x": {**BAD, **MUTED}, "p": PAUSED, "u": None}


def changes(ticks, policy=POLICY):
    """Watch one letter a tick (good, bad, muted, both, paused, unreachable); return (tick, kind) of every change."""
    return [(tick, change.kind.value) for tick, change in every_change(ticks, policy)]


def every_change(ticks, policy=POLICY):
    watch = Watch(policy=policy)
    for letter in ticks:
        if KINDS[letter] is None:
            watch.see(outcome=ProbeOutcome.REFUSED)
        else:
            watch.see(a_report(**KINDS[letter]))
        if watch.change is not None:
            yield watch.tick, watch.change


def test_two_bad_ticks_of_three_open():
    assert [(3, "opened")] == changes("gbb")
    assert [(4, "opened")] == changes("gbgb")


def test_one_bad_tick_or_two_far_apart_open_nothing():
    assert [] == changes("gbggbggb")


def test_a_good_tick_after_two_bad_ones_opens_nothing():
    assert [] == changes("gbg")


def test_an_incident_begins_with_its_first_bad_tick():
    ((_, change),) = every_change("gbgb")

    assert (2, 1_800_000_030_000) == (change.incident.opened_tick, change.incident.opened_at_ms)


def test_it_closes_after_the_hold_down_and_not_before():
    assert [(2, "opened"), (10, "closed")] == changes("bb" + "g" * 12)
    assert [(2, "opened")] == changes("bb" + "g" * 7)


def test_a_healthy_tick_too_few_of_the_window_is_forgiven():
    assert [(2, "opened"), (10, "closed")] == changes("bb" + "gggggpgg")


def test_it_does_not_close_at_a_planned_tick():
    assert [(2, "opened"), (11, "closed")] == changes("bb" + "gggggggpg")


def test_flapping_is_one_incident():
    assert [(3, "opened")] == changes("bgb" + "gbb" * 20)


def test_a_pause_opens_nothing_and_closes_nothing():
    assert [] == changes("p" * 20)
    assert [(2, "opened")] == changes("bb" + "p" * 20)


def test_new_reasons_are_updates_worse_verdicts_and_classes_escalate_and_repetition_is_none():
    assert [(2, "opened"), (4, "escalated"), (6, "escalated")] == changes("mmmbbuuu")


def escalations(ticks):
    return [change.escalation for _, change in every_change(ticks) if change.kind.value == "escalated"]


def test_an_escalation_says_what_got_worse():
    assert ["VerdictUnhealthy", "VerdictUnreachable"] == escalations("mmbbuu")
    assert ["ClassMixed"] == escalations("bbx")


def test_what_gets_worse_while_an_act_runs_is_told_after_it_if_it_still_holds():
    told = []
    for act in (False, True):
        watch = Watch()
        for is_acting, blocks in ((False, MUTED), (False, MUTED), (act, BAD), (False, BAD)):
            watch.see(a_report(**blocks), is_acting=is_acting)
            told.append(watch.change and watch.change.kind.value)

    assert [None, "opened", "escalated", None] == told[:4]
    assert [None, "opened", None, "escalated"] == told[4:]


def test_what_an_act_brought_about_and_took_away_again_leaves_the_incident_as_it_was():
    watch = Watch()
    for is_acting, blocks in ((False, MUTED), (False, MUTED), (True, BAD), (False, MUTED)):
        watch.see(a_report(**blocks), is_acting=is_acting)

    assert ("degraded", ("AudioMuted",)) == (watch.incident.verdict.value, watch.incident.codes)


def test_an_incident_closes_while_an_act_runs():
    watch = Watch()
    for blocks in (MUTED, MUTED, *[GOOD] * 8):
        watch.see(a_report(**blocks), is_acting=True)

    assert "closed" == watch.change.kind.value


def test_findings_beside_a_fault_are_not_what_was_wrong():
    busy = {"qemu": {"uptime_seconds": 4.0}, **BAD}
    watch = Watch()
    for blocks in (busy, busy, {"qemu": {"uptime_seconds": 20.0}, **BAD}):
        assert "Booting" in codes(watch.see(a_report(**blocks)))

    assert ("TapDown",) == watch.incident.codes


def test_a_measured_fault_after_what_browsers_say_is_told():
    complaining = {"clients": clients({"packetLoss": 0.5}, {"packetLoss": 0.5})}
    watch = Watch()
    told = []
    for blocks in (*[complaining] * 4, *[{**complaining, **MUTED}] * 2):
        watch.see(a_report(**blocks))
        told += [watch.change.escalation] if watch.change else []

    assert ["", "ClassQemu"] == told


def test_a_class_that_comes_back_is_not_worse_than_at_the_opening():
    assert [] == escalations("xxbx")
    assert [] == escalations("bbmbm")


def test_an_incident_keeps_the_worst_verdict_the_latest_class_and_all_codes():
    *_, (_, last) = every_change("mmbum")

    assert Verdict.UNREACHABLE == last.incident.verdict
    assert "qemu" == last.incident.failure_class
    assert ("AgentRefused", "AudioMuted", "TapDown") == last.incident.codes


def test_an_unknown_tick_leaves_the_class_as_it_was():
    watch = Watch()
    for _ in range(2):
        watch.see(a_report(**BAD))
    watch.see(outcome=ProbeOutcome.INVALID)

    assert ("network", ("ReportInvalid", "TapDown")) == (watch.incident.failure_class, watch.incident.codes)


def test_an_incident_keeps_the_evidence_of_its_opening():
    *_, (_, last) = every_change("mmbu")

    assert ["AudioMuted"] == [reason.code for reason in last.incident.reasons]
    assert last.incident.reasons[0].evidence


def test_closing_says_when_and_which_tick_was_the_last_bad_one():
    *_, (_, last) = every_change("bbgbb" + "g" * 8)

    assert (5, 1_800_000_000_000 + 13 * 15_000) == (last.incident.last_bad_tick, last.incident.closed_at_ms)


def test_the_second_incident_has_another_id():
    ids = [change.incident.id for _, change in every_change("bb" + "g" * 8 + "bb") if change.kind.value == "opened"]

    assert 2 == len(set(ids))


def test_two_runs_that_see_the_same_name_it_the_same():
    first, second = (next(iter(every_change("gbb")))[1].incident for _ in range(2))

    assert first == second
    assert 12 == len(first.id)


def test_an_incident_survives_the_store():
    ((_, change),) = every_change("bb")

    assert change.incident == msgspec.json.decode(msgspec.json.encode(change.incident), type=Incident)


def test_unwatched_time_does_not_count_as_good():
    watch = Watch()
    for _ in range(2):
        watch.see(a_report(**BAD))
    for _ in range(7):
        watch.see()
    watch.at_ms += 3_600_000
    watch.see()

    assert watch.change is None
    assert watch.incident is not None


@pytest.mark.parametrize(
    ("codes", "expected"),
    [((), False), (("ClockSkew",), False), (("PausedByOperator", "Booting"), False), (("HighCpu", "ClockSkew"), True)],
)
def test_findings_and_plans_are_not_bad(codes, expected):
    assert expected == is_bad(codes)


policies = st.builds(
    lambda ticks, window, close, close_window, hold: Policy(
        incident_open_ticks=min(ticks, window),
        incident_open_window=min(window, hold),
        incident_close_ticks=min(close, close_window),
        incident_close_window=close_window,
        incident_hold_down_ticks=hold,
    ),
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(1, 11),
)


@given(ticks=st.text("gbmpu", max_size=60), policy=policies)
@settings(max_examples=120, deadline=None)
def test_whatever_happens_incidents_open_and_close_in_turn_and_never_share_a_tick(ticks, policy):
    opened_ids, opened, closed_at = set(), None, 0
    for tick, change in every_change(ticks, policy):
        kind = change.kind.value
        if kind == "opened":
            assert opened is None
            assert change.incident.id not in opened_ids
            assert closed_at - policy.incident_hold_down_ticks < change.incident.opened_tick
            opened_ids.add(change.incident.id)
            opened = change.incident
        else:
            assert (opened.id, opened.opened_tick) == (change.incident.id, change.incident.opened_tick)
            assert set(opened.codes) <= set(change.incident.codes)
            if kind == "closed":
                assert ticks[tick - 1] == "g"
                assert "b" not in ticks[tick - policy.incident_hold_down_ticks : tick]
                opened, closed_at = None, tick
