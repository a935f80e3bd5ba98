"""The snapshot as ConfigMap `loco-health`: what stands in it, in words, as a table, and for the API. Pure.

jobs.cluster.publisher writes it; decisions/0009 says when.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from agent.report import rfc3339
from jobs.health.model import Assessment, Reason, Verdict
from jobs.health.rules import BADNESS
from jobs.health.wording import meaning
from jobs.store.snapshot import REFRESH_MS, SNAPSHOT_STALE_AFTER_MS, FleetSnapshot, Told, encode

NAME = "loco-health"

# The keys of its data; the API reads JSON alone.
SUMMARY, TABLE, JSON = "summary", "instances", "snapshot.json"

# Kubernetes takes 1 MiB, and the object's other fields count too.
MAX_BYTES = 900 * 1024

# chosen: more rows than anybody reads, below 100 KiB.
_TRIMMED_ROWS = 200
_CELL = 60

# chosen: what a page of a terminal shows.
_INCIDENT_LINES = 20

_HEADER = ("ID", "POD", "VERDICT", "CLASS", "SINCE", "SEEN", "REASONS")


class TooLarge(ValueError):
    """A fleet whose bare verdicts don't fit into a ConfigMap, as one sentence."""


def render(snapshot: FleetSnapshot) -> dict[str, str]:
    """Return the ConfigMap's data, at most MAX_BYTES: evidence goes first, verdicts never.

    Raises: TooLarge.
    """
    data = _data(snapshot)
    for step, (told, trim) in enumerate(_TRIMS, start=1):
        if size_bytes(data) <= MAX_BYTES:
            return data
        instances = tuple(trim(one) for one in snapshot.instances)
        snapshot = replace(snapshot, instances=instances, trimmed=(*snapshot.trimmed, told))
        data = _data(snapshot, rows_most=_TRIMMED_ROWS if step >= _TABLE_STEP else None)
    size = size_bytes(data)
    if size > MAX_BYTES:
        raise TooLarge(
            f"the verdicts of {len(snapshot.instances)} instances take {size} bytes, ConfigMap {NAME} holds "
            f"{MAX_BYTES}; it stays as it was"
        )
    return data


def size_bytes(data: dict[str, str]) -> int:
    """Return how much data counts against the limit of a ConfigMap."""
    return sum(len(key) + len(text.encode()) for key, text in data.items())


def essence(snapshot: FleetSnapshot) -> tuple[object, ...]:
    """Return what a reader would act on: two snapshots with the same one differ in their times only."""
    found = snapshot.discovery
    problems = tuple((run.command, run.problem) for run in snapshot.runs)
    fleet = tuple(sorted(_essence(one, snapshot.told(one)) for one in snapshot.instances))
    return fleet, found and found.mode.value, problems


def _essence(one: Told, told: Assessment) -> tuple[str, ...]:
    pod = one.instance.pod if one.instance else None
    uid = (one.instance.uid if one.instance else None) or ""
    codes = ",".join(reason.code for reason in told.reasons)
    place = (pod.phase, pod.reason) if pod else ("", "")
    return (one.key, one.id, uid, *place, told.verdict, told.failure_class, codes, one.incident_id or "")


def _data(snapshot: FleetSnapshot, *, rows_most: int | None = None) -> dict[str, str]:
    """Return the data. rows_most: of the table, None for all."""
    rows = sorted(((one, snapshot.told(one)) for one in snapshot.instances), key=_worst_first)
    shown = rows[:rows_most]
    table = list(_table([_row(one, told, snapshot) for one, told in shown], is_cut=rows_most is not None))
    if len(shown) < len(rows):
        table.append(f"and {len(rows) - len(shown)} more, all of them in {JSON}")
    return {SUMMARY: _lines(_summary(snapshot, rows)), TABLE: _lines(table), JSON: encode(snapshot)}


def _lines(lines: Iterable[str]) -> str:
    """Return lines without spaces at their ends, which would make `kubectl get -o yaml` print them as one."""
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _worst_first(row: tuple[Told, Assessment]) -> tuple[int, str, int, str]:
    one, told = row
    stem = one.id.rstrip("0123456789")
    ordinal = one.id[len(stem) :]
    return -BADNESS[told.verdict], stem, int(ordinal[:18] or 0), one.id


def _summary(snapshot: FleetSnapshot, rows: list[tuple[Told, Assessment]]) -> Iterator[str]:
    counts = Counter(told.verdict for _, told in rows)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    yield f"{len(rows)} instances: {told}." if rows else "No instances: the inventory names none."
    yield f"Written {_at(snapshot.written_at_ms)}, newest observation {_at(snapshot.observed_at_ms)}."
    yield (
        f"Written again when something changes, at most once a minute, and every {REFRESH_MS // 60_000} minutes "
        f"anyway: {SNAPSHOT_STALE_AFTER_MS // 60_000} minutes after it was written it says nothing about now."
    )
    yield from _incidents(rows)
    yield from _discovery(snapshot)
    if snapshot.trimmed:
        yield f"Left out for room: {'; '.join(snapshot.trimmed)}. The API and the store have them."


def _incidents(rows: list[tuple[Told, Assessment]]) -> Iterator[str]:
    sick = [one for one, _ in rows if one.incident_id]
    yield f"Open incidents: {len(sick)}." if sick else "No incident is open."
    for one in sick[:_INCIDENT_LINES]:
        yield _incident(one)
    if len(sick) > _INCIDENT_LINES:
        yield f"  and {len(sick) - _INCIDENT_LINES} more"


def _incident(one: Told) -> str:
    """Return what is wrong with an instance by its open incident, whatever the latest tick says."""
    opened = one.incident
    codes = opened.codes if opened else one.codes
    words = " ".join(meaning(code) for code in codes)
    lead = f"  {one.id} (incident {one.incident_id})"
    if opened is None:
        return f"{lead}: {words}"
    return f"{lead}, {opened.verdict} at worst, class {opened.failure_class}, since {_at(opened.opened_at_ms)}: {words}"


def _discovery(snapshot: FleetSnapshot) -> Iterator[str]:
    found = snapshot.discovery
    if found is None:
        yield "Discovery has not spoken yet."
        return
    names = ", ".join(one.name for one in found.detail.namespaces)
    where = f", namespaces {names}, listed {_at(found.listed_at_ms)}" if names else ""
    yield f"Discovery: {found.mode}{where}."
    for run in snapshot.runs:
        if run.problem:
            yield f"Problem of {run.command}: {run.problem}"


def _table(rows: list[tuple[str, ...]], *, is_cut: bool) -> Iterator[str]:
    """Yield the lines of a table, its columns as wide as their widest cell. is_cut: long cells are cut."""
    rows = [_HEADER, *rows]
    if is_cut:
        rows = [tuple(cell if len(cell) <= _CELL else f"{cell[: _CELL - 1]}…" for cell in row) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))


def _row(one: Told, told: Assessment, snapshot: FleetSnapshot) -> tuple[str, ...]:
    since = "-" if snapshot.is_old(one) or one.since_ms is None else _at(one.since_ms)
    codes = ",".join(reason.code for reason in told.reasons)
    seen = _at(one.observed_at_ms)
    return one.id, one.key, told.verdict.value, told.failure_class.value, since, seen, codes or "-"


def _at(at_ms: int | None) -> str:
    """Return a moment to the second."""
    return "never" if at_ms is None else f"{rfc3339(at_ms / 1000)[:19]}Z"


def _without_evidence(one: Told) -> Told:
    incident = one.incident and dataclasses.replace(one.incident, reasons=_bare(one.incident.reasons))
    return replace(one, reasons=_bare(one.reasons), recommendations=(), detail="", connectivity=None, incident=incident)


def _bare(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    return tuple(dataclasses.replace(reason, evidence=()) for reason in reasons)


def _without_reasons(one: Told) -> Told:
    incident = one.incident and dataclasses.replace(one.incident, reasons=())
    return replace(one, reasons=(), incident=incident)


def _without_pod_if_healthy(one: Told) -> Told:
    return replace(one, instance=None) if one.verdict is Verdict.HEALTHY and not one.incident_id else one


def _without_pod(one: Told) -> Told:
    return replace(one, instance=None, incident=None)


# In this order, until the rest fits.
_TRIMS: tuple[tuple[str, Callable[[Told], Told]], ...] = (
    ("evidence, probes and recommendations", _without_evidence),
    ("the reasons' classes and severities", _without_reasons),
    (f"the table after its worst {_TRIMMED_ROWS} rows", lambda one: one),
    ("what is known of healthy pods", _without_pod_if_healthy),
    ("what is known of the other pods, and since when incidents are open", _without_pod),
)
_TABLE_STEP = 3
