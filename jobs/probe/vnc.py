"""The connectivity probe: one RFB handshake from outside, as a viewer would make it, unable to harm.

It dials only where the agent has said that one more shared viewer throws nobody out, always goes through to
ServerInit (a connection given up earlier counts as a failed login with several servers), never holds two connections
to one server, and leaves a server alone that says it has had too many.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agent.report import HealthReport
from jobs.health.model import Connectivity, ConnectivityOutcome, Instance
from jobs.probe.handshakes import Address, Ended, Handshakes
from jobs.probe.names import Names

# chosen: a tenth of a beat; a name that takes longer is used at the next one.
_NAME_SECONDS = 0.5

# chosen: TigerVNC's first ban takes 10 s and doubles (its BlacklistTimeout); a minute outlasts the first three.
FIRST_REST_SECONDS = 60
LONGEST_REST_SECONDS = 3600

# chosen: an agent that has been silent for longer can't vouch for the server that answers there now.
MAX_REPORT_AGE_MS = 600_000

# Each further try would count against us; with DENIED too, because we can only give up where a password is wanted.
_RESTING = frozenset({ConnectivityOutcome.TOO_MANY, ConnectivityOutcome.DENIED})


def reason_not_to_dial(instance: Instance, report: HealthReport | None, *, report_age_ms: int) -> str:
    """Say why a handshake with this instance's VNC server could harm or can't be made; empty where it may be made.

    report: the last good one, None before the first.
    """
    if instance.vnc_address is None:
        return "the inventory offers no VNC address"
    if report is None:
        return "no report has said yet whether the server shares"
    if report.is_legacy:
        return "the legacy agent can't say whether the server shares"
    if not 0 <= report_age_ms <= MAX_REPORT_AGE_MS:
        return f"the last report that says whether the server shares isn't of the last {MAX_REPORT_AGE_MS // 1000} s"
    shareable = report.video.shareable if report.video else None
    if shareable is None:
        return "the agent can't tell whether the server shares"
    return "" if shareable else "the server doesn't share: another viewer could throw somebody out"


class VncProber:
    """What is known of the servers from probe to probe. clock: Unix milliseconds."""

    def __init__(self, *, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._names = Names()
        self._rests: dict[Address, _Rest] = {}
        self._left_over: set[Address] = set()

    def probe(self, addresses: Iterable[Address], *, seconds: float) -> dict[Address, Connectivity]:
        """Return how one handshake with each server ended; one that is left alone keeps its last answer.

        After `seconds` no further handshake begins; a server that got none is missing, and first at the next probe.
        """
        now = time.monotonic()
        wanted = set(addresses)
        results = {a: rest.said for a, rest in self._rests.items() if a in wanted and now < rest.until}
        due = sorted(wanted - results.keys(), key=lambda address: (address not in self._left_over, address))
        found = self._names.look_up((host for host, _ in due), seconds=_NAME_SECONDS)
        for address in due:
            if not found[address[0]]:
                results[address] = self._said(address, Ended(ConnectivityOutcome.UNRESOLVED, "the name has no address"))
        handshakes = Handshakes({address: found[address[0]] for address in due if found[address[0]]})
        for address, ended in handshakes.run(seconds=seconds).items():
            results[address] = self._said(address, ended)
        self._left_over = wanted - results.keys()
        return results

    def leave_alone(self, address: Address, said: Connectivity) -> None:
        """Go on with a rest that an earlier run began, as far as it isn't over."""
        if said.rest_seconds is not None:
            passed_seconds = (self._clock() - said.checked_at_ms) / 1000
            left_seconds = min(max(said.rest_seconds - passed_seconds, 0), said.rest_seconds)
            self._rests[address] = _Rest(said, time.monotonic() + left_seconds)

    def _said(self, address: Address, ended: Ended) -> Connectivity:
        """Return what a handshake's end says, and remember whether the server is to be left alone."""
        rest_seconds = None
        before = self._rests.pop(address, None)
        if ended.outcome in _RESTING:
            longer = 2 * (before.said.rest_seconds or 0) if before else 0
            rest_seconds = min(max(longer, FIRST_REST_SECONDS), LONGEST_REST_SECONDS)
        said = Connectivity(ended.outcome, self._clock(), ended.latency_seconds, ended.detail, rest_seconds)
        if rest_seconds is not None:
            self._rests[address] = _Rest(said, time.monotonic() + rest_seconds)
        return said


@dataclass(frozen=True, slots=True)
class _Rest:
    """A server that is left alone until `until` (monotonic), and what it said."""

    said: Connectivity
    until: float
