"""What a rule is, and what it sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agent.report import Agent, Audio, Clients, HealthReport, Network, Performance, Qemu, Screen, Video
from jobs.health.history import History, Observation
from jobs.health.model import (
    Connectivity,
    ConnectivityOutcome,
    Evidence,
    FailureClass,
    Instance,
    ProbeResult,
    Severity,
)
from jobs.health.policy import Policy


@dataclass(frozen=True, slots=True)
class View:
    """Everything that a rule may look at. A missing block is a block in which nothing was measured.

    outside: how the latest connectivity probe ended; None where it is too old, or nothing was dialled.
    """

    instance: Instance
    probe: ProbeResult
    history: History
    policy: Policy
    connectivity: Connectivity | None
    outside: ConnectivityOutcome | None
    report: HealthReport
    agent: Agent | None
    qemu: Qemu
    video: Video
    screen: Screen
    audio: Audio
    performance: Performance
    network: Network
    clients: Clients

    @property
    def at_ms(self) -> int:
        """Return when the probe was answered."""
        return self.probe.received_at_ms

    @property
    def of_this_pod(self) -> tuple[Observation, ...]:
        """Return what was seen since the pod runs: another pod's QEMU is no earlier life of this one's."""
        pod = self.instance.pod
        if pod is None or pod.since_ms is None:
            return self.history.observations
        return tuple(one for one in self.history.observations if one.received_at_ms >= pod.since_ms)

    @property
    def is_booting(self) -> bool:
        """Tell whether QEMU is too young to be asked for motion and sound."""
        return self.qemu.uptime_seconds is not None and self.qemu.uptime_seconds < self.policy.boot_grace_seconds


@dataclass(frozen=True, slots=True)
class Needs:
    """At how many of the last `window` ticks, this one included, a rule must hold before it counts."""

    ticks: int
    window: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: what is wrong, in which layer, how one knows, what it means, what to do.

    follows: codes whose cause this one is only a consequence of; where one of them holds, this becomes its evidence.
    is_planned: somebody wanted it so; it opens no incident. is_final: nothing can be judged beside it.
    """

    code: str
    failure_class: FailureClass
    severity: Severity
    holds: Callable[[View], bool]
    evidence: Callable[[View], Iterable[Evidence]]
    means: str
    advice: str
    needs: Callable[[Policy], Needs] | None = None
    follows: frozenset[str] = frozenset()
    is_planned: bool = False
    is_final: bool = False


def look(
    instance: Instance, probe: ProbeResult, connectivity: Connectivity | None, history: History, policy: Policy
) -> View:
    """Return the view of one tick."""
    report = probe.report or _NO_REPORT
    return View(
        instance,
        probe,
        history,
        policy,
        connectivity,
        _outside(connectivity, probe.received_at_ms, policy),
        report,
        report.agent,
        report.qemu or _NO_QEMU,
        report.video or _NO_VIDEO,
        report.screen or _NO_SCREEN,
        report.audio or _NO_AUDIO,
        report.performance or _NO_PERFORMANCE,
        report.network or _NO_NETWORK,
        report.clients or _NO_CLIENTS,
    )


def _outside(connectivity: Connectivity | None, at_ms: int, policy: Policy) -> ConnectivityOutcome | None:
    """Return how the connectivity probe ended, where it says something about now."""
    if connectivity is None or connectivity.outcome is ConnectivityOutcome.NOT_DIALLED:
        return None
    is_old = at_ms - connectivity.checked_at_ms > policy.connectivity_max_age_seconds * 1000
    return None if is_old else connectivity.outcome


_NO_REPORT = HealthReport(timestamp="", overall_status="unknown", schema_version=1)
_NO_QEMU = Qemu()
_NO_VIDEO = Video()
_NO_SCREEN = Screen()
_NO_AUDIO = Audio()
_NO_PERFORMANCE = Performance()
_NO_NETWORK = Network()
_NO_CLIENTS = Clients()
