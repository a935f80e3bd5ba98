"""Tables as HTML: of labels and values, and wide ones. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TypeAlias

# An identity by which a script knows the row again, empty for none, and its cells as HTML; the first one heads the row.
Row: TypeAlias = tuple[str, Sequence[str]]


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Return rows of (label, value), both HTML."""
    shown = "".join(f'<tr><th scope="row">{label}</th><td>{value}</td></tr>' for label, value in rows)
    return f"<table>{shown}</table>"


def wide_table(label: str, heads: Sequence[str], rows: Iterable[Row], *, caption: str = "") -> str:
    """Return a table that scrolls by itself, by keyboard too, so that the page never does sideways.

    On a phone its rows are stacked, and each cell bears its column's head. label: what a screen reader calls it.
    heads: texts, one a column.
    """
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    region = f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}">'
    body = "".join(_row(heads, row) for row in rows)
    return f"{region}<table>{told}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _row(heads: Sequence[str], row: Row) -> str:
    identity, (first, *rest) = row
    opening = f'<tr data-id="{escape(identity)}">' if identity else "<tr>"
    cells = (f'<td data-label="{escape(head)}">{cell}</td>' for head, cell in zip(heads[1:], rest, strict=True))
    return f'{opening}<th scope="row">{first}</th>{"".join(cells)}</tr>'
