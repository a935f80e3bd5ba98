"""The whole fleet at a glance: one small mark an instance, each in a place of its own that no verdict moves. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from api.fleet import Standing
from api.pages.card import href
from jobs.health.model import Verdict


def overview(standings: Sequence[Standing]) -> str:
    """Return a mark an instance, told apart by colour and by shape, in the order of the inventory."""
    marks = "".join(_mark(standing) for standing in standings)
    return f'\n<nav class="marks" aria-label="{len(standings)} instances, a mark each">{marks}</nav>'


def _mark(standing: Standing) -> str:
    """Return one mark; what it leaves out, such as spaces, is left out a thousand times."""
    told = f"{standing.instance.name}: {standing.verdict}"
    if standing.reasons and standing.verdict is not Verdict.HEALTHY:
        told += f", {standing.reasons[0].code}"
    return f'<a class="{standing.verdict}" href="{href(standing.instance.public_id)}" title="{escape(told)}"></a>'
