"""`kubectl loco runs`: what the monitor's own jobs did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from api.instants import now_ms
from api.kubectl.ages import age
from api.kubectl.options import format_option, headers_option, source_options
from api.kubectl.printing import NONE, show, show_json, show_yaml, table, talk
from api.kubectl.source import Source, ask_json

_HEAD = ("COMMAND", "STARTED", "LAST-SUCCESS", "TICKS", "INSTANCES", "TOOK", "OUTCOME", "PROBLEM")


@click.command(short_help="List the monitor's own runs.")
@format_option("json", "yaml")
@headers_option
@source_options
def runs(*, form: str | None, no_headers: bool, source: Source) -> None:
    """Show the last 100 runs of the jobs, the newest first; one that goes on or was killed has no OUTCOME.

    Example: kubectl loco runs
    """
    found = ask_json(source, "/api/runs")
    if form:
        (show_json if form == "json" else show_yaml)({"kind": "List", "items": found})
    elif found:
        at_ms = now_ms()
        show(table(_HEAD, [_row(one, at_ms) for one in found], has_head=not no_headers))
    else:
        talk("no job has run yet")


def _row(one: Mapping[str, Any], at_ms: int) -> tuple[object, ...]:
    took = one["durationSeconds"]
    return (
        one["command"],
        age(one["startedAt"], at_ms),
        age(one["lastSuccessAt"], at_ms) if one["lastSuccessAt"] else NONE,
        one["ticks"],
        NONE if one["instances"] is None else one["instances"],
        NONE if took is None else f"{took:.2f}s",
        one["outcome"] or NONE,
        one["problem"] or NONE,
    )
