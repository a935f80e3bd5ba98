"""What acts work on: one instance's settings, its monitor, and what the checks have last seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.checks.audio import AudioCheck
from agent.checks.network import NetworkCheck
from agent.checks.process import QemuProcess
from agent.planned import Planned
from agent.qmp import Qmp
from agent.report import HealthReport
from agent.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The instance. report: the last round's; what a check doesn't know in it counts neither way."""

    settings: Settings
    qmp: Qmp | None
    process: QemuProcess
    network: NetworkCheck
    audio: AudioCheck
    planned: Planned
    report: Callable[[], HealthReport]
