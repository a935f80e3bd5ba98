"""`kubectl loco get [NAME]`: instances and their verdicts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from api.instants import now_ms
from api.kubectl import told
from api.kubectl.errors import AskFailed, NoSuchThing
from api.kubectl.fleet import Seen, see
from api.kubectl.names import PREFIX, name_argument
from api.kubectl.options import format_option, headers_option, source_options
from api.kubectl.printing import show, show_json, show_yaml, table, talk
from api.kubectl.source import Source

# chosen: a third of a tick. kubectl can't ask whether anything has changed, so every look costs a whole answer.
_EVERY_SECONDS = 5.0

# What makes a row another one. A reason's own sentence isn't among it: its figures are others at every tick.
_STATE = ("verdict", "failureType", "since", "stale", "incident", "uid", "pod", "node")


@click.command(short_help="List instances with their verdicts.")
@name_argument(is_required=False)
@click.option("-A", "--all-namespaces", "has_namespace", is_flag=True, help="Show the namespace of each pod too.")
@format_option("wide", "json", "yaml", "name")
@click.option("-w", "--watch", is_flag=True, help="Then print what changes, until Ctrl-C.")
@headers_option
@source_options
def get(
    *, name: str | None, has_namespace: bool, form: str | None, watch: bool, no_headers: bool, source: Source
) -> None:
    """Show instance NAME, or all that the monitor watches, whatever their namespace.

    While the API is down, ConfigMap loco-health answers, and stderr says so.

    Example: kubectl loco get -o wide
    """
    seen = see(source, name)
    if seen.note:
        talk(seen.note)
    _print(seen, form, is_one=name is not None, has_namespace=has_namespace, has_head=not no_headers)
    if watch:
        _watch(source, name, seen, form, has_namespace=has_namespace)


def _print(seen: Seen, form: str | None, *, is_one: bool, has_namespace: bool, has_head: bool) -> None:
    instances = list(seen.instances.values())
    if form == "name":
        show(f"{PREFIX}{name}" for name in seen.instances)
    elif form in ("json", "yaml"):
        value = instances[0] if is_one and instances else {"kind": "List", "items": instances}
        (show_json if form == "json" else show_yaml)(value)
    elif instances:
        lines = _lines(seen, is_wide=form == "wide", has_namespace=has_namespace)
        show(lines if has_head else lines[1:])
    else:
        talk("the monitor knows no instance")


def _lines(seen: Seen, *, is_wide: bool, has_namespace: bool) -> list[str]:
    """Return the table's head, and a line for each instance in its order."""
    at_ms = now_ms()
    rows = [told.row(one, at_ms, is_wide=is_wide, has_namespace=has_namespace) for one in seen.instances.values()]
    return table(told.head(is_wide=is_wide, has_namespace=has_namespace), rows)


def _watch(source: Source, name: str | None, seen: Seen, form: str | None, *, has_namespace: bool) -> None:
    """Print each instance that has changed, for ever; an answer that fails is said once, and asked for again."""
    while True:
        time.sleep(_EVERY_SECONDS)
        before = seen
        try:
            seen = see(source, name)
        except (AskFailed, NoSuchThing) as error:
            seen = Seen(before.instances, str(error))
        if seen.note and not before.note:
            talk(f"{seen.note}; asking again")
        for key in before.instances.keys() - seen.instances.keys():
            talk(f"{key} has left the fleet")
        _print_changes(before, seen, form, has_namespace=has_namespace)


def _print_changes(before: Seen, seen: Seen, form: str | None, *, has_namespace: bool) -> None:
    changed = [key for key, one in seen.instances.items() if _has_changed(one, before.instances.get(key))]
    if not changed:
        return
    if form in (None, "wide"):
        lines = _lines(seen, is_wide=form == "wide", has_namespace=has_namespace)[1:]
        show(line for key, line in zip(seen.instances, lines, strict=True) if key in changed)
        return
    for key in changed:
        _print(Seen({key: seen.instances[key]}), form, is_one=True, has_namespace=has_namespace, has_head=False)


def _has_changed(one: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
    return before is None or _state(one) != _state(before)


def _state(one: Mapping[str, Any]) -> list[object]:
    codes, recovery = told.codes(one["reasons"]), one["recovery"]
    return [*(one[name] for name in _STATE), codes, recovery["next"], recovery["hold"]]
