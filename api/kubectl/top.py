"""`kubectl loco top`: what each instance shows, sounds and uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from api.kubectl.ages import UNKNOWN
from api.kubectl.fleet import see
from api.kubectl.names import name_argument
from api.kubectl.options import headers_option, source_options
from api.kubectl.printing import show, table, talk
from api.kubectl.source import Source
from api.kubectl.told import number

# The column and the field of each key; digits: behind the point.
_COLUMNS = {
    "fps": ("FPS", "frameRate", 1),
    "sound": ("SOUND", "audioLevel", 2),
    "cpu": ("CPU%", "cpuPercent", 1),
    "qemu": ("QEMU-CPU%", "qemuCpuPercent", 1),
    "memory": ("MEMORY%", "memoryPercent", 1),
    "sessions": ("SESSIONS", "sessions", 0),
}


@click.command(short_help="Show frame rate, sound, CPU, memory and sessions.")
@name_argument(is_required=False)
@click.option("--sort", type=click.Choice(["name", *_COLUMNS]), default="cpu", help="Numbers: the highest first.")
@headers_option
@source_options
def top(*, name: str | None, sort: str, no_headers: bool, source: Source) -> None:
    """Show what the latest tick measured of instance NAME, or of all; what wasn't measured is <unknown> and comes last.

    CPU% and MEMORY% are of what SCOPE names: the container's cgroup, or the whole host. QEMU-CPU% is of one core.

    Example: kubectl loco top --sort=fps
    """
    seen = see(source, name)
    if seen.note:
        talk(seen.note)
    instances = list(seen.instances.values())
    if not instances:
        talk("the monitor knows no instance")
        return
    if sort != "name":
        instances.sort(key=lambda one: _place(one, _COLUMNS[sort][1]))
    head = ("NAME", *(column for column, _, _ in _COLUMNS.values()), "SCOPE", "VERDICT")
    show(table(head, map(_row, instances), has_head=not no_headers))


def _row(one: Mapping[str, Any]) -> tuple[object, ...]:
    values = (number(one[field], digits) for _, field, digits in _COLUMNS.values())
    return (one["name"], *values, one["cpuScope"] or UNKNOWN, one["verdict"])


def _place(one: Mapping[str, Any], field: str) -> tuple[bool, float]:
    value = one[field]
    return value is None, -(value or 0)
