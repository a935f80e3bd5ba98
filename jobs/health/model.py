"""The values that flow from a probe to a verdict.

Times are integer Unix milliseconds in UTC (`*_at_ms`) on the collector's clock; nothing here reads one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NewType

from agent.report import HealthReport

InstanceKey = NewType("InstanceKey", str)
"""`namespace/pod`; `static/<id>` for an instance that a file names."""


class Verdict(StrEnum):
    """What one tick says of one instance."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


class FailureClass(StrEnum):
    """The layer that is at fault: the seed's words."""

    NONE = "none"
    NETWORK = "network"
    QEMU = "qemu"
    CLIENT = "client"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """What Kubernetes said of an instance's pod when discovery last looked.

    phase: Pending, Running, Succeeded, Failed, Unknown; Missing while a StatefulSet wants a pod that isn't there.
    reason: the pod's own word for what keeps it from serving (ImagePullBackOff, CrashLoopBackOff, Terminating,
    Evicted, ...), empty where it runs; detail: its sentence, at most 200 characters.
    since_ms: when that phase of that pod began, by discover's clock; a container's restart doesn't move it.
    restarts: of its containers; it, node and statefulset are None where not told.
    node_problem: NotReady, pressures, cordoned; empty where nothing is wrong, None where nobody has said it.
    off_reason, off_until_ms: set where the pod's annotations say that it is not to be watched.
    is_recovery_off, maintenance_until_ms: set where they say that it is watched and not to be acted on.
    notes: one sentence for each annotation that wasn't taken.
    is_stale: its namespace can't be listed now, so all of this is what was last known.
    """

    namespace: str
    name: str
    phase: str
    reason: str = ""
    detail: str = ""
    since_ms: int | None = None
    is_ready: bool | None = None
    restarts: int | None = None
    node: str | None = None
    node_problem: str | None = None
    images: tuple[str, ...] = ()
    statefulset: str | None = None
    off_reason: str | None = None
    off_until_ms: int | None = None
    is_recovery_off: bool = False
    maintenance_until_ms: int | None = None
    notes: tuple[str, ...] = ()
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class Instance:
    """One monitored instance as the inventory knows it.

    public_id: what people and URLs call it. health_url: full URL of the report. vnc_address: (host, port) or None
    where no VNC is offered. uid: the pod uid that a report must carry, None where the inventory knows none.
    expect_*_seconds: longest stillness or silence that is normal here; None means that neither is ever a fault.
    pod: None for an instance that a file names.
    fields: the inventory's own entry, unknown fields kept, as the seed's front end reads it.
    """

    key: InstanceKey
    public_id: str
    name: str
    health_url: str
    description: str = ""
    vnc_address: tuple[str, int] | None = None
    uid: str | None = None
    expect_motion_seconds: float | None = None
    expect_sound_seconds: float | None = None
    source: str = "static"
    pod: Pod | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> tuple[object, ...]:
        """Return where it is and as which pod: what was seen at another place says nothing about this one."""
        return self.health_url, self.vnc_address, self.uid


class ProbeOutcome(StrEnum):
    """How fetching one report ended; all but OK leave the last good report in place.

    NOT_ASKED: nothing was dialled, because the pod can't answer or isn't to be watched.
    """

    OK = "ok"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNRESOLVED = "unresolved"
    DISCONNECTED = "disconnected"
    HTTP_STATUS = "http-status"
    REDIRECTED = "redirected"
    NOT_JSON = "not-json"
    TOO_LARGE = "too-large"
    INVALID = "invalid"
    WRONG_UID = "wrong-uid"
    NOT_ASKED = "not-asked"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One attempt to fetch a report, ended one way or another; or why there was none.

    detail: one clause with observed value and limit, at most 200 characters, no control characters.
    report, body: set only with OK. duration_seconds: from the first byte sent to the last received.
    received_at_ms: the collector's clock. skew_seconds: agent's clock less ours, None without a report.
    """

    key: InstanceKey
    outcome: ProbeOutcome
    received_at_ms: int
    duration_seconds: float
    detail: str = ""
    report: HealthReport | None = None
    body: bytes | None = None
    skew_seconds: float | None = None


class ConnectivityOutcome(StrEnum):
    """How one connectivity probe ended. NOT_DIALLED: it could have harmed, or nothing is offered."""

    OK = "ok"
    NOT_DIALLED = "not-dialled"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNRESOLVED = "unresolved"
    MUTE = "mute"
    NOT_RFB = "not-rfb"
    DENIED = "denied"
    TOO_MANY = "too-many"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class Connectivity:
    """One RFB handshake from outside, or why there was none. latency_seconds: connect to ServerInit.

    rest_seconds: for how long after `checked_at_ms` the server is left alone, because it has had too many.
    """

    outcome: ConnectivityOutcome
    checked_at_ms: int
    latency_seconds: float | None = None
    detail: str = ""
    rest_seconds: float | None = None


class Severity(StrEnum):
    """How much a reason weighs: a finding is shown and changes no verdict."""

    FINDING = "finding"
    UNKNOWN = "unknown"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measured fact behind a reason: what was seen, against which limit, by which witness, since when."""

    fact: str
    value: float | int | str | bool | None
    limit: float | int | str | bool | None = None
    unit: str = ""
    witness: str = "report"
    since_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that holds: its stable UpperCamelCase code and the evidence."""

    code: str
    failure_class: FailureClass
    severity: Severity
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Assessment:
    """Verdict, class and reasons of one instance at one tick, worst reason first.

    suspected: codes of rules that held at this tick, but not yet at as many ticks as they need.
    """

    key: InstanceKey
    observed_at_ms: int
    verdict: Verdict
    failure_class: FailureClass
    reasons: tuple[Reason, ...] = ()
    recommendations: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()
