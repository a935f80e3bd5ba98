"""The ledger of attempts: who may act, how often, and that each act had leave.

Every function that writes runs inside a transaction that its caller holds.
An attempt goes planned -> running -> ended, and acts only between `begin_act` and `end`:

1. `book` checks budget and cool-down and writes the row; only then is a Job created.
2. `claim` gives it to one pod; a Job whose pod Kubernetes starts twice has one that gets nothing.
3. `begin_act` is the last fence: the row is still this runner's. From here on it counts, as if it acted as late as the
   agent's challenge allows, and until then nobody books or ends it in its place.
4. `end` writes the outcome, by the runner, or by the dispatcher for one that nobody will hear of again.

**Witnessed time** is what budgets are counted in: the milliseconds that this ledger has seen pass on CLOCK_BOOTTIME.
Across a change of boot only what was seen counts, so it never runs faster than real time, and no wall clock moves it.
What this proves and what it rests on: docs/decisions/0011.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jobs.health.model import InstanceKey
from jobs.health.recovery import Attempt, AttemptOutcome, AttemptState, Held, Hold, Limits, Order, Origin
from jobs.store import outbox
from jobs.store.attempts import select
from jobs.store.writer import bump_revision

# architecture section 6: at most 3 attempts per instance in any 60 minutes.
BUDGET_MS = 60 * 60 * 1000
MOST_ATTEMPTS = 3

# The agent's challenge, fetched before `begin_act`, is good for 30 s; chosen: 10 s more for an agent that is slow
# between its check and its act.
LATE_ACT_MS = 40_000

# An attempt of another store may be claimed there at any moment of its Job's 300 s, and then act as late as above.
EARLIER_STORE_MS = 300_000 + LATE_ACT_MS


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of the clocks. boottime_ms: CLOCK_BOOTTIME of that boot; wall_ms: a label for people, no more.

    Read it inside the transaction that it is for: the write lock then puts all readings into one order. One from before
    the lock could be older than what others have witnessed since, and count for a second time what passed between.
    """

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


def witnessed(connection: sqlite3.Connection, now: Moment) -> int:
    """Return what `witness` would, on a connection that needn't be able to write."""
    (witnessed_ms,) = connection.execute(
        "SELECT witnessed_ms + iif(boot_id IS ?1, max(?2 - boottime_ms, 0), 0) FROM ledger",
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
    """Take over what another store did, each order with its Job's name; then this one may act.

    Its true age isn't known on this ledger's clock, so each counts as one that may act until its Job must be over.
    A Job that the ledger knows already is passed over: it was taken over before, or kept in the copy that this store
    was made of.
    """
    witnessed_ms = witness(connection, now)
    has_changed = not is_adopted(connection)
    known = {job for (job,) in connection.execute("SELECT job FROM attempts WHERE job IS NOT NULL")}
    for order, job in orders:
        if job not in known:
            _insert_adopted(connection, order, job, witnessed_ms, now.wall_ms)
            has_changed = True
    if has_changed:
        connection.execute("UPDATE ledger SET adopted_at_ms = ?", (now.wall_ms,))
        bump_revision(connection)


def disown(connection: sqlite3.Connection) -> None:
    """Make the ledger another store's: with a name of its own, nothing open, and nothing allowed before `adopt`.

    For a copy, when it is made, and for a store that turns out to be an old state: Jobs of its name carry attempts that
    it doesn't know.
    """
    connection.execute("UPDATE ledger SET store = lower(hex(randomblob(3))), adopted_at_ms = NULL")
    connection.execute(
        "UPDATE attempts SET state = 'ended', outcome = ?, detail = 'the store was put back to an earlier state',"
        " ended_ms = witnessed_ms, spent_ms = witnessed_ms + ?, ended_at_ms = booked_at_ms"
        " FROM ledger WHERE state <> 'ended'",
        (AttemptOutcome.UNKNOWN.value, EARLIER_STORE_MS),
    )
    bump_revision(connection)


def newest_id(connection: sqlite3.Connection) -> int:
    """Return the highest id that this ledger ever gave, 0 for none.

    A Job of its name with a higher one tells of a state that was lost, and asks for `disown`.
    """
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'attempts'").fetchone()
    return int(row[0]) if row else 0


def refusal(
    connection: sqlite3.Connection, key: InstanceKey, limits: Limits, *, witnessed_ms: int, is_forced: bool
) -> Held | None:
    """Return why no attempt may be booked for an instance now, None when one may. Force skips the cool-down alone."""
    if not is_adopted(connection):
        return Held(Hold.LEDGER_UNREAD, "it isn't known yet what was done before this store was made")
    running = connection.execute("SELECT id, state FROM attempts WHERE key = ? AND state <> 'ended'", (key,)).fetchone()
    if running:
        return Held(Hold.ATTEMPT_RUNNING, f"attempt {running[0]} is {running[1]}")
    rows = connection.execute(
        "SELECT id, acted_ms IS NOT NULL OR outcome IS ?, spent_ms, ended_ms FROM attempts"
        " WHERE key = ? AND spent_ms > ? ORDER BY spent_ms",
        (AttemptOutcome.UNKNOWN.value, key, witnessed_ms - BUDGET_MS),
    ).fetchall()
    spent = [spent_ms for _, may_have_acted, spent_ms, _ in rows if may_have_acted]
    idle = [spent_ms for _, may_have_acted, spent_ms, _ in rows if not may_have_acted]
    return (
        _over(spent, min(limits.attempts, MOST_ATTEMPTS), "attempts", witnessed_ms)
        or _over(idle, limits.idle_attempts, "idle attempts", witnessed_ms)
        or _too_soon(rows, limits, witnessed_ms, is_forced=is_forced)
    )


def _over(spent: Sequence[int], most: int, what: str, witnessed_ms: int) -> Held | None:
    """Return the hold of a spent budget."""
    if len(spent) < most:
        return None
    free_ms = (spent[len(spent) - most] if most else witnessed_ms) + BUDGET_MS
    detail = f"{len(spent)} {what} in 60 minutes, at most {most} are allowed"
    return Held(Hold.BUDGET_SPENT, detail, (free_ms - witnessed_ms) / 1000)


def _too_soon(
    rows: Sequence[tuple[int, bool, int, int]], limits: Limits, witnessed_ms: int, *, is_forced: bool
) -> Held | None:
    """Return the hold while the last attempt may still act, which nothing skips, or is too fresh."""
    if not rows:
        return None
    last_id, _, spent_ms, _ = rows[-1]
    if witnessed_ms < spent_ms:
        wait_seconds = (spent_ms - witnessed_ms) / 1000
        return Held(Hold.COOL_DOWN, f"attempt {last_id} may still act for {wait_seconds:.0f} s", wait_seconds)
    waited_seconds = (witnessed_ms - max(ended_ms for *_, ended_ms in rows)) / 1000
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


def claim(
    connection: sqlite3.Connection,
    attempt_id: int,
    runner: str,
    *,
    now: Moment,
    store: str | None = None,
    job: str = "",
) -> Attempt | None:
    """Give a planned attempt to one runner; None when it is another's or ended, or its incident is over, which ends it.

    store: the name that the Job was made under, which must be this one: two stores give the same ids. None for an
    attempt that the runner booked here itself. job: the runner's own, which a dispatcher that died may not have named.
    """
    witness(connection, now)
    if store is not None and store != store_name(connection):
        return None
    claimed = connection.execute(
        "UPDATE attempts SET runner = ?2, state = 'running', job = coalesce(job, nullif(?3, ''))"
        " WHERE id = ?1 AND state = 'planned' AND runner IS NULL"
        " AND (incident IS NULL OR EXISTS"
        "  (SELECT 1 FROM incidents WHERE id = attempts.incident AND closed_at_ms IS NULL))",
        (attempt_id, runner, job),
    ).rowcount
    attempt = find(connection, attempt_id)
    if not claimed:
        if attempt and attempt.state is AttemptState.PLANNED:
            end(
                connection,
                attempt_id,
                Ending(AttemptOutcome.SUPERSEDED, f"incident {attempt.incident} is over"),
                now=now,
            )
        return None
    bump_revision(connection)
    return attempt


def begin_act(connection: sqlite3.Connection, attempt_id: int, runner: str, *, now: Moment) -> bool:
    """Note that the runner acts now; False when the attempt isn't its own any more, and then it must not act.

    An attempt on a pod that doesn't name its uid never acts; an instance that a file names has none.
    """
    witnessed_ms = witness(connection, now)
    begun = connection.execute(
        "UPDATE attempts SET acted_ms = ?3, spent_ms = ?3 + ?5, acted_at_ms = ?4 WHERE id = ?1 AND runner = ?2"
        " AND state = 'running' AND acted_ms IS NULL AND (uid IS NOT NULL OR key LIKE 'static/%')"
        " AND (incident IS NULL OR EXISTS"
        "  (SELECT 1 FROM incidents WHERE id = attempts.incident AND closed_at_ms IS NULL))",
        (attempt_id, runner, witnessed_ms, now.wall_ms, LATE_ACT_MS),
    ).rowcount
    if begun:
        outbox.tell_attempt(connection, _one(connection, attempt_id), at_ms=now.wall_ms)
        bump_revision(connection)
    return bool(begun)


def end(
    connection: sqlite3.Connection, attempt_id: int, ending: Ending, *, now: Moment, runner: str | None = None
) -> bool:
    """Write how an attempt ended; False when it has ended already, or isn't `runner`'s.

    runner: None when the dispatcher asks. It gets False as well while a runner that it gave up may still act.
    """
    attempt = find(connection, attempt_id)
    if attempt is None or attempt.state is AttemptState.ENDED or (runner is not None and attempt.runner != runner):
        return False
    witnessed_ms = witness(connection, now)
    if runner is None and witnessed_ms < attempt.spent_ms:
        return False
    connection.execute(
        "UPDATE attempts SET state = 'ended', outcome = ?2, detail = ?3, session_seconds_lost = ?4, ended_ms = ?5,"
        " spent_ms = max(spent_ms, ?5), ended_at_ms = ?6 WHERE id = ?1",
        (
            attempt_id,
            ending.outcome.value,
            ending.detail,
            ending.session_seconds_lost,
            witnessed_ms,
            now.wall_ms,
        ),
    )
    outbox.tell_attempt(connection, _one(connection, attempt_id), at_ms=now.wall_ms)
    bump_revision(connection)
    return True


def note_evidence(connection: sqlite3.Connection, attempt_id: int) -> None:
    """Note that a bundle was kept for the attempt."""
    connection.execute("UPDATE attempts SET has_evidence = 1 WHERE id = ?", (attempt_id,))
    bump_revision(connection)


def find(connection: sqlite3.Connection, attempt_id: int) -> Attempt | None:
    """Return one attempt, or None."""
    found = select(connection, "WHERE id = ?", (attempt_id,))
    return found[0] if found else None


def open_attempts(connection: sqlite3.Connection) -> list[Attempt]:
    """Return the attempts that have not ended, oldest first."""
    # Sorted here: asked to sort by id, SQLite reads the whole table in that order.
    return sorted(select(connection, "WHERE state <> 'ended'"), key=lambda attempt: attempt.id)


def is_acting(connection: sqlite3.Connection, key: InstanceKey) -> bool:
    """Tell whether an attempt on an instance runs now; one that is only planned does nothing to it yet."""
    # The first condition is that of the index.
    asked = "SELECT 1 FROM attempts WHERE key = ? AND state <> 'ended' AND state = 'running'"
    return connection.execute(asked, (key,)).fetchone() is not None


def has_ended_since(connection: sqlite3.Connection, key: InstanceKey, since_ms: int) -> bool:
    """Tell whether an attempt on an instance ended at that witnessed time or later."""
    asked = "SELECT 1 FROM attempts WHERE key = ?1 AND spent_ms >= ?2 AND ended_ms >= ?2"
    return connection.execute(asked, (key, since_ms)).fetchone() is not None


def of_incident(connection: sqlite3.Connection, incident: str) -> list[Attempt]:
    """Return an incident's attempts, oldest first."""
    return select(connection, "WHERE incident = ? ORDER BY id", (incident,))


def every(connection: sqlite3.Connection) -> list[Attempt]:
    """Return all attempts, oldest first."""
    return select(connection, "ORDER BY id")


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


def _insert_adopted(connection: sqlite3.Connection, order: Order, job: str, witnessed_ms: int, at_ms: int) -> None:
    """Write one ended row: another attempt of the instance may be open, as `attempts_open` allows one only."""
    connection.execute(
        "INSERT INTO attempts (key, incident, number, action, uid, codes, origin, requested_by, is_forced, state, job,"
        " booked_ms, ended_ms, spent_ms, booked_at_ms, ended_at_ms, outcome, detail) VALUES (?1, ?2, 1, ?3, ?4, ?5,"
        " ?6, ?7, ?8, 'ended', ?9, ?10, ?10, ?10 + ?11, ?12, ?12, ?13, 'made under an earlier store')",
        (
            order.key,
            order.incident,
            order.action.value,
            order.uid,
            " ".join(order.codes),
            Origin.ADOPTED.value,
            order.requested_by,
            order.is_forced,
            job,
            witnessed_ms,
            EARLIER_STORE_MS,
            at_ms,
            AttemptOutcome.UNKNOWN.value,
        ),
    )


def _is_open(connection: sqlite3.Connection, incident: str) -> bool:
    row = connection.execute("SELECT 1 FROM incidents WHERE id = ? AND closed_at_ms IS NULL", (incident,)).fetchone()
    return row is not None


def _one(connection: sqlite3.Connection, attempt_id: int) -> Attempt:
    (attempt,) = select(connection, "WHERE id = ?", (attempt_id,))
    return attempt
