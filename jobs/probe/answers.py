"""What an agent's HTTP answer amounts to: a report, or a reason why there is none; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agent.report import MAX_REPORT_BYTES, HealthReport, ReportInvalid, decode
from jobs.health.model import Instance, InstanceKey, ProbeOutcome, ProbeResult

# ProbeResult's contract.
MAX_DETAIL_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to fetch from one instance; max_bytes of body are read at most."""

    key: InstanceKey
    url: str
    max_bytes: int = MAX_REPORT_BYTES


@dataclass(frozen=True, slots=True)
class Answer:
    """How one transfer ended. outcome: OK for a whole HTTP answer of any status, else why there is none.

    status, content_type, redirect_url, body: of a whole answer; content_type is empty where none was sent.
    """

    request: Request
    received_at_ms: int
    duration_seconds: float
    outcome: ProbeOutcome = ProbeOutcome.OK
    detail: str = ""
    status: int = 0
    content_type: str = ""
    redirect_url: str = ""
    body: bytes = b""


def report_request(instance: Instance) -> Request:
    """Return what to ask an instance's agent for its report."""
    return Request(instance.key, instance.health_url)


def probe_result(instance: Instance, answer: Answer) -> ProbeResult:
    """Return what an answer to `report_request(instance)` says; never raises."""
    outcome, detail, report = _judge(instance, answer)
    return ProbeResult(
        key=instance.key,
        outcome=outcome,
        received_at_ms=answer.received_at_ms,
        duration_seconds=answer.duration_seconds,
        detail=_clause(detail) if detail else "",
        report=report,
        body=answer.body if report else None,
        skew_seconds=_skew_seconds(report, answer.received_at_ms) if report else None,
    )


def _judge(instance: Instance, answer: Answer) -> tuple[ProbeOutcome, str, HealthReport | None]:
    """Return outcome, detail, and the report with OK only."""
    if answer.outcome is not ProbeOutcome.OK:
        return answer.outcome, answer.detail, None
    if answer.status != 200:
        return *_other_status(answer), None
    # A missing type passes: a shell agent may leave it out, and what it sends must be JSON anyway.
    if answer.content_type and _media_type(answer.content_type) != "application/json":
        return ProbeOutcome.NOT_JSON, f"content type {answer.content_type}, not application/json", None
    try:
        report = decode(answer.body)
    except ReportInvalid as error:
        return ProbeOutcome.INVALID, str(error), None
    uid = report.agent.uid if report.agent else None
    if instance.uid and uid and uid != instance.uid:
        return ProbeOutcome.WRONG_UID, f"the report is of pod uid {uid}, the inventory says {instance.uid}", None
    return ProbeOutcome.OK, "", report


def _other_status(answer: Answer) -> tuple[ProbeOutcome, str]:
    if 300 <= answer.status < 400:
        return ProbeOutcome.REDIRECTED, f"status {answer.status} to {answer.redirect_url or 'nowhere'}, not followed"
    return ProbeOutcome.HTTP_STATUS, f"status {answer.status}, only 200 is read"


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _skew_seconds(report: HealthReport, received_at_ms: int) -> float | None:
    """Return how far the agent's clock is ahead of ours; None for the legacy agent, whose timestamp may stand still."""
    if report.is_legacy:
        return None
    try:
        agent_time = datetime.fromisoformat(report.timestamp)
        return None if agent_time.tzinfo is None else agent_time.timestamp() - received_at_ms / 1000
    except (ValueError, OverflowError):
        return None


def _clause(text: str) -> str:
    """Return a stranger's text as printable characters, cut to what a detail may hold."""
    return "".join(character if character.isprintable() else " " for character in text[:MAX_DETAIL_CHARACTERS])
