"""Looks at one instance with the collector's own eyes: report, handshake, rules; only nothing of it is kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace

from jobs.health.classify import recall
from jobs.health.history import HISTORY_TICKS
from jobs.health.model import Instance, ProbeOutcome, ProbeResult
from jobs.health.pods import reason_not_to_ask
from jobs.health.policy import Policy
from jobs.health.watched import Watched, follow, see_connectivity, see_probe
from jobs.probe.answers import MAX_DETAIL_CHARACTERS, probe_result, report_request
from jobs.probe.reports import Fetcher
from jobs.probe.verify import Look
from jobs.probe.vnc import VncProber, reason_not_to_dial
from jobs.store import reader
from jobs.store.connection import reading

# chosen: a healthy agent answers within milliseconds; one that takes longer is asked again at the next look.
_REPORT_SECONDS = 1.0
_HANDSHAKE_SECONDS = 1.0

# chosen: as the collector's own beat, so that a server meets at most twice as many handshakes while it is watched.
_HANDSHAKE_EVERY_MS = 5000


class Looks:
    """Looks at one instance; each is classified beside the ones before. wall_ms: Unix milliseconds."""

    def __init__(
        self, watched: Watched, policy: Policy, *, wall_ms: Callable[[], int], monotonic: Callable[[], float]
    ) -> None:
        self._watched = watched
        self._policy = policy
        self._wall_ms = wall_ms
        self._monotonic = monotonic
        self._fetcher = Fetcher(clock=wall_ms)
        self._prober = VncProber(clock=wall_ms)
        if watched.connectivity and watched.instance.vnc_address:
            self._prober.leave_alone(watched.instance.vnc_address, watched.connectivity)

    def close(self) -> None:
        """Close every connection to the instance."""
        self._fetcher.close()

    def look(self, instance: Instance) -> Look:
        """Ask for the report, shake hands where that is due and harmless, and judge by the rules."""
        watched = follow(self._watched, instance)
        watched, assessment, _ = see_probe(watched, self._probe(instance), tick=watched.tick + 1, policy=self._policy)
        self._watched = watched = self._shake_hands(watched)
        report = watched.probe.report if watched.probe else None
        return Look(self._monotonic(), instance, watched.assessment or assessment, report)

    def _probe(self, instance: Instance) -> ProbeResult:
        now_ms = self._wall_ms()
        reason = reason_not_to_ask(instance, now_ms)
        if reason:
            detail = reason[:MAX_DETAIL_CHARACTERS]
            return ProbeResult(instance.key, ProbeOutcome.NOT_ASKED, now_ms, 0.0, detail)
        request = report_request(instance)
        self._fetcher.ask([request])
        for answer in self._fetcher.gather(_REPORT_SECONDS):
            if answer.request == request:
                return probe_result(instance, answer)
        detail = f"no whole answer within {_REPORT_SECONDS:g} s"
        return ProbeResult(instance.key, ProbeOutcome.TIMEOUT, self._wall_ms(), _REPORT_SECONDS, detail)

    def _shake_hands(self, watched: Watched) -> Watched:
        now_ms = self._wall_ms()
        address, last = watched.instance.vnc_address, watched.connectivity
        is_young = last is not None and 0 <= now_ms - last.checked_at_ms < _HANDSHAKE_EVERY_MS
        age_ms = now_ms - watched.report_at_ms
        if address is None or is_young or reason_not_to_ask(watched.instance, now_ms):
            return watched
        if reason_not_to_dial(watched.instance, watched.report, report_age_ms=age_ms):
            return watched
        said = self._prober.probe([address], seconds=_HANDSHAKE_SECONDS).get(address)
        return see_connectivity(watched, said, policy=self._policy)[0] if said else watched


def watched_of(connection: sqlite3.Connection, instance: Instance, policy: Policy) -> Watched:
    """Return what the collector knows of an instance, as its last tick left it in the store."""
    with reading(connection):
        last = reader.latest(connection).get(instance.key)
        ticks = reader.recent(connection, HISTORY_TICKS, only=instance.key).get(instance.key, [])
        incident = reader.open_incidents(connection).get(instance.key)
    watched = Watched(instance, incident=incident)
    if last is None:
        return watched
    is_stranger = last.outcome is ProbeOutcome.WRONG_UID
    return replace(
        watched,
        tick=last.tick,
        history=recall(instance, ticks, policy, reasons=last.assessment.reasons),
        report=reader.report_of(last.report) if last.report and not is_stranger else None,
        report_at_ms=last.report_at_ms or 0,
        connectivity=last.connectivity,
    )
