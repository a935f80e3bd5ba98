"""Families of metrics, as prometheus_client takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

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


def counter(
    name: str,
    text: str,
    labels: tuple[str, str],
    known: Iterable[tuple[str, str]],
    totals: Mapping[tuple[str, str], int],
) -> Metric:
    """Return one family of counters with two labels: those of `known` that have counted nothing yet are 0.

    Prometheus' `increase` starts from a series' first value: one that began with its first event would hide that event.
    """
    family = CounterMetricFamily(name, text, labels=labels)
    for values, value in {**dict.fromkeys(known, 0), **totals}.items():
        family.add_metric(values, value)
    return family
