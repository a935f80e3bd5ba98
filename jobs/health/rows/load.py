"""Rows about CPU and memory. The wire's `cpu_usage` and `memory_usage` are percent, 0-100."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.health.model import Evidence, FailureClass, Severity
from jobs.health.policy import Policy
from jobs.health.rule import Needs, Rule, View


def _lasting(policy: Policy) -> Needs:
    """Return how often a load must be too high."""
    return Needs(policy.load_ticks, policy.load_window)


def _has_cpu_limit(view: View) -> bool:
    """Tell whether the CPU figure is of a share of its own; without a limit the whole machine fills it.

    The legacy agent knows no limits, and its figures count as the instance's.
    """
    return view.performance.cpu_limit_cores is not None or view.report.is_legacy


def _has_memory_limit(view: View) -> bool:
    """Tell the same of memory."""
    return view.performance.memory_limit_bytes is not None or view.report.is_legacy


def _is_cpu_full(view: View) -> bool:
    """Tell whether the CPU share is used up; where the kernel counts waiting, something must have waited for it."""
    usage, pressure = view.performance.cpu_usage, view.performance.cpu_pressure_ratio
    if usage is None or usage <= view.policy.cpu_ratio * 100:
        return False
    return pressure is None or pressure >= view.policy.cpu_pressure_ratio


def _is_memory_full(view: View) -> bool:
    """Tell whether the memory share is used up."""
    usage = view.performance.memory_usage
    return usage is not None and usage > view.policy.memory_ratio * 100


def _cpu(view: View) -> Iterator[Evidence]:
    """Show the use of CPU, and whether anything waited for it."""
    performance, policy = view.performance, view.policy
    yield Evidence("performance.cpu_usage", performance.cpu_usage, policy.cpu_ratio * 100, "%")
    yield Evidence("performance.cpu_limit", performance.cpu_limit_cores, unit="cores")
    yield Evidence("performance.cpu_pressure", performance.cpu_pressure_ratio, policy.cpu_pressure_ratio)
    yield Evidence("performance.qemu_cpu", performance.qemu_cpu, unit="%")


def _memory(view: View) -> Iterator[Evidence]:
    """Show the use of memory."""
    usage, limit = view.performance.memory_usage, view.policy.memory_ratio * 100
    yield Evidence("performance.memory_usage", usage, limit, "%")


def _throttling(view: View) -> Iterator[Evidence]:
    """Show how often the kernel held the container back."""
    yield Evidence("performance.throttled", view.performance.throttled_ratio, view.policy.throttled_ratio)


ROWS = (
    Rule(
        "HighCpu",
        FailureClass.QEMU,
        Severity.DEGRADED,
        lambda view: _is_cpu_full(view) and _has_cpu_limit(view),
        _cpu,
        "The container's CPU limit is used up.",
        "Give it a larger CPU limit, or see what in the guest burns it.",
        needs=_lasting,
    ),
    Rule(
        "HighMemory",
        FailureClass.QEMU,
        Severity.DEGRADED,
        lambda view: _is_memory_full(view) and _has_memory_limit(view),
        _memory,
        "The container's memory limit is nearly used up; the kernel will end something soon.",
        "Give it a larger memory limit.",
        needs=_lasting,
    ),
    Rule(
        "CpuThrottled",
        FailureClass.QEMU,
        Severity.DEGRADED,
        lambda view: (
            view.performance.throttled_ratio is not None
            and view.performance.throttled_ratio > view.policy.throttled_ratio
        ),
        _throttling,
        "The kernel holds the container back in many of its scheduler periods: sound and picture stutter.",
        "Give it a larger CPU limit.",
        needs=_lasting,
    ),
    Rule(
        "HostBusy",
        FailureClass.NONE,
        Severity.FINDING,
        lambda view: (
            (_is_cpu_full(view) and not _has_cpu_limit(view)) or (_is_memory_full(view) and not _has_memory_limit(view))
        ),
        lambda view: (*_cpu(view), *_memory(view)),
        "The machine is short of CPU or memory; without a limit of its own that accuses no instance.",
        "Move work off the machine.",
        needs=_lasting,
    ),
)
