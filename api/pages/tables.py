"""Tables as HTML: of labels and values, and wide ones. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Return rows of (label, value), both HTML."""
    shown = "".join(f'<tr><th scope="row">{label}</th><td>{value}</td></tr>' for label, value in rows)
    return f"<table>{shown}</table>"


def wide_table(label: str, heads: Iterable[str], rows: str, *, caption: str = "", kind: str = "") -> str:
    """Return a table that scrolls by itself, by keyboard too, so that the page never does sideways.

    label: what a screen reader calls it. heads, rows: HTML. kind: its class, empty for none.
    """
    head = "".join(f'<th scope="col">{one}</th>' for one in heads)
    opening = f'<table class="{kind}">' if kind else "<table>"
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    region = f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}">'
    return f"{region}{opening}{told}<tr>{head}</tr>{rows}</table></div>"
