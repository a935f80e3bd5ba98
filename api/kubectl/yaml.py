"""JSON values as YAML in block style, which readers of version 1.1 and of 1.2 take for the same. Pure.

Source: YAML 1.2.2, sections 5.1 (printable characters), 7.3 (flow scalars), 8.2 (block collections). A text stands
plain only where no version could take it for something else; else in double quotes, whose escapes are JSON's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9 _./,;()'%+-]*[A-Za-z0-9_./)%])?")

# What 1.1 takes for a boolean or for null.
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})

# What YAML doesn't call printable, and line breaks of 1.1.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def block(value: object) -> str:
    """Return the YAML of a JSON value, without a line break at its end."""
    return "\n".join(_lines(value))


def _lines(value: object) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _entry(f"{_scalar(key)}:", each, indent="" if _is_list(each) else "  ")
    elif _is_list(value) and value:
        for each in value:  # type: ignore[attr-defined]
            first, *rest = _lines(each)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _entry(key: str, value: object, *, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str) and value:
        yield key
        yield from (f"{indent}{line}" for line in _lines(value))
    else:
        yield f"{key} {_scalar(value)}"


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _scalar(value: object) -> str:
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
            return value
        quoted = json.dumps(value, ensure_ascii=False)
        return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
    if isinstance(value, float):
        # 1.1 wants a point in every number with an exponent.
        return re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))
    return json.dumps(value)
