"""Pages of a list that grows at its head: opaque cursors, and the Link to the next page. Pure."""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode

import msgspec

from api.problem import Problem, ProblemReason, echo

# What a cursor is for, and not a field of what it pages through.
_OF_PAGING = ("limit", "cursor", "before")


class _Place(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Where a page ended. of: the list. filters: by which it was asked for. last: id of its last row."""

    of: str
    filters: dict[str, str]
    last: str


def last_seen(values: Mapping[str, str], *, of: str) -> str | None:
    """Return the id of the row after which the asked page begins, None for the first page.

    of: the list's name. Raises: Problem (400) for a cursor that this list never gave.
    """
    cursor = values.get("cursor")
    if cursor is None:
        return values.get("before")
    if "before" in values:
        raise _bad("query parameters cursor and before exclude each other; give one")
    try:
        place = msgspec.json.decode(b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True), type=_Place)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        raise _bad(f"query parameter cursor is {echo(cursor)}, which no Link gave; begin without it") from None
    if (of, _filters(values)) != (place.of, place.filters):
        raise _bad("query parameter cursor is of another list or filter; begin without it")
    return place.last


def gone(values: Mapping[str, str]) -> Problem:
    """Return the refusal of a page after a row that isn't there, or isn't there any more."""
    name = "cursor" if "cursor" in values else "before"
    return _bad(f"query parameter {name} is of a row that isn't there; begin without it")


def link(values: Mapping[str, str], *, of: str, last: str) -> tuple[str, str]:
    """Return the header that leads on after the row `last` (RFC 8288).

    A query alone keeps the path by which the caller came, through any proxy (RFC 3986 section 5.3).
    """
    asked = {name: value for name, value in values.items() if name not in ("cursor", "before")}
    return "Link", f'<?{urlencode({**asked, "cursor": cursor_after(values, of=of, last=last)})}>; rel="next"'


def cursor_after(values: Mapping[str, str], *, of: str, last: str) -> str:
    """Return the cursor of the page after the row `last`, under the same filters."""
    place = msgspec.json.encode(_Place(of, _filters(values), last))
    return urlsafe_b64encode(place).decode().rstrip("=")


def _filters(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in _OF_PAGING}


def _bad(detail: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, ProblemReason.BAD_QUERY, detail)
