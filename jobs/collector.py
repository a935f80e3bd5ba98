"""The rounds of `collect`: probe every instance, classify what was seen, plan what is to be done, write it down.

A numbered tick takes the reports that come at once. What is late joins the same tick at a connectivity beat after it,
so that one hung agent holds up nobody; so does an instance that was discovered meanwhile.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial

from jobs.clock import Clock
from jobs.health.causes import is_common
from jobs.health.classify import recall
from jobs.health.history import HISTORY_TICKS
from jobs.health.incident import Incident
from jobs.health.model import Connectivity, ConnectivityOutcome, InstanceKey, ProbeOutcome, ProbeResult
from jobs.health.pods import reason_not_to_ask
from jobs.health.watched import Watched, follow, see_connectivity, see_probe
from jobs.planner import Recovery, plan_fleet
from jobs.probe.answers import MAX_DETAIL_CHARACTERS, probe_result, report_request
from jobs.probe.reports import Fetcher
from jobs.probe.screens import Pictures
from jobs.probe.vnc import VncProber, reason_not_to_dial
from jobs.store import fleet, ledger, reader
from jobs.store.connection import reading
from jobs.store.reader import Screen
from jobs.store.writer import TickRow, record_connectivity, record_screen, record_tick
from jobs.window import Beat, Observed

logger = logging.getLogger(__name__)

# architecture section 3
REPORTS = Beat("reports", 15, is_tick=True)
CONNECTIVITY = Beat("connectivity", 5)

# chosen: a healthy agent answers within milliseconds; the rest of a second is for one under load.
_REPORTS_SECONDS = 1.0
_LATE_SECONDS = 0.25

# chosen: with the 3 s of a handshake that began last, a round of them ends before the next beat.
_HANDSHAKES_SECONDS = 1.0


@dataclass(slots=True)
class _Seen:
    """What one round saw, to be kept once it is committed. is_tick: of a whole numbered tick."""

    is_tick: bool = False
    watched: dict[InstanceKey, Watched] = field(default_factory=dict)
    rows: list[TickRow] = field(default_factory=list)
    moved: list[TickRow] = field(default_factory=list)
    screens: dict[InstanceKey, Screen] = field(default_factory=dict)


class Collector:
    """The rounds of `collect`."""

    name = "collect"
    beats = (REPORTS, CONNECTIVITY)

    _connection: sqlite3.Connection

    def __init__(self, recovery: Recovery, *, clock: Clock) -> None:
        self._recovery = recovery
        self._policy = recovery.leave.policy
        self._clock = clock
        self._fetcher = Fetcher(clock=clock.wall_ms)
        self._prober = VncProber(clock=clock.wall_ms)
        self._pictures = Pictures({})
        self._fleet: dict[InstanceKey, Watched] = {}
        self._brakes: dict[InstanceKey, Incident] = {}
        self._revision = 0

    def close(self) -> None:
        """Close every connection to an instance."""
        self._fetcher.close()

    def warm(self, connection: sqlite3.Connection) -> None:
        """Know the fleet already while the holder still ticks."""
        self.resume(connection)

    def resume(self, connection: sqlite3.Connection) -> None:
        """Load the fleet with its history and open incidents, as the last holder left them."""
        self._connection = connection
        with reading(connection):
            self._revision = reader.revision(connection)
            latest = reader.latest(connection)
            recent = reader.recent(connection, HISTORY_TICKS)
            incidents = reader.open_incidents(connection)
            kept = fleet.pictures(connection)
            instances = reader.inventory(connection)
        self._pictures = Pictures({key: picture.hash for key, picture in kept.items()})
        self._brakes = {key: incident for key, incident in incidents.items() if is_common(key)}
        self._fleet = {}
        for instance in instances:
            watched, last = Watched(instance, incident=incidents.get(instance.key)), latest.get(instance.key)
            if last:
                ticks, reasons = recent.get(instance.key, []), last.assessment.reasons
                is_stranger = last.outcome is ProbeOutcome.WRONG_UID
                watched = replace(
                    watched,
                    tick=last.tick,
                    history=recall(instance, ticks, self._policy, reasons=reasons),
                    report=reader.report_of(last.report) if last.report and not is_stranger else None,
                    report_at_ms=last.report_at_ms or 0,
                    connectivity=last.connectivity,
                )
                if last.connectivity and instance.vnc_address:
                    self._prober.leave_alone(instance.vnc_address, last.connectivity)
            self._fleet[instance.key] = watched

    def observe(self, beat: Beat, tick: int) -> Observed:
        """Look at the fleet; what is late for a tick joins it at a connectivity beat after it."""
        self._follow_inventory()
        if beat is REPORTS:
            seen = self._reports(tick)
        else:
            tick -= 1
            seen = self._between_ticks(tick)
        return Observed(partial(self._write, tick, seen), len(self._fleet))

    def _follow_inventory(self) -> None:
        """Take over the inventory, and what ended with it, when somebody else has written to the store."""
        if reader.revision(self._connection) == self._revision:
            return
        with reading(self._connection):
            self._revision = reader.revision(self._connection)
            instances = reader.inventory(self._connection)
            incidents = reader.open_incidents(self._connection)
            kept = fleet.pictures(self._connection)
        self._pictures.follow({key: picture.hash for key, picture in kept.items()})
        known = self._fleet
        self._fleet = {
            one.key: replace(follow(known.get(one.key, Watched(one)), one), incident=incidents.get(one.key))
            for one in instances
        }

    def _reports(self, tick: int) -> _Seen:
        """Ask everybody, those last who hung the last time."""
        seen = _Seen(is_tick=True)
        self._ask(tick, sorted(self._fleet.values(), key=_hung), seen)
        self._gather(tick, _REPORTS_SECONDS, seen)
        return seen

    def _between_ticks(self, tick: int) -> _Seen:
        """Ask whom no tick has seen yet, take what is late, fetch moved pictures, and shake hands."""
        seen = _Seen()
        if tick:
            self._ask(tick, [one for one in self._fleet.values() if not one.tick], seen)
        self._fetcher.ask(self._pictures.requests(self._fleet.values()))
        self._gather(tick, _LATE_SECONDS, seen)
        for key, connectivity in self._shake_hands().items():
            watched, assessment = see_connectivity(
                seen.watched.get(key, self._fleet[key]), connectivity, policy=self._policy
            )
            seen.watched[key] = watched
            if assessment and watched.probe:
                seen.moved.append(TickRow(watched.probe, assessment, connectivity))
        return seen

    def _ask(self, tick: int, fleet: Iterable[Watched], seen: _Seen) -> None:
        """Ask those that may be asked; of the others Kubernetes alone has something to say."""
        now_ms = self._clock.wall_ms()
        for watched in fleet:
            reason = reason_not_to_ask(watched.instance, now_ms)
            if reason:
                probe = ProbeResult(
                    watched.instance.key, ProbeOutcome.NOT_ASKED, now_ms, 0.0, reason[:MAX_DETAIL_CHARACTERS]
                )
                self._see(tick, watched, probe, seen)
            else:
                self._fetcher.ask([report_request(watched.instance)])

    def _see(self, tick: int, watched: Watched, probe: ProbeResult, seen: _Seen) -> None:
        is_acting = watched.incident is not None and ledger.is_acting(self._connection, probe.key)
        after, assessment, change = see_probe(watched, probe, tick=tick, policy=self._policy, is_acting=is_acting)
        seen.watched[probe.key] = after
        seen.rows.append(TickRow(probe, assessment, watched.connectivity, change))

    def _gather(self, tick: int, seconds: float, seen: _Seen) -> None:
        """Take the answers that are there within `seconds`."""
        for answer in self._fetcher.gather(seconds):
            watched = self._fleet.get(answer.request.key)
            if watched is None:
                continue
            if answer.request.url != watched.instance.health_url:
                screen_hash = self._pictures.take(answer)
                if screen_hash:
                    seen.screens[watched.instance.key] = Screen(screen_hash, answer.received_at_ms, answer.body)
            elif watched.tick < tick:
                self._see(tick, watched, probe_result(watched.instance, answer), seen)

    def _shake_hands(self) -> dict[InstanceKey, Connectivity]:
        """Probe the VNC servers that may be dialled; say of the others why not."""
        now_ms = self._clock.wall_ms()
        said: dict[InstanceKey, Connectivity] = {}
        dialled: dict[InstanceKey, tuple[str, int]] = {}
        for key, watched in self._fleet.items():
            address = watched.instance.vnc_address
            reason = reason_not_to_ask(watched.instance, now_ms) or reason_not_to_dial(
                watched.instance, watched.report, report_age_ms=now_ms - watched.report_at_ms
            )
            if reason or address is None:
                said[key] = Connectivity(ConnectivityOutcome.NOT_DIALLED, now_ms, detail=reason)
            else:
                dialled[key] = address
        answers = self._prober.probe(dialled.values(), seconds=_HANDSHAKES_SECONDS)
        said.update((key, answers[address]) for key, address in dialled.items() if address in answers)
        return said

    def _write(self, tick: int, seen: _Seen, connection: sqlite3.Connection) -> None:
        """Keep a round; the fleet in memory follows, because a run whose commit fails ends or resumes."""
        is_alone = reader.revision(connection) == self._revision
        if seen.rows:
            record_tick(connection, tick, seen.rows)
        if seen.moved:
            record_connectivity(connection, tick, seen.moved)
        for key, screen in seen.screens.items():
            record_screen(connection, key, screen)
        self._fleet.update(seen.watched)
        if seen.is_tick or seen.rows:
            self._brakes = plan_fleet(
                connection, self._recovery, self._fleet, self._brakes, tick=tick, now=self._clock.moment()
            )
        if is_alone:
            self._revision = reader.revision(connection)
        for row in seen.rows:
            _log_change(row)


def _hung(watched: Watched) -> bool:
    return watched.probe is not None and watched.probe.outcome is ProbeOutcome.TIMEOUT


def _log_change(row: TickRow) -> None:
    """Log one line where an incident opened, moved or closed."""
    if row.change:
        incident = row.change.incident
        logger.info(
            "incident %s",
            row.change.kind.value,
            extra={
                "instance": row.probe.key,
                "incident": incident.id,
                "verdict": row.assessment.verdict.value,
                "failure_class": incident.failure_class.value,
                "codes": [reason.code for reason in row.assessment.reasons],
            },
        )
