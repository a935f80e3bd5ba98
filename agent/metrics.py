"""What the agent itself costs, in the Prometheus text format (version 0.0.4)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from agent.collect import Rounds

_FAMILIES = {
    "loco_agent_rounds_total": ("counter", "Finished rounds of checks."),
    "loco_agent_cpu_seconds_total": ("counter", "CPU time of the agent."),
    "loco_agent_check_runs_total": ("counter", "Measurements made."),
    "loco_agent_check_errors_total": ("counter", "Measurements that failed."),
    "loco_agent_check_seconds_total": ("counter", "Wall time spent in measurements."),
}


def exposition(rounds: Rounds) -> str:
    """Return all families, one line a sample."""
    values: dict[str, Iterable[str]] = {
        "loco_agent_rounds_total": [f" {rounds.sequence}"],
        "loco_agent_cpu_seconds_total": [f" {time.process_time():.3f}"],
        "loco_agent_check_runs_total": _per_check(rounds, "runs"),
        "loco_agent_check_errors_total": _per_check(rounds, "errors"),
        "loco_agent_check_seconds_total": _per_check(rounds, "seconds"),
    }
    lines = []
    for name, (kind, text) in _FAMILIES.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *(name + value for value in values[name])]
    return "\n".join(lines) + "\n"


def _per_check(rounds: Rounds, field: str) -> Iterator[str]:
    for name, checker in rounds.checkers.items():
        yield f'{{check="{name}"}} {getattr(checker.tally, field):g}'
