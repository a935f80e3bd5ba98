"""`kubectl loco why NAME`: why an instance is judged as it is, and what will be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from api.instants import now_ms
from api.kubectl import story
from api.kubectl.ages import ago
from api.kubectl.fields import fields, section
from api.kubectl.names import ask_about, name_argument
from api.kubectl.options import format_option, source_options
from api.kubectl.printing import plain, show, show_json, show_yaml
from api.kubectl.source import Source


@click.command(short_help="Say why an instance is judged as it is, and what is next.")
@name_argument()
@format_option("json", "yaml")
@source_options
def why(*, name: str, form: str | None, source: Source) -> None:
    """Show the verdict of instance NAME, every reason with its evidence, and what recovery does or waits for.

    Example: kubectl loco why instance-3
    """
    told = ask_about(source, name, "/api/instances/{id}/why")
    if form:
        (show_json if form == "json" else show_yaml)(told)
    else:
        show(lines(told, now_ms()))


def lines(told: Mapping[str, Any], at_ms: int) -> list[str]:
    """Return the story."""
    head = fields(
        {
            "Name": told["instanceId"],
            "Verdict": told["verdict"],
            "Class": told["failureType"],
            "Since": ago(told["since"], at_ms),
            "Observed": ago(told["observedAt"], at_ms),
        }
    )
    found = told["incident"]
    return [
        *head,
        *_before(told, at_ms),
        *section("Reasons", story.reasons(told["reasons"], at_ms)),
        *section("What helps", map(plain, told["recommendations"])),
        *section("Recovery", story.recovery(told["recovery"], at_ms)),
        *section("Incident", story.incident(found, at_ms) if found else ()),
        *section("Changes", story.changes(told["changes"][:5], at_ms)),
    ]


def _before(told: Mapping[str, Any], at_ms: int) -> list[str]:
    """Return what was last known of an instance of which nothing is known now."""
    last = told["lastAssessment"]
    if not last:
        return []
    known = {
        "Verdict": last["verdict"],
        "Reasons": ", ".join(one["code"] for one in last["reasons"]),
        "Observed": ago(last["observedAt"], at_ms),
    }
    return section("Last known", fields(known))
