"""An instance's latest screen, as each page shows it. Pure."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from api.fleet import Standing
from api.pages.document import moment


def screen(standing: Standing, *, up: str = "", is_lazy: bool = False) -> str:
    """Return the picture with its age, or why there is none. is_lazy: loaded only once it is nearly in sight."""
    picture, report = standing.picture, standing.report
    if picture is None:
        why_not = report.fields.screen.error if report and report.fields.screen and report.fields.screen.error else ""
        return f'<p class="no-picture">no picture<small>{escape(why_not)}</small></p>'
    path = f"{up}api/instances/{quote(standing.instance.public_id, safe='')}/screen.png"
    when = ' loading="lazy" decoding="async"' if is_lazy else ""
    return (
        f'<img src="{escape(path)}?hash={quote(picture.hash, safe="")}"'
        f' alt="Screen of {escape(standing.instance.name)}"{when}>'
        f"<small>{moment(picture.taken_at_ms, 'picture ')}</small>"
    )
