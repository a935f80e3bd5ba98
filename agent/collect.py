"""Rounds of checks, and the report that they make."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass

import msgspec

from agent import __version__
from agent.actions.scene import Scene
from agent.actions.table import block
from agent.checker import Check, Checker
from agent.checks.audio import AudioCheck
from agent.checks.clients import ClientsCheck
from agent.checks.network import NetworkCheck
from agent.checks.performance import PerformanceCheck
from agent.checks.process import QemuProcess
from agent.checks.qemu import QemuCheck
from agent.checks.screen import DUMP_PAUSE_RATIO, ScreenCheck
from agent.checks.sessions import SessionsCheck
from agent.checks.video import BURST_PAUSE_SECONDS, VideoCheck
from agent.planned import Planned
from agent.qmp import Qmp
from agent.report import (
    SCHEMA_VERSION,
    Agent,
    Audio,
    Clients,
    HealthReport,
    Performance,
    Qemu,
    Screen,
    Sessions,
    Video,
    rfc3339,
)
from agent.settings import Settings

# architecture: cheap checks every 3 s; the dear ones keep their own longer pauses.
ROUND_SECONDS = 3.0
# issue: a hung check delays the report by no more.
_WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is measured: rounds, bursts, and dumps of the screen, whose pause is a multiple of what one takes."""

    round_seconds: float = ROUND_SECONDS
    burst_pause_seconds: float = BURST_PAUSE_SECONDS
    dump_pause_ratio: float = DUMP_PAUSE_RATIO


class Rounds:
    """All checks of one instance, run every 3 s; `report` is always the latest complete one and costs nothing.

    screen, clients: the two checks that the server also talks to. scene: what acts work on.
    pace: another one is for tests, which can't wait.
    """

    def __init__(
        self,
        settings: Settings,
        pace: Pace = Pace(),
    ) -> None:
        qmp = Qmp(settings.qmp_socket) if settings.qmp_socket else None
        process = QemuProcess(settings)
        self.screen, self.clients = ScreenCheck(qmp, pause_ratio=pace.dump_pause_ratio), ClientsCheck()
        video = VideoCheck(settings, qmp, pause_seconds=pace.burst_pause_seconds)
        self._settings, self._qmp, self._round_seconds = settings, qmp, pace.round_seconds
        planned = Planned()
        self._qemu = QemuCheck(process, qmp, planned)
        audio, network = AudioCheck(settings, planned), NetworkCheck(settings)
        self.scene = Scene(
            settings=settings,
            qmp=qmp,
            process=process,
            network=network,
            audio=audio,
            planned=planned,
            report=lambda: self._report,
        )
        self._started_at = self._round_ended_at = time.monotonic()
        self._identity = Agent(
            version=__version__,
            pod=settings.pod or None,
            uid=settings.pod_uid or None,
            boot_id=os.urandom(8).hex(),
            sequence=0,
            uptime_seconds=0.0,
        )
        checks = (
            Check("qemu", self._qemu.measure, Qemu, 3.0),
            Check("network", network.measure, network.blank, 2.0),
            Check("performance", PerformanceCheck(process).measure, Performance, 2.0),
            Check("sessions", SessionsCheck(qmp, settings.vnc_address[1], video.own_ports).measure, Sessions, 3.0),
            Check("audio", audio.measure, Audio, 3.0),
            Check("screen", self.screen.measure, Screen, 6.0),
            Check("video", video.measure, Video, 8.0),
            Check("clients", self.clients.measure, Clients, 2.0),
        )
        self.checkers = {check.name: Checker(check) for check in checks}
        self._report = self._compose(sequence=0)

    @property
    def boot_id(self) -> str:
        """Return what tells this agent process from every other."""
        return self._identity.boot_id

    @property
    def sequence(self) -> int:
        """Return the number of finished rounds."""
        return self._identity.sequence

    def seconds_since_round(self) -> float:
        """Return for how long no round has ended, the start counted as one."""
        return time.monotonic() - self._round_ended_at

    def open(self) -> None:
        """Start the checks' threads and the rounds; they end with the process."""
        for checker in self.checkers.values():
            checker.open()
        threading.Thread(target=self._serve, name="rounds", daemon=True).start()

    def report(self) -> HealthReport:
        """Return the latest report with the time and uptime of now."""
        report = self._report
        uptime_seconds = round(time.monotonic() - self._started_at, 1)
        assert report.agent is not None  # noqa: S101 - every report of ours says who made it
        agent = msgspec.structs.replace(report.agent, uptime_seconds=uptime_seconds)
        return msgspec.structs.replace(report, timestamp=rfc3339(time.time()), agent=agent)

    def run_round(self) -> None:
        """Ask every check that isn't still at work, wait for a second at most, publish what is known."""
        if self._qmp:
            self._qmp.new_round()
        for checker in self.checkers.values():
            checker.start()
        deadline = time.monotonic() + _WAIT_SECONDS
        for checker in self.checkers.values():
            checker.wait(deadline)
        self._report = self._compose(sequence=self.sequence + 1)
        self._round_ended_at = time.monotonic()

    def _serve(self) -> None:
        while True:
            due_at = time.monotonic() + self._round_seconds
            self.run_round()
            # A missed round isn't made up for: two at once would take a viewer of a moment for a session.
            time.sleep(max(due_at - time.monotonic(), 0.0))

    def _compose(self, *, sequence: int) -> HealthReport:
        self._identity = msgspec.structs.replace(self._identity, sequence=sequence)
        blocks = {name: checker.block() for name, checker in self.checkers.items()}
        report = HealthReport(
            timestamp=rfc3339(time.time()),
            overall_status="unknown",
            # A block that is overdue was never checked, and nothing is concluded from the one before it.
            qemu_healthy=self._qemu.is_healthy if blocks["qemu"].checked_at else None,
            schema_version=SCHEMA_VERSION,
            agent=self._identity,
        )
        report = msgspec.structs.replace(report, **blocks)
        return msgspec.structs.replace(
            report, overall_status=overall_status(report, self._settings), actions=block(self.scene, report)
        )


def overall_status(report: HealthReport, settings: Settings) -> str:
    """Return the agent's own word for its instance.

    Without QEMU or its picture an instance is unhealthy; without sound, network or a running guest it is degraded.
    What it isn't set up with counts neither way; a fact that should be known and isn't makes it unknown.
    """
    qemu, video, audio, network = report.qemu, report.video, report.audio, report.network
    essential = [report.qemu_healthy, video and video.vnc_available]
    beside = [
        audio and audio.pulse_running if settings.pulse_server else True,
        network and network.bridge_up if settings.bridge else True,
        network and network.tap_up if settings.tap else True,
        network and network.tap_in_bridge if settings.tap and settings.bridge else True,
        not (audio and audio.muted),
        not (qemu and qemu.run_state not in {None, "running"}),
    ]
    if False in essential:
        return "unhealthy"
    if None in essential + beside:
        return "unknown"
    return "degraded" if False in beside else "healthy"
