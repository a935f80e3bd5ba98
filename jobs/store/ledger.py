"""The ledger of attempts: who may act, how often, and that each act had leave.

Every function that writes runs inside a transaction that its caller holds.
An attempt goes planned -> running -> ended, and acts only between `begin_act` and `end`:

1. `book` checks budget and cool-down and writes the row; only then is a Job created.
2. `claim` gives it to one pod; a Job whose pod Kubernetes starts twice has one that gets nothing.
3. `begin_act` is the last fence: the row is still this runner's. From here on it counts.
4. `end` writes the outcome, by the runner, or by the dispatcher for one that nobody will hear of again.

**Witnessed time** is what budgets are counted in: the milliseconds that this ledger has seen pass on CLOCK_BOOTTIME.
Across a change of boot only what was seen counts, so it never runs faster than real time, and no wall clock moves it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.health.model import InstanceKey
from jobs.health.recovery import (
    Action,
    Attempt,
    AttemptOutcome,
    AttemptState,
    Held,
    Hold,
    Limits,
    Order,
    Origin,
)
from jobs.store.writer import bump_revision

# architecture section 6: at most 3 attempts per instance in any 60 minutes.
BUDGET_MS = 60 * 60 * 1000

_COLUMNS = (
    "id, key, incident, number, action, uid, restarts, codes, origin, requested_by, is_forced, state, job, runner,"
    " booked_ms, acted_ms, spent_ms, booked_at_ms, acted_at_ms, ended_at_ms, outcome, detail, session_seconds_lost,"
    " has_evidence"
)


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of the clocks. boottime_ms: CLOCK_BOOTTIME of that boot; wall_ms: a label for people, no more."""

    boot_id: str
    boottime_ms: int
    wall_ms: int


@dataclass(frozen=True, slots=True)
class Ending:
    """What an attempt came to. session_seconds_lost: as `jobs.health.recovery.Attempt` has it."""

    outcome: AttemptOutcome
    detail: str
    session_seconds_lost: float | None = None


def witness(connection: sqlite3.Connection, now: Moment) -> int:
    """Move the ledger's clock on to `now` and return it, in milliseconds since the ledger was made."""
    (witnessed_ms,) = connection.execute(
        "UPDATE ledger SET witnessed_ms = witnessed_ms + iif(boot_id IS ?1, max(?2 - boottime_ms, 0), 0),"
        " boottime_ms = iif(boot_id IS ?1, max(?2, boottime_ms), ?2), boot_id = ?1 RETURNING witnessed_ms",
        (now.boot_id, now.boottime_ms),
    ).fetchone()
    return int(witnessed_ms)


def store_name(connection: sqlite3.Connection) -> str:
    """Return the random name that tells this store's Jobs from another's."""
    (name,) = connection.execute("SELECT store FROM ledger").fetchone()
    return str(name)


def is_adopted(connection: sqlite3.Connection) -> bool:
    """Tell whether it is known what an earlier store has done; before that nothing may act."""
    (at_ms,) = connection.execute("SELECT adopted_at_ms FROM ledger").fetchone()
    return at_ms is not None


def adopt(connection: sqlite3.Connection, orders: Iterable[tuple[Order, str]], *, now: Moment) -> None:
    """Take over what an earlier store did within the hour, each order with its Job's name, as attempts made just now.

    Their true age isn't known on this ledger's clock, so it is taken to be none. Nothing when it was done before.
    """
    if is_adopted(connection):
        return
    witnessed_ms = witness(connection, now)
    for order, job in orders:
        attempt_id = _insert(connection, order, witnessed_ms, now.wall_ms)
        connection.execute("UPDATE attempts SET job = ? WHERE id = ?", (job, attempt_id))
        _end(connection, attempt_id, Ending(AttemptOutcome.UNKNOWN, "made under an earlier store"), now)
    connection.execute("UPDATE ledger SET adopted_at_ms = ?", (now.wall_ms,))
    bump_revision(connection)


def refusal(
    connection: sqlite3.Connection, key: InstanceKey, limits: Limits, *, witnessed_ms: int, is_forced: bool
) -> Held | None:
    """Return why no attempt may be booked for an instance now, None when one may. Force skips the cool-down alone."""
    if not is_adopted(connection):
        return Held(Hold.LEDGER_UNREAD, "it isn't known yet what was done before this store was made")
    rows = connection.execute(
        "SELECT id, state, acted_ms, spent_ms, outcome FROM attempts"
        " WHERE key = ? AND (state <> 'ended' OR spent_ms > ?) ORDER BY spent_ms",
        (key, witnessed_ms - BUDGET_MS),
    ).fetchall()
    for attempt_id, state, *_ in rows:
        if state != AttemptState.ENDED:
            return Held(Hold.ATTEMPT_RUNNING, f"attempt {attempt_id} is {state}")
    spent = [row[3] for row in rows if row[2] is not None or row[4] == AttemptOutcome.UNKNOWN]
    idle = [row[3] for row in rows if row[2] is None and row[4] != AttemptOutcome.UNKNOWN]
    for what, times, most in (("attempts", spent, limits.attempts), ("idle attempts", idle, limits.idle_attempts)):
        if len(times) >= most:
            free_ms = times[len(times) - most] + BUDGET_MS if most else witnessed_ms + BUDGET_MS
            detail = f"{len(times)} {what} in 60 minutes, at most {most} are allowed"
            return Held(Hold.BUDGET_SPENT, detail, (free_ms - witnessed_ms) / 1000)
    waited_seconds = (witnessed_ms - rows[-1][3]) / 1000 if rows else limits.cool_down_seconds
    if waited_seconds < limits.cool_down_seconds and not is_forced:
        detail = f"the last attempt ended {waited_seconds:.0f} s ago, {limits.cool_down_seconds:g} s are to pass"
        return Held(Hold.COOL_DOWN, detail, limits.cool_down_seconds - waited_seconds)
    return None


def book(connection: sqlite3.Connection, order: Order, limits: Limits, *, now: Moment) -> Attempt | Held:
    """Write one attempt if budget, cool-down and incident allow it, or return why not."""
    witnessed_ms = witness(connection, now)
    if order.incident is not None and not _is_open(connection, order.incident):
        return Held(Hold.NOT_ACTIONABLE, f"incident {order.incident} is over")
    held = refusal(connection, order.key, limits, witnessed_ms=witnessed_ms, is_forced=order.is_forced)
    if held:
        return held
    attempt_id = _insert(connection, order, witnessed_ms, now.wall_ms)
    bump_revision(connection)
    return _one(connection, attempt_id)


def name_job(connection: sqlite3.Connection, attempt_id: int, job: str) -> None:
    """Note that the attempt's Job exists."""
    if connection.execute("UPDATE attempts SET job = ?2 WHERE id = ?1 AND job IS NOT ?2", (attempt_id, job)).rowcount:
        bump_revision(connection)


def claim(connection: sqlite3.Connection, attempt_id: int, runner: str, *, now: Moment) -> Attempt | None:
    """Give a planned attempt to one runner; None when it is another's or ended, or its incident is over."""
    witness(connection, now)
    claimed = connection.execute(
        "UPDATE attempts SET runner = ?2, state = 'running' WHERE id = ?1 AND state = 'planned' AND runner IS NULL"
        " AND (incident IS NULL OR EXISTS"
        "  (SELECT 1 FROM incidents WHERE id = attempts.incident AND closed_at_ms IS NULL))",
        (attempt_id, runner),
    ).rowcount
    if not claimed:
        return None
    bump_revision(connection)
    return _one(connection, attempt_id)


def begin_act(connection: sqlite3.Connection, attempt_id: int, runner: str, *, now: Moment) -> bool:
    """Note that the runner acts now; False when the attempt isn't its own any more, and then it must not act."""
    witnessed_ms = witness(connection, now)
    begun = connection.execute(
        "UPDATE attempts SET acted_ms = ?3, spent_ms = ?3, acted_at_ms = ?4 WHERE id = ?1 AND runner = ?2"
        " AND state = 'running' AND acted_ms IS NULL AND (incident IS NULL OR EXISTS"
        "  (SELECT 1 FROM incidents WHERE id = attempts.incident AND closed_at_ms IS NULL))",
        (attempt_id, runner, witnessed_ms, now.wall_ms),
    ).rowcount
    if begun:
        bump_revision(connection)
    return bool(begun)


def end(
    connection: sqlite3.Connection, attempt_id: int, ending: Ending, *, now: Moment, runner: str | None = None
) -> bool:
    """Write how an attempt ended; False when it has ended already, or isn't `runner`'s (None: the dispatcher asks)."""
    attempt = find(connection, attempt_id)
    if attempt is None or attempt.state is AttemptState.ENDED or (runner is not None and attempt.runner != runner):
        return False
    _end(connection, attempt_id, ending, now)
    bump_revision(connection)
    return True


def note_evidence(connection: sqlite3.Connection, attempt_id: int) -> None:
    """Note that a bundle was kept for the attempt."""
    connection.execute("UPDATE attempts SET has_evidence = 1 WHERE id = ?", (attempt_id,))
    bump_revision(connection)


def find(connection: sqlite3.Connection, attempt_id: int) -> Attempt | None:
    """Return one attempt, or None."""
    found = _select(connection, "WHERE id = ?", (attempt_id,))
    return found[0] if found else None


def open_attempts(connection: sqlite3.Connection) -> list[Attempt]:
    """Return the attempts that have not ended, oldest first."""
    return _select(connection, "WHERE state <> 'ended' ORDER BY id")


def of_incident(connection: sqlite3.Connection, incident: str) -> list[Attempt]:
    """Return an incident's attempts, oldest first."""
    return _select(connection, "WHERE incident = ? ORDER BY id", (incident,))


def of_instance(connection: sqlite3.Connection, key: InstanceKey, *, limit: int = 100) -> list[Attempt]:
    """Return an instance's attempts, newest first."""
    return _select(connection, "WHERE key = ? ORDER BY id DESC LIMIT ?", (key, limit))


def every(connection: sqlite3.Connection) -> list[Attempt]:
    """Return all attempts, oldest first."""
    return _select(connection, "ORDER BY id")


def _insert(connection: sqlite3.Connection, order: Order, witnessed_ms: int, at_ms: int) -> int:
    (attempt_id,) = connection.execute(
        "INSERT INTO attempts (key, incident, number, action, uid, restarts, codes, origin, requested_by, is_forced,"
        " state, booked_ms, spent_ms, booked_at_ms) VALUES (?1, ?2,"
        " (SELECT count(*) + 1 FROM attempts WHERE incident IS ?2 AND key = ?1), ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'planned',"
        " ?10, ?10, ?11) RETURNING id",
        (
            order.key,
            order.incident,
            order.action.value,
            order.uid,
            order.restarts,
            " ".join(order.codes),
            order.origin.value,
            order.requested_by,
            order.is_forced,
            witnessed_ms,
            at_ms,
        ),
    ).fetchone()
    return int(attempt_id)


def _end(connection: sqlite3.Connection, attempt_id: int, ending: Ending, now: Moment) -> None:
    connection.execute(
        "UPDATE attempts SET state = 'ended', outcome = ?, detail = ?, session_seconds_lost = ?, spent_ms = ?,"
        " ended_at_ms = ? WHERE id = ?",
        (
            ending.outcome.value,
            ending.detail,
            ending.session_seconds_lost,
            witness(connection, now),
            now.wall_ms,
            attempt_id,
        ),
    )


def _is_open(connection: sqlite3.Connection, incident: str) -> bool:
    row = connection.execute("SELECT 1 FROM incidents WHERE id = ? AND closed_at_ms IS NULL", (incident,)).fetchone()
    return row is not None


def _one(connection: sqlite3.Connection, attempt_id: int) -> Attempt:
    (attempt,) = _select(connection, "WHERE id = ?", (attempt_id,))
    return attempt


def _select(connection: sqlite3.Connection, rest: str, values: tuple[object, ...] = ()) -> list[Attempt]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM attempts {rest}", values)
    return [
        Attempt(
            id=row[0],
            key=InstanceKey(row[1]),
            incident=row[2],
            number=row[3],
            action=Action(row[4]),
            uid=row[5],
            restarts=row[6],
            codes=tuple(row[7].split()),
            origin=Origin(row[8]),
            requested_by=row[9],
            is_forced=bool(row[10]),
            state=AttemptState(row[11]),
            job=row[12],
            runner=row[13],
            booked_ms=row[14],
            acted_ms=row[15],
            spent_ms=row[16],
            booked_at_ms=row[17],
            acted_at_ms=row[18],
            ended_at_ms=row[19],
            outcome=row[20] and AttemptOutcome(row[20]),
            detail=row[21],
            session_seconds_lost=row[22],
            has_evidence=bool(row[23]),
        )
        for row in rows
    ]
