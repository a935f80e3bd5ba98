"""What a stranger's JSON holds at a path; wrong shapes read as absent, so nothing here raises."""

from __future__ import annotations

from datetime import datetime
from typing import Any

# chosen: a DNS subdomain, the longest name in Kubernetes, has 253 characters; sentences get less.
MAX_NAME_CHARACTERS = 253
MAX_SENTENCE_CHARACTERS = 200

# The end of the year 9999, behind which no RFC 3339 text leads.
MAX_INSTANT_MS = 253_402_300_799_999


def at(value: object, *path: str) -> Any:  # noqa: ANN401 - JSON
    """Return what stands at `path`, None where it doesn't lead anywhere."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def text(value: object, *path: str, most: int = MAX_NAME_CHARACTERS) -> str:
    """Return a text as one printable line of at most `most` characters, empty where there is none."""
    found = at(value, *path)
    return printable(found, most) if isinstance(found, str) else ""


def printable(line: str, most: int) -> str:
    """Return `line` cut to `most` characters, with a space for each that can't be printed."""
    return "".join(character if character.isprintable() else " " for character in line[:most]).strip()


def number(value: object, *path: str) -> int | None:
    """Return a whole number, None where there is none."""
    found = at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def flag(value: object, *path: str) -> bool | None:
    """Return a truth value, None where there is none."""
    found = at(value, *path)
    return found if isinstance(found, bool) else None


def objects(value: object, *path: str) -> list[dict[str, Any]]:
    """Return the objects of an array, empty where there is none."""
    found = at(value, *path)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def instant_ms(value: object, *path: str) -> int | None:
    """Return an RFC 3339 instant in Unix milliseconds, None where there is none."""
    found = at(value, *path)
    return parse_instant_ms(found) if isinstance(found, str) else None


def parse_instant_ms(line: str) -> int | None:
    """Return an RFC 3339 instant with its zone in Unix milliseconds, None for anything else."""
    try:
        instant = datetime.fromisoformat(line)
        at_ms = int(instant.timestamp() * 1000) if instant.tzinfo else -1
    except (ValueError, OverflowError):
        return None
    return at_ms if 0 <= at_ms <= MAX_INSTANT_MS else None
