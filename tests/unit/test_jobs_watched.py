from dataclasses import replace

from builders import POLICY, Watch, a_handshake, a_report, an_instance, codes

from jobs.health.model import ProbeOutcome
from jobs.health.watched import Watched, follow, see_connectivity


def between_ticks(watch, vnc, *, seconds=5):
    """Shake hands after the last tick; return what the next look knows, and the new assessment or None."""
    handshake = a_handshake(vnc, at_ms=watch.at_ms + seconds * 1000)
    return see_connectivity(watch.watched, handshake, policy=POLICY)


def test_a_handshake_that_says_the_same_changes_only_what_is_known():
    watch = Watch()
    watch.see()
    seen, assessment = between_ticks(watch, "ok")

    assert assessment is None
    assert watch.at_ms + 5000 == seen.connectivity.checked_at_ms


def test_a_handshake_that_says_otherwise_is_an_assessment_of_its_own_time():
    watch = Watch()
    watch.see(vnc="refused")
    watch.see()
    seen, assessment = between_ticks(watch, "refused")

    assert ["VncUnreachable", "AgentDisagrees"] == codes(assessment)
    assert watch.at_ms + 5000 == assessment.observed_at_ms
    assert assessment == seen.assessment


def test_between_ticks_neither_history_nor_incidents_move():
    watch = Watch()
    watch.see(vnc="refused")
    watch.see()
    seen, _ = between_ticks(watch, "refused")

    assert (watch.watched.history, watch.watched.before, watch.tick) == (seen.history, seen.before, seen.tick)
    assert seen.incident is None


def test_the_same_tick_judged_again_counts_once():
    watch = Watch()
    watch.see(vnc="refused")
    _, assessment = between_ticks(watch, "refused")

    assert assessment is None


def test_before_the_first_probe_of_a_run_a_handshake_judges_nothing():
    seen, assessment = see_connectivity(Watched(an_instance()), a_handshake("refused"), policy=POLICY)

    assert assessment is None
    assert "refused" == seen.connectivity.outcome


def test_a_failed_probe_leaves_the_last_good_report_with_its_own_time():
    watch = Watch()
    watch.see(a_report())
    good_at_ms = watch.at_ms
    watch.see(outcome=ProbeOutcome.TIMEOUT)

    assert watch.watched.report is not None
    assert good_at_ms == watch.watched.report_at_ms
    assert ProbeOutcome.TIMEOUT == watch.watched.probe.outcome


def test_a_renamed_instance_keeps_all_that_is_known_of_it():
    watch = Watch()
    watch.see()
    seen = follow(watch.watched, an_instance(name="Renamed"))

    assert replace(watch.watched, instance=an_instance(name="Renamed")) == seen


def test_at_another_place_nothing_was_seen_yet_but_what_happened_before_is_remembered():
    watch = Watch()
    watch.see()
    seen = follow(watch.watched, an_instance(uid="9c1f"))

    assert (None, None, None, None, 0) == (
        seen.probe,
        seen.assessment,
        seen.report,
        seen.connectivity,
        seen.report_at_ms,
    )
    assert (watch.watched.history, watch.tick) == (seen.history, seen.tick)
