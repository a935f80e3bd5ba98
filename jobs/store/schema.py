"""The tables, as migrations; jobs.store.connection applies them, and nothing else imports this module.

STRICT tables, rollback journal (the API mounts the volume read-only, WAL would need write access), FULL sync.
Times are integer Unix milliseconds; `key` is an instance key; JSON columns hold what msgspec encodes.
Rows of every tick are keyed by time first, so that a tick writes neighbours and retention drops whole pages.
"""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

TABLES = """
CREATE TABLE instances (              -- the last good inventory
    key TEXT PRIMARY KEY,
    public_id TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,             -- static, kubernetes
    instance TEXT NOT NULL,           -- JSON of jobs.health.model.Instance
    discovered_at_ms INTEGER NOT NULL,
    seen_at_ms INTEGER NOT NULL       -- last inventory that named it
) STRICT;

CREATE TABLE assessments (            -- the latest of each instance; what the API serves
    key TEXT PRIMARY KEY REFERENCES instances (key) ON DELETE CASCADE,
    tick INTEGER NOT NULL,
    observed_at_ms INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    failure_class TEXT NOT NULL,
    codes TEXT NOT NULL,              -- reason codes joined by spaces
    reasons TEXT NOT NULL,            -- JSON array of Reason
    recommendations TEXT NOT NULL,    -- JSON array of sentences
    since_ms INTEGER NOT NULL,        -- of this verdict
    outcome TEXT NOT NULL,            -- ProbeOutcome of the latest probe
    detail TEXT NOT NULL,
    probe_seconds REAL NOT NULL,
    skew_seconds REAL,
    connectivity TEXT,                -- JSON of Connectivity, NULL before the first
    report BLOB,                      -- last good report, packed by jobs.store.body, NULL before the first
    report_at_ms INTEGER              -- when that one was received
) STRICT;

CREATE TABLE reports (                -- one row an instance and tick, 2 h
    key TEXT NOT NULL,
    tick INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    probe_seconds REAL NOT NULL,
    verdict TEXT NOT NULL,
    failure_class TEXT NOT NULL,
    codes TEXT NOT NULL,              -- reason codes joined by spaces
    body BLOB,                        -- the report, packed by jobs.store.body, NULL when the outcome isn't ok
    PRIMARY KEY (tick, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE minutes (                -- 48 h
    key TEXT NOT NULL,
    start_at_ms INTEGER NOT NULL,
    healthy INTEGER NOT NULL DEFAULT 0,      -- ticks with that verdict
    degraded INTEGER NOT NULL DEFAULT 0,
    unhealthy INTEGER NOT NULL DEFAULT 0,
    unreachable INTEGER NOT NULL DEFAULT 0,
    unknown INTEGER NOT NULL DEFAULT 0,
    codes TEXT NOT NULL DEFAULT '',          -- reason codes seen, joined by spaces
    frame_rate_sum REAL NOT NULL DEFAULT 0, frame_rate_count INTEGER NOT NULL DEFAULT 0,
    level_max REAL, qemu_cpu_sum REAL NOT NULL DEFAULT 0, qemu_cpu_count INTEGER NOT NULL DEFAULT 0,
    latency_sum REAL NOT NULL DEFAULT 0, latency_count INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (start_at_ms, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE hours (                  -- 1 year, the same columns as minutes
    key TEXT NOT NULL,
    start_at_ms INTEGER NOT NULL,
    healthy INTEGER NOT NULL DEFAULT 0,
    degraded INTEGER NOT NULL DEFAULT 0,
    unhealthy INTEGER NOT NULL DEFAULT 0,
    unreachable INTEGER NOT NULL DEFAULT 0,
    unknown INTEGER NOT NULL DEFAULT 0,
    codes TEXT NOT NULL DEFAULT '',
    frame_rate_sum REAL NOT NULL DEFAULT 0, frame_rate_count INTEGER NOT NULL DEFAULT 0,
    level_max REAL, qemu_cpu_sum REAL NOT NULL DEFAULT 0, qemu_cpu_count INTEGER NOT NULL DEFAULT 0,
    latency_sum REAL NOT NULL DEFAULT 0, latency_count INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (start_at_ms, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE changes (                -- every change of verdict, class or reasons, with its evidence; 1 year
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    tick INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    failure_class TEXT NOT NULL,
    reasons TEXT NOT NULL,            -- JSON array of Reason
    incident TEXT                     -- id of the incident that was open
) STRICT;
CREATE INDEX changes_by_key ON changes (key, at_ms);

CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    opened_at_ms INTEGER NOT NULL,
    opened_tick INTEGER NOT NULL,
    closed_at_ms INTEGER,
    failure_class TEXT NOT NULL,
    verdict TEXT NOT NULL,            -- worst so far
    codes TEXT NOT NULL,              -- reason codes so far, joined by spaces
    incident TEXT NOT NULL            -- JSON of jobs.health.incident.Incident
) STRICT;
CREATE INDEX incidents_open ON incidents (key) WHERE closed_at_ms IS NULL;
CREATE INDEX incidents_by_time ON incidents (opened_at_ms, id);

CREATE TABLE screens (                -- latest picture only
    key TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    taken_at_ms INTEGER NOT NULL,
    png BLOB NOT NULL
) STRICT;

CREATE TABLE runs (                   -- one execution of one command
    id TEXT PRIMARY KEY,
    command TEXT NOT NULL,
    holder TEXT NOT NULL,             -- pod, or host:pid
    started_at_ms INTEGER NOT NULL,
    ended_at_ms INTEGER,
    last_success_at_ms INTEGER,       -- last committed tick
    ticks INTEGER NOT NULL DEFAULT 0,
    instances INTEGER,
    duration_seconds REAL,            -- of the last tick
    outcome TEXT,                     -- done, superseded, failed; NULL while it runs
    problem TEXT                      -- one sentence, when something is wrong though it goes on
) STRICT;
CREATE INDEX runs_by_command ON runs (command, started_at_ms);

CREATE TABLE leases (                 -- the baton: who may tick
    name TEXT PRIMARY KEY,
    holder TEXT,
    token INTEGER NOT NULL DEFAULT 0,
    renewals INTEGER NOT NULL DEFAULT 0,
    tick INTEGER NOT NULL DEFAULT 0,
    slot_ms INTEGER,                  -- when the last tick of the grid was due, CLOCK_BOOTTIME; NULL before the first
    boot_id TEXT,                     -- the boot that clock belongs to
    successor TEXT
) STRICT;

CREATE TABLE requests (               -- ticks asked for by hand
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,               -- lease name
    asked_by TEXT NOT NULL,
    asked_at_ms INTEGER NOT NULL,
    done_tick INTEGER
) STRICT;

CREATE TABLE totals (                 -- counters that only grow; retention never touches them
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
INSERT INTO totals (name, value) VALUES ('revision', 0);
"""

CLUSTER_TABLES = """
CREATE TABLE discovery (              -- how the inventory was found; one row, none before the first
    id INTEGER PRIMARY KEY CHECK (id = 1),
    mode TEXT NOT NULL,               -- kubernetes, static, kept: the last good inventory of a cluster that is silent
    listed_at_ms INTEGER,             -- when the cluster was last listed whole, NULL before the first
    detail TEXT NOT NULL              -- JSON of jobs.store.discovery.Detail
) STRICT;

CREATE TABLE outbox (                 -- what is to be told outside, until it was
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,               -- as jobs.store.outbox.Kind has them
    subject TEXT NOT NULL,            -- the incident, the attempt, or the incident with its next act and hold
    key TEXT NOT NULL,                -- instance key
    message TEXT NOT NULL,            -- JSON of jobs.store.outbox.Message
    created_at_ms INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    due_at_ms INTEGER NOT NULL,       -- not before
    ended_at_ms INTEGER,              -- NULL while it waits
    outcome TEXT,                     -- sent, given-up, not-applicable
    problem TEXT,                     -- of the last try
    UNIQUE (kind, subject)
) STRICT;
CREATE INDEX outbox_due ON outbox (due_at_ms) WHERE ended_at_ms IS NULL;
"""

RECOVERY_TABLES = """
CREATE TABLE ledger (                 -- the ledger's clock and identity; one row
    id INTEGER PRIMARY KEY CHECK (id = 1),
    store TEXT NOT NULL,              -- random, part of every Job's name
    witnessed_ms INTEGER NOT NULL,    -- time that our own writes have seen pass; jobs.store.ledger
    boot_id TEXT,                     -- the boot of boottime_ms, NULL before the first reading
    boottime_ms INTEGER,
    adopted_at_ms INTEGER             -- when attempts of an earlier store were taken over; NULL: nothing may act yet
) STRICT;
INSERT INTO ledger (id, store, witnessed_ms) VALUES (1, lower(hex(randomblob(3))), 0);

CREATE TABLE plans (                  -- what is next for each open incident, or why nothing is
    incident TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    is_due INTEGER NOT NULL,
    plan TEXT NOT NULL                -- JSON of jobs.health.recovery.Plan
) STRICT;

CREATE TABLE attempts (               -- 1 year
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    incident TEXT,                    -- NULL where a person asked and none was open
    number INTEGER NOT NULL,          -- within the incident
    action TEXT NOT NULL,
    uid TEXT,                         -- the pod that the act is meant for
    restarts INTEGER,                 -- of its containers, as planned
    codes TEXT NOT NULL,              -- the faults that it answers, joined by spaces
    origin TEXT NOT NULL,             -- policy, request, adopted
    requested_by TEXT NOT NULL,
    is_forced INTEGER NOT NULL,
    state TEXT NOT NULL,              -- planned, running, ended
    job TEXT,                         -- name, NULL until it is known to exist
    runner TEXT,                      -- uid of the pod that claimed it
    booked_ms INTEGER NOT NULL,       -- witnessed time
    acted_ms INTEGER,                 -- witnessed time; NULL while no act was begun
    spent_ms INTEGER NOT NULL,        -- witnessed time of the last moment at which it may have acted
    ended_ms INTEGER,                 -- witnessed time
    booked_at_ms INTEGER NOT NULL,
    acted_at_ms INTEGER,
    ended_at_ms INTEGER,
    outcome TEXT,
    detail TEXT NOT NULL DEFAULT '',
    session_seconds_lost REAL,
    has_evidence INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX attempts_by_key ON attempts (key, spent_ms);
CREATE INDEX attempts_by_spent ON attempts (spent_ms);
CREATE INDEX attempts_by_incident ON attempts (incident);
CREATE UNIQUE INDEX attempts_open ON attempts (key) WHERE state <> 'ended';
CREATE TRIGGER attempts_total AFTER UPDATE OF outcome ON attempts WHEN old.outcome IS NULL AND new.outcome IS NOT NULL
BEGIN
    INSERT INTO totals (name, value) VALUES ('attempts ' || new.action || ' ' || new.outcome, 1)
    ON CONFLICT (name) DO UPDATE SET value = value + 1;
END;
"""

NOTIFICATION_TABLES = """
ALTER TABLE outbox ADD COLUMN incident TEXT;  -- NULL where none is told of
ALTER TABLE outbox ADD COLUMN notice TEXT;    -- what a notification of it is known by, NULL where people get none
UPDATE outbox SET incident = iif(instr(subject, '/'), substr(subject, 1, instr(subject, '/') - 1), subject)
    WHERE kind IN ('incident-opened', 'incident-closed') OR instr(subject, '/');
UPDATE outbox SET notice = subject || substr(kind, 9) WHERE kind IN ('incident-opened', 'incident-closed');
CREATE UNIQUE INDEX outbox_notice ON outbox (notice) WHERE notice IS NOT NULL;
CREATE INDEX outbox_by_incident ON outbox (incident, id) WHERE notice IS NOT NULL;

CREATE TABLE destinations (           -- where notifications go, as `dispatch` is set; a new one hears from now on
    name TEXT PRIMARY KEY,            -- alertmanager, webhook
    since_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE deliveries (             -- one notification for one destination
    destination TEXT NOT NULL,
    id INTEGER NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    incident TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    due_at_ms INTEGER NOT NULL,       -- not before
    ended_at_ms INTEGER,              -- NULL while it waits
    outcome TEXT,                     -- sent, given-up
    problem TEXT,                     -- of the last try
    PRIMARY KEY (destination, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_waiting ON deliveries (destination, incident, id) WHERE ended_at_ms IS NULL;
CREATE INDEX deliveries_by_row ON deliveries (id);
CREATE TRIGGER deliveries_total AFTER UPDATE OF outcome ON deliveries
WHEN old.outcome IS NULL AND new.outcome IS NOT NULL
BEGIN
    INSERT INTO totals (name, value) VALUES ('notifications ' || new.destination || ' ' || new.outcome, 1)
    ON CONFLICT (name) DO UPDATE SET value = value + 1;
END;
"""

migrations = Migrations("loco")


@migrations()
def tables(database: Database) -> None:
    """Make the first version's tables."""
    run_script(database.conn, TABLES)


@migrations()
def cluster_tables(database: Database) -> None:
    """Make the tables of discovery in a cluster and of what is told outside."""
    run_script(database.conn, CLUSTER_TABLES)


@migrations()
def recovery_tables(database: Database) -> None:
    """Make the ledger and the plans."""
    run_script(database.conn, RECOVERY_TABLES)


@migrations()
def notification_tables(database: Database) -> None:
    """Make what notifications need: which rows are theirs, where they go, and how far each destination is."""
    run_script(database.conn, NOTIFICATION_TABLES)


def migrate(connection: sqlite3.Connection) -> None:
    """Apply the migrations that the file hasn't seen; the caller holds the transaction."""
    migrations.apply(Database(connection, recursive_triggers=False, execute_plugins=False))


def run_script(connection: sqlite3.Connection, script: str) -> None:
    """Run statements one by one: `executescript` would commit the transaction that is open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
