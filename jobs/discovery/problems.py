"""What is wrong with discovery, for people; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobs.cluster.sight import Sight
from jobs.health.model import Instance


def problem_of(
    sights: Sequence[Sight], instances: Sequence[Instance], selector: str, fallback_problem: str | None
) -> str | None:
    """Return everything that is wrong, one clause after the other, None for nothing.

    fallback_problem: of the instances file, where that is what counts.
    """
    return "; ".join(_clauses(sights, instances, selector, fallback_problem)) or None


def _clauses(
    sights: Sequence[Sight], instances: Sequence[Instance], selector: str, fallback_problem: str | None
) -> Iterator[str]:
    for sight in sights:
        name = sight.facts.name
        kept = sum(one.pod is not None and one.pod.namespace == name for one in instances)
        stay = f"its {kept} instances stay as last known" if kept else "none of its instances is known yet"
        if sight.facts.problem:
            yield f"{sight.facts.problem}; {stay}"
        elif sight.pods is None:
            yield f"namespace {name} wasn't listed yet; {stay}"
        elif not sight.pods:
            yield _emptiness(name, selector, kept)
        if sight.facts.owners_problem:
            yield f"namespace {name}: {sight.facts.owners_problem}"
    if fallback_problem:
        yield fallback_problem


def _emptiness(namespace: str, selector: str, kept: int) -> str:
    none = f"namespace {namespace} shows no pod with the labels {selector}"
    return f"{none}, though {kept} instances were known there; they stay as Missing" if kept else none
