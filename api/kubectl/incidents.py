"""`kubectl loco incidents`: what went wrong, and what was done about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import click

from api.instants import now_ms, parse_rfc3339
from api.kubectl import story
from api.kubectl.ages import age
from api.kubectl.names import find, name_argument
from api.kubectl.options import duration, format_option, headers_option, source_options
from api.kubectl.printing import NONE, show, show_json, show_yaml, table, talk
from api.kubectl.source import Source, ask_json
from jobs.health.causes import FLEET, is_common, name_of
from jobs.health.model import InstanceKey

_HEAD = ("ID", "INSTANCE", "STATE", "CLASS", "WORST", "CODES", "OPENED", "LASTED", "ATTEMPTS", "LAST-OUTCOME")

# The most that the API gives at once.
_PAGE = 500


@click.command(short_help="List incidents, the newest first.")
@name_argument(is_required=False)
@click.option("--open", "only_open", is_flag=True, help="Only those that are open.")
@click.option(
    "--since",
    callback=duration,
    default="24h",
    metavar="SPAN",
    help="Those opened within this time, beside all open ones.",
)
@format_option("json", "yaml", "name")
@headers_option
@source_options
def incidents(
    *, name: str | None, only_open: bool, since: int, form: str | None, no_headers: bool, source: Source
) -> None:
    """Show incidents of instance NAME, or of the fleet: open ones, and those that opened within --since.

    Example: kubectl loco incidents --since 7d
    """
    at_ms = now_ms()
    whose = f"&instance={quote(find(source, name), safe='')}" if name else ""
    found = list(_pages(source, f"state=open{whose}"))
    if not only_open:
        known = {one["id"] for one in found}
        opened = _pages(source, f"state=all{whose}", after_ms=at_ms - since * 1000)
        found += [one for one in opened if one["id"] not in known]
        found.sort(key=lambda one: parse_rfc3339(one["openedAt"]), reverse=True)
    _print(found, form, at_ms, has_head=not no_headers)


def _pages(source: Source, query: str, *, after_ms: int = 0) -> Iterator[dict[str, Any]]:
    """Yield incidents, the newest first, down to those that opened before `after_ms`."""
    before = ""
    while True:
        page = ask_json(source, f"/api/incidents?{query}&limit={_PAGE}{before}")
        for one in page:
            if parse_rfc3339(one["openedAt"]) < after_ms:
                return
            yield one
        if len(page) < _PAGE:
            return
        before = f"&before={quote(page[-1]['id'], safe='')}"


def _print(found: list[dict[str, Any]], form: str | None, at_ms: int, *, has_head: bool) -> None:
    if form == "name":
        show(f"incident/{one['id']}" for one in found)
    elif form:
        (show_json if form == "json" else show_yaml)({"kind": "List", "items": found})
    elif found:
        show(table(_HEAD, [_row(one, at_ms) for one in found], has_head=has_head))
    else:
        talk("no incident")


def _row(one: Mapping[str, Any], at_ms: int) -> tuple[object, ...]:
    attempts = one["attempts"]
    return (
        one["id"],
        one["instanceId"] or _whose(one["key"]),
        "open" if one["open"] else "closed",
        one["failureType"],
        one["worstVerdict"],
        ",".join(one["codes"]) or NONE,
        age(one["openedAt"], at_ms),
        story.lasted(one, at_ms),
        len(attempts),
        (attempts[-1]["outcome"] or attempts[-1]["state"]) if attempts else NONE,
    )


def _whose(key: str) -> str:
    """Return `(fleet)`, `(node NAME)` or `(image NAME)` where an incident is nobody's own; else the instance's key."""
    if key == FLEET:
        return "(fleet)"
    return f"({name_of(InstanceKey(key))})" if is_common(InstanceKey(key)) else key
