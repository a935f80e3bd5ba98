"""What is written comes back as the same values, and only what a reader can see moves the revision."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from builders import a_handshake, a_probe, an_assessment, an_instance

from agent.report import encode
from jobs.health.incident import ChangeKind, Incident, IncidentChange
from jobs.health.model import FailureClass, InstanceKey, ProbeOutcome, Verdict
from jobs.store import fleet, reader, writer
from jobs.store.connection import open_reader, open_store, reading, transaction
from jobs.store.reader import Screen
from jobs.store.writer import RAW_TICKS, TickRow

KEY = InstanceKey("static/instance-0")
OTHER = InstanceKey("static/instance-1")
AT_MS = 1_795_550_400_000  # a whole hour
INCIDENT = Incident("3f9a", KEY, AT_MS, 7, FailureClass.QEMU, Verdict.UNHEALTHY, ("QemuDead",), (), 7)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "loco.db"


@pytest.fixture
def connection(path):
    with closing(open_store(path)) as connection:
        _record_inventory(connection, an_instance(), an_instance(key=OTHER, public_id="instance-1"))
        yield connection


def _record_inventory(connection, *instances, at_ms=AT_MS):
    with transaction(connection):
        writer.record_inventory(connection, instances, at_ms=at_ms)


def _record_tick(connection, tick, *rows):
    with transaction(connection):
        writer.record_tick(connection, tick, rows)


def a_row(*codes, at_ms=AT_MS, key=KEY, vnc="ok", change=None, **fields):
    """Return what a tick found; without an outcome of another kind a good report."""
    probe = a_probe(at_ms=at_ms, key=key, **fields)
    probe = replace(probe, body=probe.report and encode(probe.report))
    assessment = replace(an_assessment(*codes, at_ms=at_ms), key=key)
    return TickRow(probe, assessment, vnc and a_handshake(vnc, at_ms=at_ms), change)


def test_an_inventory_comes_back_with_every_field(connection):
    instance = an_instance(uid="9c1f", vnc_address=("10.1.0.7", 5901), fields={"id": "instance-0", "colour": ["red"]})
    _record_inventory(connection, instance)

    assert [instance] == reader.inventory(connection)


def test_the_same_inventory_again_moves_no_revision(connection):
    before = reader.revision(connection)
    _record_inventory(connection, *reader.inventory(connection), at_ms=AT_MS + 30_000)

    assert before == reader.revision(connection)
    assert connection.execute("SELECT DISTINCT discovered_at_ms, seen_at_ms FROM instances").fetchall() == [
        (AT_MS, AT_MS + 30_000)
    ]


def test_a_changed_instance_keeps_its_assessment_and_its_discovery(connection):
    _record_tick(connection, 1, a_row())
    before = reader.revision(connection)
    _record_inventory(connection, an_instance(name="Renamed"), at_ms=AT_MS + 30_000)

    assert before < reader.revision(connection)
    assert [KEY] == list(reader.latest(connection))
    assert {KEY: AT_MS} == fleet.discovered(connection)


def test_an_instance_at_another_place_has_no_report_of_the_old_one(connection):
    _record_tick(connection, 1, a_row())
    _record_inventory(connection, an_instance(health_url="http://127.0.0.1:8081/health"), at_ms=AT_MS + 30_000)

    latest = reader.latest(connection)[KEY]
    assert (None, None, None) == (latest.report, latest.report_at_ms, latest.connectivity)


def test_two_instances_may_swap_their_public_ids(connection):
    first, second = an_instance(public_id="instance-1"), an_instance(key=OTHER, public_id="instance-0")
    _record_inventory(connection, first, second)

    assert [first, second] == reader.inventory(connection)


def test_a_vanished_instance_takes_its_assessment_and_picture_along_and_ends_its_incident(connection):
    change = IncidentChange(ChangeKind.OPENED, INCIDENT)
    _record_tick(connection, 1, a_row("QemuDead", change=change), a_row(key=OTHER))
    with transaction(connection):
        writer.record_screen(connection, KEY, Screen("5f3a", AT_MS, b"png"))
    before = reader.revision(connection)

    _record_inventory(connection, an_instance(key=OTHER, public_id="instance-1"), at_ms=AT_MS + 60_000)

    assert before < reader.revision(connection)
    assert [OTHER] == list(reader.latest(connection))
    assert reader.screen(connection, KEY) is None
    assert {} == reader.open_incidents(connection)
    assert replace(INCIDENT, closed_at_ms=AT_MS + 60_000) == reader.incident(connection, INCIDENT.id)
    assert 1 == len(reader.minutes(connection, KEY, since_ms=0))


def test_a_tick_comes_back_as_the_latest_of_each_instance(path, connection):
    row = a_row("PausedByOperator", at_ms=AT_MS + 200)
    _record_tick(connection, 5, row, a_row(key=OTHER, vnc=None))

    with closing(open_reader(path)) as read_only, reading(read_only):
        latest = reader.latest(read_only)

    assert [KEY, OTHER] == list(latest)
    assert latest[OTHER].connectivity is None
    assert latest[KEY] == reader.Latest(
        assessment=row.assessment,
        tick=5,
        since_ms=AT_MS + 200,
        outcome=ProbeOutcome.OK,
        detail="",
        probe_seconds=row.probe.duration_seconds,
        skew_seconds=0.0,
        connectivity=row.connectivity,
        report=row.probe.body,
        report_at_ms=AT_MS + 200,
    )


def test_a_failed_probe_leaves_the_last_good_report_with_its_own_age(connection):
    good = a_row()
    _record_tick(connection, 1, good)
    _record_tick(
        connection,
        2,
        a_row("AgentTimeout", at_ms=AT_MS + 15_000, outcome=ProbeOutcome.TIMEOUT, detail="10 s", vnc=None),
    )

    latest = reader.latest(connection)[KEY]

    assert (ProbeOutcome.TIMEOUT, "10 s", 2) == (latest.outcome, latest.detail, latest.tick)
    assert (good.probe.body, AT_MS) == (latest.report, latest.report_at_ms)
    assert good.connectivity == latest.connectivity


def test_a_verdict_is_as_old_as_its_first_tick(connection):
    for tick, codes in enumerate([[], ["QemuDead"], ["QemuDead", "VncUnavailable"], ["QemuDead"]], start=1):
        _record_tick(connection, tick, a_row(*codes, at_ms=AT_MS + tick * 15_000))

    assert AT_MS + 2 * 15_000 == reader.latest(connection)[KEY].since_ms


def test_a_tick_that_is_there_already_is_refused_whole(connection):
    _record_tick(connection, 1, a_row())
    before = reader.revision(connection)

    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        _record_tick(connection, 1, a_row("QemuDead", at_ms=AT_MS + 15_000))

    assert before == reader.revision(connection)
    assert reader.latest(connection)[KEY].assessment.verdict is Verdict.HEALTHY


def test_an_instance_that_vanished_during_the_tick_is_passed_over(connection):
    _record_inventory(connection, an_instance())
    _record_tick(connection, 1, a_row(), a_row(key=OTHER))

    assert [KEY] == list(reader.latest(connection))
    assert [KEY] == list(reader.recent(connection, 12))
    assert [] == reader.minutes(connection, OTHER, since_ms=0)


def test_a_tick_over_an_empty_fleet_moves_no_revision(connection):
    before = reader.revision(connection)
    _record_tick(connection, 1)

    assert before == reader.revision(connection)


def test_only_a_change_of_verdict_class_or_reasons_is_a_change(connection):
    story = [[], [], ["QemuDead"], ["QemuDead"], ["QemuDead", "VncUnavailable"], []]
    for tick, codes in enumerate(story, start=1):
        _record_tick(connection, tick, a_row(*codes, at_ms=AT_MS + tick * 15_000))

    changes = reader.changes(connection, KEY, since_ms=0, limit=100)

    assert [6, 5, 3, 1] == [change.tick for change in changes]
    assert ("QemuDead", "VncUnavailable") == tuple(reason.code for reason in changes[1].reasons)
    assert [6, 5] == [change.tick for change in reader.changes(connection, KEY, since_ms=0, limit=2)]
    assert [6, 5] == [change.tick for change in reader.changes(connection, KEY, since_ms=AT_MS + 60_000, limit=9)]


def test_an_incident_is_written_as_it_opens_moves_and_closes(connection):
    opened = IncidentChange(ChangeKind.OPENED, INCIDENT)
    _record_tick(connection, 1, a_row("QemuDead", change=opened))
    assert {KEY: INCIDENT} == reader.open_incidents(connection)

    moved = replace(INCIDENT, codes=("QemuDead", "VncUnavailable"), last_bad_tick=2)
    _record_tick(connection, 2, a_row("QemuDead", "VncUnavailable", change=IncidentChange(ChangeKind.UPDATED, moved)))
    _record_tick(connection, 3, a_row("QemuDead"))
    assert moved == reader.incident(connection, INCIDENT.id)

    closed = replace(moved, closed_at_ms=AT_MS + 60_000)
    _record_tick(connection, 4, a_row(change=IncidentChange(ChangeKind.CLOSED, closed)))
    assert {} == reader.open_incidents(connection)
    assert [closed] == reader.incidents(connection)
    assert [] == reader.incidents(connection, only_open=True)
    assert [INCIDENT.id] * 4 == [change.incident for change in reader.changes(connection, KEY, since_ms=0, limit=9)]


def test_incidents_are_read_page_by_page_though_they_opened_together(connection):
    for number in range(7):
        incident = replace(INCIDENT, id=f"{number}", key=KEY if number % 2 else OTHER, closed_at_ms=AT_MS)
        _record_tick(connection, number + 1, a_row(change=IncidentChange(ChangeKind.CLOSED, incident)))

    first = reader.incidents(connection, limit=3)
    second = reader.incidents(connection, limit=3, before=first[-1].id)
    third = reader.incidents(connection, limit=3, before=second[-1].id)

    assert ["6", "5", "4", "3", "2", "1", "0"] == [incident.id for incident in [*first, *second, *third]]
    assert ["5", "3", "1"] == [incident.id for incident in reader.incidents(connection, key=KEY)]
    assert reader.incident(connection, "8") is None


def test_the_last_ticks_come_back_oldest_first_for_a_hand_over(connection):
    for tick in range(1, 6):
        _record_tick(connection, tick, a_row("QemuDead", at_ms=AT_MS + tick), a_row(key=OTHER))
    _record_tick(connection, 6, a_row("AgentTimeout", at_ms=AT_MS + 6, outcome=ProbeOutcome.TIMEOUT))

    recent = reader.recent(connection, 3)

    assert [4, 5, 6] == [stored.tick for stored in recent[KEY]]
    assert [4, 5] == [stored.tick for stored in recent[OTHER]]
    assert a_probe().report == recent[KEY][0].report
    assert (Verdict.UNHEALTHY, ("QemuDead",)) == (recent[KEY][0].verdict, recent[KEY][0].codes)
    assert (ProbeOutcome.TIMEOUT, None) == (recent[KEY][-1].outcome, recent[KEY][-1].report)
    assert {} == reader.recent(connection, 0)


def test_raw_reports_are_kept_for_two_hours_of_ticks_and_their_counts_for_longer(connection):
    for tick in range(1, RAW_TICKS + 4):
        _record_tick(connection, tick, a_row(at_ms=AT_MS + tick * 15_000))

    assert list(range(4, RAW_TICKS + 4)) == [stored.tick for stored in reader.recent(connection, 1000)[KEY]]
    assert RAW_TICKS + 3 == sum(minute.healthy for minute in reader.minutes(connection, KEY, since_ms=0))


def test_between_two_ticks_assessments_and_changes_are_written_but_nothing_is_counted(connection):
    _record_tick(connection, 1, a_row())
    before = reader.revision(connection)
    with transaction(connection):
        writer.record_connectivity(connection, 1, [a_row("VncMute", at_ms=AT_MS + 5000, vnc="mute")])

    assert before < reader.revision(connection)
    assert ["VncMute"] == [reason.code for reason in reader.latest(connection)[KEY].assessment.reasons]
    assert [AT_MS + 5000, AT_MS] == [one.at_ms for one in reader.changes(connection, KEY, since_ms=0, limit=9)]
    assert [1] == [stored.tick for stored in reader.recent(connection, 12)[KEY]]
    assert 1 == sum(minute.healthy + minute.unhealthy for minute in reader.minutes(connection, KEY, since_ms=0))


def test_nothing_new_between_two_ticks_moves_no_revision(connection):
    before = reader.revision(connection)
    with transaction(connection):
        writer.record_connectivity(connection, 0, [])

    assert before == reader.revision(connection)


def test_the_latest_picture_replaces_the_one_before(connection):
    with transaction(connection):
        writer.record_screen(connection, KEY, Screen("aaaa", AT_MS, b"first"))
        writer.record_screen(connection, KEY, Screen("bbbb", AT_MS + 15_000, b"second"))
        writer.record_screen(connection, InstanceKey("static/gone"), Screen("cccc", AT_MS, b"third"))

    assert Screen("bbbb", AT_MS + 15_000, b"second") == reader.screen(connection, KEY)
    assert 1 == len(fleet.pictures(connection))


def test_a_run_is_told_from_start_to_end(connection):
    with transaction(connection):
        for run, command, at_ms in (("a", "collect", 0), ("b", "collect", 300), ("c", "discover", 0)):
            writer.start_run(connection, run, command=command, holder="host:1", at_ms=AT_MS + at_ms)
        for problem in ("instances.json: line 3", None):
            writer.tick_run(connection, "b", at_ms=AT_MS + 400, instances=3, duration_seconds=0.2, problem=problem)
        writer.end_run(connection, "a", at_ms=AT_MS + 350, outcome="superseded")

    ended = reader.Run("a", "collect", "host:1", AT_MS, AT_MS + 350, None, 0, None, None, "superseded", None)
    at_work = reader.Run("b", "collect", "host:1", AT_MS + 300, None, AT_MS + 400, 2, 3, 0.2, None, None)
    assert [at_work, ended] == reader.runs(connection, 3)[1:]
    assert [at_work, "discover"] == [reader.last_runs(connection)[0], reader.last_runs(connection)[1].command]


def test_an_end_keeps_the_problem_that_stood(connection):
    with transaction(connection):
        writer.start_run(connection, "a", command="collect", holder="host:1", at_ms=AT_MS)
        writer.tick_run(connection, "a", at_ms=AT_MS, instances=3, duration_seconds=0.2, problem="line 3")
        writer.end_run(connection, "a", at_ms=AT_MS, outcome="done")

    assert "line 3" == reader.runs(connection, 1)[0].problem


def test_a_clock_that_was_set_back_hides_neither_the_newest_run_nor_the_last_tick(connection):
    set_back_ms = AT_MS - 7_200_000
    with transaction(connection):
        for run, at_ms in (("before", AT_MS), ("after", set_back_ms)):
            writer.start_run(connection, run, command="collect", holder="host:1", at_ms=at_ms)
            writer.tick_run(connection, run, at_ms=at_ms, instances=1, duration_seconds=0.2, problem=None)

    assert {"collect": set_back_ms} == fleet.last_successes(connection)
    assert (["after"], "after") == (
        [run.id for run in reader.last_runs(connection)],
        reader.runs(connection, 1)[0].id,
    )
