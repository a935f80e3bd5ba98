"""How answers are printed: tables as kubectl's, JSON, YAML, names; nothing on a terminal but text and our colours.

What instances and pods say of themselves is others' text: what would steer a terminal is shown as an escape instead.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence

import click

from api.kubectl.yaml import block

NONE = "<none>"

# kubectl's own gap between columns.
_GAP = 3

_COLOURS: Mapping[str, str] = {
    "healthy": "green",
    "degraded": "yellow",
    "unhealthy": "red",
    "unreachable": "magenta",
    "unknown": "bright_black",
}

# Controls of both sets, what turns the direction of text, line separators, half surrogates.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def plain(text: object) -> str:
    """Return a text in which nothing steers a terminal, on one line."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", str(text))


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, has_head: bool = True) -> list[str]:
    """Return aligned lines; a verdict in its colour where that is wanted."""
    cells = [[plain(cell) for cell in row] for row in rows]
    lines = [list(head), *cells] if has_head else cells
    widths = [max(len(cell) for cell in column) + _GAP for column in zip(*lines, strict=True)] if lines else []
    return ["".join(map(_padded, line, widths)).rstrip() for line in lines]


def show(lines: Iterable[str]) -> None:
    """Print lines to stdout."""
    text = "\n".join(lines)
    if text:
        click.echo(text)


def show_json(value: object) -> None:
    """Print a value as JSON."""
    text = json.dumps(value, indent=4, ensure_ascii=False)
    click.echo("\n".join(map(plain, text.split("\n"))))


def show_yaml(value: object) -> None:
    """Print a value as YAML."""
    click.echo(block(value))


def talk(sentence: str) -> None:
    """Say something beside the data, on stderr."""
    click.echo(f"kubectl loco: {plain(sentence)}", err=True)


def coloured(text: str) -> str:
    """Return a verdict in its colour, where stdout is a terminal that wants colours."""
    colour = _COLOURS.get(text.strip())
    return click.style(text, fg=colour) if colour and wants_colour() else text


def _padded(cell: str, width: int) -> str:
    return coloured(cell) + " " * (width - len(cell))


def wants_colour() -> bool:
    """Tell whether stdout is a terminal that wants colours. Source: no-color.org."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
