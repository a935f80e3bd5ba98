"""From one probe to a verdict: which rules hold, which only follow from others, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jobs.health.history import History, StoredTick
from jobs.health.model import Assessment, Connectivity, Instance, ProbeResult, Reason
from jobs.health.policy import Policy


def classify(
    instance: Instance, probe: ProbeResult, connectivity: Connectivity | None, history: History, policy: Policy
) -> Assessment:
    """Return the assessment of one instance at one tick; total over every report that `agent.report.decode` returns.

    connectivity: the latest, None before the first. history: without this tick.
    """
    raise NotImplementedError


def unobserved(instance: Instance, *, at_ms: int) -> Assessment:
    """Return what is to say of an instance before its first tick: unknown, `NotYetObserved`."""
    raise NotImplementedError


def recall(
    instance: Instance, ticks: Iterable[StoredTick], policy: Policy, *, reasons: Sequence[Reason] = ()
) -> History:
    """Return the history that a run before this one left in the store.

    ticks: oldest first; the last HISTORY_TICKS are enough. reasons: of the latest assessment, for their `since_ms`.
    """
    raise NotImplementedError
