"""What a PromQL expression names: metrics of ours, and the words that its matchers ask for."""

import re

_METRIC = re.compile(r"\b(loco_\w+|ALERTS)\b")
_MATCHER = re.compile(r'(\w+)=~?"([\w|-]+)"')


def metrics_of(expression: str) -> list[str]:
    """Return the names of metrics."""
    return _METRIC.findall(expression)


def labels_of(expression: str) -> list[tuple[str, list[str]]]:
    """Return each matcher's label with the words that it allows."""
    return [(label, words.split("|")) for label, words in _MATCHER.findall(expression)]
