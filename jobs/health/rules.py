"""The table: every rule, in the order in which equally bad reasons are shown. Adding a rule is adding a row."""

from __future__ import annotations

from jobs.health.model import Severity, Verdict
from jobs.health.rows import agent, audio, clients, load, network, node, pod, qemu, screen, wishes
from jobs.health.rule import Rule

RULES: tuple[Rule, ...] = (
    *wishes.ROWS,
    *node.ROWS,
    *pod.ROWS,
    *agent.ROWS,
    *qemu.ROWS,
    *network.ROWS,
    *screen.ROWS,
    *audio.ROWS,
    *load.ROWS,
    *clients.ROWS,
)

BY_CODE = {rule.code: rule for rule in RULES}

# Reasons that rest on what browsers post: anybody may, so they never speak against what was measured, and lead to
# acts on the stream alone.
BY_WORD = frozenset(rule.code for rule in clients.ROWS)

# Reasons that make a tick bad: no findings, and nothing that somebody planned.
FAULTS = frozenset(rule.code for rule in RULES if rule.severity is not Severity.FINDING and not rule.is_planned)

VERDICT_OF = {
    Severity.FINDING: Verdict.HEALTHY,
    Severity.UNKNOWN: Verdict.UNKNOWN,
    Severity.DEGRADED: Verdict.DEGRADED,
    Severity.UNHEALTHY: Verdict.UNHEALTHY,
    Severity.UNREACHABLE: Verdict.UNREACHABLE,
}

WEIGHT = {severity: weight for weight, severity in enumerate(Severity)}

# What is proven outranks what is unknown; unknown outranks healthy.
BADNESS = {VERDICT_OF[severity]: weight for severity, weight in WEIGHT.items()}
