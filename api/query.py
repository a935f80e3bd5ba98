"""Query strings: known names once each, values within bounds, anything else a problem that says so."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import parse_qsl

from api.instants import parse_rfc3339
from api.problem import Problem, ProblemReason, echo

# chosen: no route takes more than four.
MAX_FIELDS = 16

# chosen: what fits a screen; `limit` asks for more, and a page of answers stays below about 1 MiB.
DEFAULT_ROWS = 100
MAX_ROWS = 500


def _bad(detail: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, ProblemReason.BAD_QUERY, detail)


def read_query(text: str, names: tuple[str, ...]) -> dict[str, str]:
    """Return {name: value}.

    Raises: Problem (400) for an unknown or repeated name, too many, or bytes that aren't UTF-8.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise _bad(f"the query string isn't UTF-8 or has over {MAX_FIELDS} fields; nothing was read") from None
    # kubectl's --request-timeout adds it to whatever it asks, and the API server's service proxy hands it on.
    pairs = [pair for pair in pairs if pair[0] != "timeout"]
    values = dict(pairs)
    for name in values:
        if name not in names:
            raise _bad(f"query parameter {echo(name)} is unknown here; known are {', '.join(names)}")
    if len(values) < len(pairs):
        raise _bad("a query parameter is given twice; each may be given once")
    return values


def whole_number(values: dict[str, str], name: str, *, default: int, highest: int) -> int:
    """Return a number between 1 and `highest`, `default` when it isn't given.

    Raises: Problem (400).
    """
    text = values.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(highest)) and 1 <= int(text) <= highest):
        raise _bad(f"query parameter {name} is {echo(text)}; a whole number from 1 to {highest} is allowed")
    return int(text)


def word(values: dict[str, str], name: str, *, allowed: tuple[str, ...]) -> str:
    """Return one of the words allowed, the first when it isn't given.

    Raises: Problem (400).
    """
    text = values.get(name, allowed[0])
    if text not in allowed:
        raise _bad(f"query parameter {name} is {echo(text)}; allowed are {', '.join(allowed)}")
    return text


def short_text(values: dict[str, str], name: str, *, longest: int) -> str:
    """Return a text, empty when it isn't given.

    Raises: Problem (400).
    """
    text = values.get(name, "")
    if len(text) > longest:
        raise _bad(f"query parameter {name} has {len(text)} characters; at most {longest} are allowed")
    return text


def instant_ms(values: dict[str, str], name: str) -> int | None:
    """Return an RFC 3339 time as Unix milliseconds, None when it isn't given.

    Raises: Problem (400).
    """
    text = values.get(name)
    if text is None:
        return None
    try:
        return parse_rfc3339(text)
    except (ValueError, OverflowError):
        raise _bad(
            f"query parameter {name} is {echo(text)}; an RFC 3339 time such as 2026-11-24T20:07:43Z is allowed"
        ) from None
