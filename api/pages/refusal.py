"""What a browser shows where a request isn't answered. Pure."""

from __future__ import annotations

from html import escape

from api.fleet import Fleet
from api.pages.document import document


def render(fleet: Fleet, title: str, detail: str, path: str) -> str:
    """Return the whole document.

    title: the status's phrase. detail: one sentence without its full stop. path: what was asked for.
    """
    up = "../" * (path.count("/") - 1)
    told = escape(detail[:1].upper() + detail[1:])
    return document(
        fleet,
        title=title,
        top=f'<h1 class="headline">{title}</h1>',
        body=f'<div class="detail"><section class="panel"><p>{told}.</p>'
        f'<p><a href="{up}./">All instances</a> or <a href="{up}incidents">all incidents</a></p></section></div>',
        up=up,
        styles=("detail.css",),
    )
