"""From one probe to a verdict: which rules hold, which only follow from others, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from jobs.health.history import EMPTY, History, StoredTick, append, began_ms, observe
from jobs.health.model import (
    Assessment,
    Connectivity,
    Evidence,
    FailureClass,
    Instance,
    ProbeResult,
    Reason,
    Severity,
    Verdict,
)
from jobs.health.policy import Policy
from jobs.health.rule import Needs, Rule, View, look
from jobs.health.rules import BY_CODE, BY_WORD, RULES, VERDICT_OF, WEIGHT


def classify(
    instance: Instance, probe: ProbeResult, connectivity: Connectivity | None, history: History, policy: Policy
) -> Assessment:
    """Return the assessment of one instance at one tick; total over every report that `agent.report.decode` returns.

    connectivity: the latest, None before the first. history: without this tick.
    Cost: about 10 us for a healthy report.
    """
    view = look(instance, probe, connectivity, history, policy)
    held, suspected = _judge(view)
    if not held:
        at_ms = probe.received_at_ms
        return Assessment(instance.key, at_ms, Verdict.HEALTHY, FailureClass.NONE, suspected=suspected)
    return _assessed(view, held, suspected)


def unobserved(instance: Instance, *, at_ms: int) -> Assessment:
    """Return what is to say of an instance before its first tick: unknown, `NotYetObserved`."""
    rule = BY_CODE["NotYetObserved"]
    evidence = (Evidence("inventory", instance.source, witness="inventory", since_ms=at_ms),)
    reason = Reason(rule.code, rule.failure_class, rule.severity, evidence)
    return Assessment(instance.key, at_ms, Verdict.UNKNOWN, FailureClass.NONE, (reason,), (rule.advice,))


def recall(
    instance: Instance, ticks: Iterable[StoredTick], policy: Policy, *, reasons: Sequence[Reason] = ()
) -> History:
    """Return the history that a run before this one left in the store.

    ticks: oldest first; the last HISTORY_TICKS are enough. reasons: of the latest assessment, for their `since_ms`.
    What a rule suspected is judged again from the reports; only what the connectivity probe made it suspect is lost.
    """
    history = EMPTY
    for stored in ticks:
        probe = ProbeResult(instance.key, stored.outcome, stored.received_at_ms, 0.0, report=stored.report)
        suspected = classify(instance, probe, None, history, policy).suspected
        history = History(append(history.observations, observe(stored, suspected=suspected)))
    began = {reason.code: one.since_ms for reason in reasons for one in reason.evidence if one.since_ms is not None}
    return replace(history, since_ms=began)


def _judge(view: View) -> tuple[list[Rule], tuple[str, ...]]:
    """Return the rules that hold, and the codes of those that don't hold often enough yet."""
    held: list[Rule] = []
    suspected: tuple[str, ...] = ()
    for rule in RULES:
        if rule.holds(view):
            if rule.needs is not None and not _is_repeated(rule.code, rule.needs(view.policy), view.history):
                suspected = (*suspected, rule.code)
                continue
            held.append(rule)
            if rule.is_final:
                break
    return held, suspected


def _is_repeated(code: str, needs: Needs, history: History) -> bool:
    """Tell whether a rule that holds now held at as many of the last ticks as it needs."""
    earlier = history.observations[-(needs.window - 1) :] if needs.window > 1 else ()
    return 1 + sum(code in one.codes or code in one.suspected for one in earlier) >= needs.ticks


def _assessed(view: View, held: list[Rule], suspected: tuple[str, ...]) -> Assessment:
    """Return what the rules that hold add up to, worst first."""
    codes = {rule.code for rule in held}
    causes = [rule for rule in held if codes.isdisjoint(rule.follows)]
    causes.sort(key=lambda rule: -WEIGHT[rule.severity])
    effects = [rule for rule in held if not codes.isdisjoint(rule.follows)]
    return Assessment(
        view.instance.key,
        view.at_ms,
        VERDICT_OF[causes[0].severity],
        _class_of(causes),
        tuple(_reason(rule, effects, view) for rule in causes),
        tuple(dict.fromkeys(rule.advice for rule in causes if rule.severity is not Severity.FINDING)),
        suspected,
    )


def _class_of(causes: Iterable[Rule]) -> FailureClass:
    """Return the layer at fault; clients suffer from every other layer, so beside one their word doesn't count."""
    classes = {rule.code: rule.failure_class for rule in causes if rule.failure_class is not FailureClass.NONE}
    measured = {one for code, one in classes.items() if code not in BY_WORD}
    told = measured or set(classes.values())
    if len(told) > 1:
        return FailureClass.MIXED
    return told.pop() if told else FailureClass.NONE


def _reason(cause: Rule, effects: Iterable[Rule], view: View) -> Reason:
    """Return a rule as a reason: its own facts, then the codes that only follow from it."""
    since_ms = began_ms(view.history, cause.code, at_ms=view.at_ms)
    facts = [replace(one, since_ms=since_ms) for one in cause.evidence(view)]
    facts.extend(Evidence("explains", rule.code, since_ms=since_ms) for rule in effects if cause.code in rule.follows)
    return Reason(cause.code, cause.failure_class, cause.severity, tuple(facts))
