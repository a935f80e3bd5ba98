"""Who says what about an instance: the agent's report, the handshake from outside, the pod's own status. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from api.fleet import Standing
from jobs.health.measured import SAYS_NOTHING
from jobs.health.model import ConnectivityOutcome, ProbeOutcome, Verdict

_WELL = {"healthy": True, "degraded": False, "unhealthy": False}


@dataclass(frozen=True, slots=True)
class Witness:
    """One witness. said: a clause. is_well: what it speaks for, None for nothing. at_ms: when it last looked."""

    name: str
    said: str
    is_well: bool | None
    at_ms: int | None

    def agrees_with(self, verdict: Verdict) -> bool | None:
        """Tell whether it speaks for a verdict or against it, None where either has nothing to say."""
        if self.is_well is None or verdict is Verdict.UNKNOWN:
            return None
        return self.is_well == (verdict is Verdict.HEALTHY)


def witnesses(standing: Standing) -> tuple[Witness, Witness, Witness]:
    """Return what each witness last said."""
    return _report(standing), _handshake(standing), _pod(standing)


def _report(standing: Standing) -> Witness:
    latest, name = standing.latest, "agent's report"
    if latest is None:
        return Witness(name, "was never asked", None, None)
    at_ms = latest.assessment.observed_at_ms
    if latest.outcome is ProbeOutcome.NOT_ASKED:
        return Witness(name, f"isn't asked: {latest.detail}", None, at_ms)
    if latest.outcome is not ProbeOutcome.OK or standing.report is None:
        return Witness(name, f"didn't come: {latest.outcome}: {latest.detail}".rstrip(": "), False, at_ms)  # noqa: FBT003
    word = standing.report.fields.overall_status
    return Witness(name, f"the agent's own word is {word}", _WELL.get(word), at_ms)


def _handshake(standing: Standing) -> Witness:
    known, name = standing.latest.connectivity if standing.latest else None, "handshake from outside"
    if known is None:
        return Witness(name, "none was tried yet", None, None)
    if known.outcome is ConnectivityOutcome.OK:
        took = "" if known.latency_seconds is None else f" after {known.latency_seconds * 1000:.1f} ms"
        return Witness(name, f"a viewer gets in{took}", True, known.checked_at_ms)  # noqa: FBT003
    said = f"{known.outcome}: {known.detail}".rstrip(": ")
    return Witness(name, said, None if known.outcome in SAYS_NOTHING else False, known.checked_at_ms)


def _pod(standing: Standing) -> Witness:
    pod, name = standing.instance.pod, "pod's status"
    if pod is None:
        return Witness(name, "no pod: a file names this instance", None, None)
    said = ", ".join(
        part
        for part in (
            pod.phase,
            pod.reason,
            pod.detail,
            "" if pod.restarts is None else f"{pod.restarts} restarts",
            f"on node {pod.node}" if pod.node else "",
            pod.node_problem or "",
        )
        if part
    )
    is_well = None if pod.is_stale else pod.phase == "Running" and not pod.reason and pod.is_ready is not False
    return Witness(name, f"{said}, as last known" if pod.is_stale else said, is_well, pod.since_ms)
