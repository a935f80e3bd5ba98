"""Names and values under each other, as `kubectl describe` has them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from api.kubectl.printing import NONE, coloured, plain

_GAP = 2


def fields(values: Mapping[str, object], *, indent: int = 0) -> list[str]:
    """Return a line for each value; nothing and the empty text read as <none>."""
    width = max((len(name) for name in values), default=0) + 1 + _GAP
    return [f"{' ' * indent}{name + ':':<{width}}{_value(value)}".rstrip() for name, value in values.items()]


def section(title: str, lines: Iterable[str]) -> list[str]:
    """Return lines under a title; a title that has none reads as <none>."""
    found = [f"  {line}" for line in lines]
    return [f"{title}:", *found] if found else [f"{title}:  {NONE}"]


def _value(value: object) -> str:
    if value is None or value == "":
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return coloured(plain(value))
