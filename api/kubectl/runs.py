"""`kubectl loco runs`: what the monitor's own jobs did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from api.instants import now_ms
from api.kubectl.ages import UNKNOWN, age
from api.kubectl.options import format_option, headers_option, source_options
from api.kubectl.printing import NONE, show, show_json, show_yaml, table, talk
from api.kubectl.source import Source, ask_json

_HEAD = ("COMMAND", "STARTED", "LAST-SUCCESS", "TICKS", "INSTANCES", "LAST-TICK", "OUTCOME", "PROBLEM")


@click.command(short_help="List the monitor's own runs.")
@format_option("json", "yaml")
@headers_option
@source_options
def runs(*, form: str | None, no_headers: bool, source: Source) -> None:
    """Show the last 100 runs of the jobs, the newest first.

    The newest of a command without an end reads as running, also where it was killed; an earlier one as <unknown>.

    Example: kubectl loco runs
    """
    found = ask_json(source, "/api/runs")
    if form:
        (show_json if form == "json" else show_yaml)({"kind": "List", "items": found})
    elif found:
        show(table(_HEAD, _rows(found, now_ms()), has_head=not no_headers))
    else:
        talk("no job has run yet")


def _rows(found: Iterable[Mapping[str, Any]], at_ms: int) -> Iterator[tuple[object, ...]]:
    """Yield the cells of each run, the newest first."""
    seen: set[str] = set()
    for one in found:
        unended = UNKNOWN if one["command"] in seen else "running"
        seen.add(one["command"])
        yield (
            one["command"],
            age(one["startedAt"], at_ms),
            age(one["lastSuccessAt"], at_ms) if one["lastSuccessAt"] else NONE,
            one["ticks"],
            NONE if one["instances"] is None else one["instances"],
            NONE if one["durationSeconds"] is None else _short(one["durationSeconds"]),
            one["outcome"] or unended,
            one["problem"] or NONE,
        )


def _short(seconds: float) -> str:
    """Return `<1ms`, `12ms` or `1.5s`: a tick takes any of them."""
    if seconds >= 1:
        return f"{seconds:.1f}s"
    return f"{seconds * 1000:.0f}ms" if seconds >= 0.001 else "<1ms"
