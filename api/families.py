"""Families of gauges, as prometheus_client takes them."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric

Sample = tuple[tuple[str, ...], float]
"""The labels' values, and the value."""


def gauge(name: str, text: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> Metric:
    """Return one family; one without samples still tells that its name exists."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def lone(name: str, text: str, value: float | None) -> Metric:
    """Return one family without labels; None where the value isn't known, which leaves it without a sample."""
    return gauge(name, text, (), [] if value is None else [((), value)])
