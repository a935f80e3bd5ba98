"""What is to be told outside: rows that stand until they were sent, written in the transaction of what they tell.

Each row becomes an Event, if there is a pod to tie it to. Some are notifications too: a row for people has a `notice`,
and a row of its own in `deliveries` for each destination; jobs.store.deliveries has those.
Functions that write run inside a transaction that their caller holds. Times are wall-clock milliseconds.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from jobs.health.causes import is_common
from jobs.health.incident import Incident
from jobs.health.model import Instance, InstanceKey, Reason
from jobs.health.recovery import Attempt, AttemptOutcome, AttemptState, Hold, Plan
from jobs.health.rules import BY_WORD, FAULTS

# chosen: what nobody could be told for a day is no news any more.
GIVE_UP_MS = 24 * 3_600_000

# chosen: no pause before another try is longer; one that seems to be comes of a clock that was set back.
MAX_PAUSE_MS = 300_000

UNSENT = f"nobody sent it within {GIVE_UP_MS // 3_600_000} h"


class Kind(StrEnum):
    """What is told; one row of a kind for each subject."""

    INCIDENT_OPENED = "incident-opened"
    INCIDENT_ESCALATED = "incident-escalated"
    INCIDENT_CLOSED = "incident-closed"
    RECOVERY_PLANNED = "recovery-planned"
    RECOVERY_SUPPRESSED = "recovery-suppressed"
    RECOVERY_STARTED = "recovery-started"
    RECOVERY_SUCCEEDED = "recovery-succeeded"
    RECOVERY_FAILED = "recovery-failed"


# Holds that come and go by themselves within a minute or two, or that the fault itself explains, are no news.
_TOLD_HOLDS = frozenset(Hold) - {
    Hold.ATTEMPT_RUNNING,
    Hold.BOOT_GRACE,
    Hold.COOL_DOWN,
    Hold.LEDGER_UNREAD,
    Hold.NOT_ACTIONABLE,
    Hold.SELF_HEALING,
}

# Holds that only a person can end, or that leave the instance alone for up to an hour: people are to hear of them.
# A common cause isn't among them: its own incident says so once, and not once a member.
_ESCALATING_HOLDS = frozenset({Hold.NEEDS_HUMAN, Hold.BUDGET_SPENT})

# Before a hold that rests on nothing but what browsers post: anybody may, and each name is told once an incident.
OF_STREAM = "Stream"

_ENDINGS = {
    AttemptOutcome.HEALED: Kind.RECOVERY_SUCCEEDED,
    AttemptOutcome.SUPERSEDED: Kind.RECOVERY_SUPPRESSED,
    AttemptOutcome.STOOD_DOWN: Kind.RECOVERY_SUPPRESSED,
}


class Ending(StrEnum):
    """How a row ended. NOT_APPLICABLE: there is no pod that an Event could be about."""

    SENT = "sent"
    GIVEN_UP = "given-up"
    NOT_APPLICABLE = "not-applicable"


@dataclass(frozen=True, slots=True)
class Message:
    """What is told of an instance: an incident, an attempt or a plan, each as it was then.

    instance: None where the incident is of several. has_left: the incident closed as the instance left.
    escalation: what got worse, or the hold that leaves the incident to people. reasons: those of that moment.
    """

    incident: Incident | None
    instance: Instance | None
    has_left: bool = False
    attempt: Attempt | None = None
    plan: Plan | None = None
    escalation: str = ""
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row that waits. tries: how many failed."""

    id: int
    kind: Kind
    message: Message
    created_at_ms: int
    tries: int


_instance = msgspec.json.Decoder(Instance)
_incident = msgspec.json.Decoder(Incident)
_reasons = msgspec.json.Decoder(tuple[Reason, ...])
_message = msgspec.json.Decoder(Message)


def decoded(text: str) -> Message:
    """Return the message of a row."""
    return _message.decode(text)


def enqueue(
    connection: sqlite3.Connection,
    kind: Kind,
    incident: Incident,
    *,
    at_ms: int,
    has_left: bool = False,
    escalation: str = "",
) -> None:
    """Have one thing told of an incident, once; nothing of an instance that isn't in the inventory any more.

    has_left: it is about to leave. escalation: what got worse.
    """
    instance = _instance_of(connection, incident.key)
    if instance is None and not is_common(incident.key):
        return
    reasons = _reasons_of(connection, incident.key) if escalation else ()
    message = Message(incident, instance, has_left, escalation=escalation, reasons=reasons)
    subject = f"{incident.id}/{escalation}" if escalation else incident.id
    _put(connection, kind, subject, message, at_ms, notice=_notice(kind, incident.id, escalation))


def tell_attempt(connection: sqlite3.Connection, attempt: Attempt, *, at_ms: int) -> None:
    """Have it told that an attempt begins its act, or how it ended."""
    instance = _instance_of(connection, attempt.key)
    if instance is None:
        return
    kind = Kind.RECOVERY_STARTED
    if attempt.state is AttemptState.ENDED and attempt.outcome:
        kind = _ENDINGS.get(attempt.outcome, Kind.RECOVERY_FAILED)
    _put(connection, kind, str(attempt.id), Message(None, instance, attempt=attempt), at_ms)


def tell_plan(connection: sqlite3.Connection, plan: Plan) -> None:
    """Have a plan told whose action or hold is new, once an incident however often it comes back."""
    if not plan.is_due and plan.hold not in _TOLD_HOLDS:
        return
    instance = _instance_of(connection, plan.key)
    if instance is None:
        return
    kind = Kind.RECOVERY_PLANNED if plan.is_due else Kind.RECOVERY_SUPPRESSED
    subject = f"{plan.incident}/{plan.action or 'none'}/{plan.hold or 'due'}"
    incident = _incident_of(connection, plan.incident) if plan.hold in _ESCALATING_HOLDS else None
    message, notice = Message(None, instance, plan=plan), None
    if incident and plan.hold:
        reasons = _reasons_of(connection, plan.key)
        escalation = f"{OF_STREAM if _is_by_word(plan) else ''}{plan.hold}"
        message = Message(incident, instance, plan=plan, escalation=escalation, reasons=reasons)
        notice = _notice(kind, incident.id, escalation)
    _put(connection, kind, subject, message, plan.decided_at_ms, notice=notice)


def _is_by_word(plan: Plan) -> bool:
    """Tell whether the plan answers nothing but what browsers post."""
    faults = FAULTS.intersection(plan.codes)
    return bool(faults) and faults <= BY_WORD


def _notice(kind: Kind, incident: str, escalation: str) -> str:
    """Return what a notification is known by, wherever and however often it is sent."""
    if escalation:
        return f"{incident}-escalated-{escalation}"
    return f"{incident}-{kind.removeprefix('incident-')}"


def _instance_of(connection: sqlite3.Connection, key: InstanceKey) -> Instance | None:
    row = connection.execute("SELECT instance FROM instances WHERE key = ?", (key,)).fetchone()
    return None if row is None else _instance.decode(row[0])


def _incident_of(connection: sqlite3.Connection, incident: str | None) -> Incident | None:
    row = connection.execute("SELECT incident FROM incidents WHERE id = ?", (incident,)).fetchone()
    return None if row is None else _incident.decode(row[0])


def _reasons_of(connection: sqlite3.Connection, key: InstanceKey) -> tuple[Reason, ...]:
    """Return the reasons of the latest tick, which is the one that the caller writes."""
    row = connection.execute("SELECT reasons FROM assessments WHERE key = ?", (key,)).fetchone()
    return () if row is None else _reasons.decode(row[0])


def _put(
    connection: sqlite3.Connection,
    kind: Kind,
    subject: str,
    message: Message,
    at_ms: int,
    *,
    notice: str | None = None,
) -> None:
    """Write one row; a notice that is there already is none again."""
    incident, key = _about(message)
    written = connection.execute(
        "INSERT INTO outbox (kind, subject, key, message, created_at_ms, due_at_ms, incident, notice)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, iif(EXISTS (SELECT 1 FROM outbox WHERE notice = ?7), NULL, ?7))"
        " ON CONFLICT (kind, subject) DO NOTHING",
        (kind.value, subject, key, msgspec.json.encode(message).decode(), at_ms, incident, notice),
    )
    if notice and written.rowcount:
        connection.execute(
            "INSERT INTO deliveries (destination, id, incident, due_at_ms)"
            " SELECT d.name, o.id, o.incident, o.due_at_ms FROM destinations AS d JOIN outbox AS o"
            " ON o.kind = ? AND o.subject = ? AND o.notice IS NOT NULL",
            (kind.value, subject),
        )


def _about(message: Message) -> tuple[str | None, InstanceKey]:
    """Return the incident and the key that a row is of."""
    about = message.attempt or message.plan
    if about:
        return about.incident, about.key
    if message.incident:
        return message.incident.id, message.incident.key
    raise ValueError("a row that tells of nothing")


def due(connection: sqlite3.Connection, *, now_ms: int, limit: int) -> list[Waiting]:
    """Return the oldest rows that are to be sent now."""
    rows = connection.execute(
        "SELECT id, kind, message, created_at_ms, tries FROM outbox"
        " WHERE ended_at_ms IS NULL AND due_at_ms NOT BETWEEN ?1 + 1 AND ?1 + ?2 ORDER BY id LIMIT ?3",
        (now_ms, MAX_PAUSE_MS, limit),
    )
    return [Waiting(row[0], Kind(row[1]), _message.decode(row[2]), *row[3:]) for row in rows]


def next_due_ms(connection: sqlite3.Connection) -> int | None:
    """Return when the next row is to be sent, None while none waits."""
    (at_ms,) = connection.execute("SELECT min(due_at_ms) FROM outbox WHERE ended_at_ms IS NULL").fetchone()
    return at_ms and int(at_ms)


def end(connection: sqlite3.Connection, row_id: int, ending: Ending, *, at_ms: int, problem: str | None = None) -> None:
    """End a row."""
    connection.execute(
        "UPDATE outbox SET ended_at_ms = ?, outcome = ?, problem = ? WHERE id = ?",
        (at_ms, ending.value, problem, row_id),
    )


def postpone(connection: sqlite3.Connection, row_id: int, *, due_at_ms: int, problem: str) -> None:
    """Have a row tried again, no earlier than `due_at_ms`."""
    connection.execute(
        "UPDATE outbox SET tries = tries + 1, due_at_ms = ?, problem = ? WHERE id = ?", (due_at_ms, problem, row_id)
    )


def give_up(connection: sqlite3.Connection, *, at_ms: int) -> int:
    """End every row, and every delivery, that has waited too long; return how many."""
    old = "created_at_ms < ?1 - ?4"
    return sum(
        connection.execute(
            f"UPDATE {table} SET ended_at_ms = ?1, outcome = ?2, problem = coalesce(problem, ?3)"
            f" WHERE ended_at_ms IS NULL AND {condition}",
            (at_ms, Ending.GIVEN_UP.value, UNSENT, GIVE_UP_MS),
        ).rowcount
        for table, condition in (("outbox", old), ("deliveries", f"id IN (SELECT id FROM outbox WHERE {old})"))
    )
