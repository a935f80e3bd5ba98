"""Anybody may post what a browser posts: however bad it is, only the stream is acted on, and nothing else is hidden."""

import json

import pytest
from builders import Watch, a_report, changed
from decoy_faults import DECOY_FAULTS, clients, recorded
from hypothesis import given, settings
from hypothesis import strategies as st
from situations import a_situation, acting_report, an_attempt, lasting

from agent.checks.clients import StatsInvalid, parse_stats
from jobs.health.bounds import RecoveryBounds
from jobs.health.brake import Illness, stream_brake
from jobs.health.model import FailureClass, Verdict
from jobs.health.plan import plan_recovery
from jobs.health.policyfile import ladder_of
from jobs.health.recovery import Action, AttemptOutcome, Held, Hold, Limits
from jobs.health.remedies import STREAM_ACTS
from jobs.health.rules import BY_WORD
from jobs.health.situation import Wish

WORST = {"packetLoss": 1.0, "jitter": 60.0, "latency": 60.0, "framerate": 0.0, "error": "ICE failed"}
FORGED = [clients(WORST), clients(WORST, WORST), clients(*[WORST] * 50)]
SPENT = Held(Hold.BUDGET_SPENT, "2 attempts in 60 minutes, at most 2 are allowed", 60.0)


def measured(assessment):
    """Return what an assessment says, but for what it has from browsers."""
    return [one.code for one in assessment.reasons if one.code not in BY_WORD]


def seen(report, vnc):
    """Return the assessment after four ticks of one report."""
    watch = Watch()
    for _ in range(4):
        assessment = watch.see(report, vnc=vnc)
    return assessment


@pytest.mark.parametrize("forged", FORGED, ids=["one", "two", "fifty"])
@pytest.mark.parametrize("fault", [name for name, (_, (_, layer, _)) in DECOY_FAULTS.items() if layer != "none"])
def test_what_was_measured_is_told_as_without_them(fault, forged):
    vnc, _ = DECOY_FAULTS[fault]
    alone, beside = seen(recorded(fault), vnc), seen(changed(recorded(fault), clients=forged), vnc)

    assert (alone.verdict, alone.failure_class) == (beside.verdict, beside.failure_class)
    assert measured(alone) == measured(beside)


NUMBER = st.one_of(st.none(), st.floats(0, 60), st.floats(allow_nan=False), st.integers())
POST = st.fixed_dictionaries(
    {"id": st.text(max_size=5), "error": st.one_of(st.none(), st.text(max_size=20))},
    optional=dict.fromkeys(("packetLoss", "jitter", "latency", "framerate", "frozen"), NUMBER),
)


def taken(posts):
    """Return the fields of those posts that the agent takes."""
    for post in posts:
        try:
            client = parse_stats(json.dumps(post).encode())
        except StatsInvalid:
            continue
        yield {name: getattr(client, name) for name in ("packetLoss", "jitter", "latency", "framerate", "error")}


@given(posts=st.lists(POST, max_size=4), outcomes=st.lists(st.sampled_from(AttemptOutcome), max_size=4))
@settings(max_examples=200, deadline=None)
def test_whatever_they_post_no_act_touches_a_pod(posts, outcomes):
    assessment = seen(a_report(clients=clients(*taken(posts))), "ok")
    attempts = tuple(
        an_attempt(sorted(STREAM_ACTS)[number % 2], one, attempt_id=number) for number, one in enumerate(outcomes)
    )
    situation = a_situation(assessment=lasting(*[one.code for one in assessment.reasons]), attempts=attempts)

    assert {one.code for one in assessment.reasons} <= BY_WORD
    assert plan_recovery(situation).action in {None, *STREAM_ACTS}


def test_no_policy_file_can_change_that():
    assert set(STREAM_ACTS) == {action for code in BY_WORD for action in ladder_of(code)}


@pytest.mark.parametrize("ended", ["worse", "healed", "no-effect", "refused", "unknown-outcome"])
def test_what_was_done_about_them_ends_no_ladder_of_a_measured_fault(ended):
    attempts = tuple(an_attempt(Action.LOWER_QUALITY, ended, attempt_id=number) for number in range(3))
    situation = a_situation("ScreenFrozen", *BY_WORD, attempts=attempts)

    assert plan_recovery(a_situation("ScreenFrozen")).action == plan_recovery(situation).action


def test_the_last_attempt_of_the_hour_is_kept_for_what_was_measured():
    on_a_stream = plan_recovery(a_situation("ClientPacketLoss", stream_refusal=SPENT))

    assert Limits(attempts=2, idle_attempts=5) == Limits().for_streams
    assert Limits(attempts=1, idle_attempts=0) == Limits(attempts=1, idle_attempts=0).for_streams
    assert Hold.BUDGET_SPENT is on_a_stream.hold
    assert on_a_stream.detail.endswith("at most 2 are allowed on a stream")
    assert plan_recovery(a_situation("AudioMuted", stream_refusal=SPENT)).is_due


def test_however_many_instances_complain_only_acts_on_streams_wait():
    brake = stream_brake(3, 4, RecoveryBounds())
    asked = a_situation("ClientPacketLoss", stream_brake=brake, wish=Wish())

    assert stream_brake(2, 4, RecoveryBounds()) is None
    assert Hold.FLEET_BRAKE is plan_recovery(a_situation("ClientPacketLoss", stream_brake=brake)).hold
    assert plan_recovery(a_situation("AudioMuted", stream_brake=brake)).is_due
    assert plan_recovery(asked).is_due


@pytest.mark.parametrize(
    ("codes", "latest", "is_by_word"),
    [
        (("AllClientsBad", "HostBusy"), (), True),
        (("ClientError",), ("ClientError",), True),
        (("ClientError", "AudioMuted"), (), False),
        (("ClientError", "AudioMuted"), ("AudioMuted", "ClientError"), False),
        (("ClientError", "AudioMuted"), ("ClientError",), True),
    ],
)
def test_an_instance_counts_for_the_brakes_by_what_was_measured(codes, latest, is_by_word):
    ill = Illness(
        since_ms=0,
        since_tick=0,
        verdict=Verdict.DEGRADED,
        failure_class=FailureClass.CLIENT,
        codes=codes,
        has_incident=True,
        is_bad=True,
        latest=latest,
    )

    assert is_by_word == ill.is_by_word


def test_people_who_only_say_that_they_watch_are_waited_for_no_longer_than_others():
    watched = acting_report(clients=clients(*[{}] * 50))
    first = plan_recovery(a_situation("ScreenFrozen", report=watched))
    later = a_situation("ScreenFrozen", report=watched, before=first, witnessed_ms=first.wanted_ms + 300_000)

    assert Hold.USER_CONNECTED is first.hold
    assert plan_recovery(later).is_due


def test_their_word_alone_is_class_client():
    assert "client" == seen(a_report(clients=clients(WORST)), "ok").failure_class
