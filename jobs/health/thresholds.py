"""What a number in a policy may be; pure."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Range:
    """From least to most, both allowed; `is_whole`: of whole numbers only."""

    least: float
    most: float
    is_whole: bool

    def __str__(self) -> str:
        """Return `a whole number from 2 to 12`."""
        kind = "whole number" if self.is_whole else "number"
        return f"a {kind} from {self.least:g} to {self.most:g}"

    def takes(self, value: object) -> bool:
        """Tell whether a value lies in the range; neither true nor NaN does."""
        if isinstance(value, bool) or not isinstance(value, int if self.is_whole else int | float):
            return False
        return self.least <= value <= self.most


def threshold(default: float, least: float, most: float) -> Any:  # noqa: ANN401 - what dataclasses.field returns
    """Return a field whose value a policy file may set from `least` to `most`; an int default takes whole numbers."""
    return field(default=default, metadata={"range": Range(least, most, isinstance(default, int))})


def ranges_of(policy: type) -> dict[str, Range]:
    """Return the range of each threshold of a policy's class, by name."""
    return {one.name: one.metadata["range"] for one in fields(policy) if "range" in one.metadata}
