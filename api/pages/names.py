"""Names as HTML: of an instance or incident, a link to its page; of reasons, their codes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import quote

from jobs.health.causes import FLEET, is_common, name_of
from jobs.health.model import InstanceKey


def named(key: InstanceKey, names: Mapping[InstanceKey, str], *, up: str) -> str:
    """Return an instance by its public id, one that has left by its key, a common cause in words.

    names: public id of each instance that is in the inventory. up: the way to `/`.
    """
    name = names.get(key)
    if name is not None:
        return f'<a href="{up}instances/{quote(name, safe="")}">{escape(name)}</a>'
    if key == FLEET:
        return "the whole fleet"
    return escape(name_of(key) if is_common(key) else key)


def incident_link(incident: str, *, up: str, lead: str = "") -> str:
    """Return an incident's id as a link. lead: what stands before it, inside of the link."""
    return f'<a href="{up}incidents/{quote(incident, safe="")}">{lead}{escape(incident)}</a>'


def coded(codes: Iterable[str]) -> str:
    """Return reasons' codes in a row."""
    return " ".join(f"<code>{escape(code)}</code>" for code in codes)
