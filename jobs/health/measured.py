"""What a report measured, read through the doubts that a reader must have; None for everything else. Pure.

The legacy agent's frame rate and audio level are constants of its script and count for nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.report import Client, HealthReport
from jobs.health.model import Connectivity, ConnectivityOutcome

# How a handshake from outside ends that tells nothing of whether a viewer would get in.
SAYS_NOTHING = (ConnectivityOutcome.NOT_DIALLED, ConnectivityOutcome.DENIED, ConnectivityOutcome.TOO_MANY)


def is_vnc_available(connectivity: Connectivity | None, report: HealthReport | None) -> bool | None:
    """Tell whether a viewer would get in: from outside where that was tried, else by the agent's word.

    A server that wants no probe of ours says nothing about people.
    """
    if connectivity is not None and connectivity.outcome not in SAYS_NOTHING:
        return connectivity.outcome is ConnectivityOutcome.OK
    return report.video.vnc_available if report and report.video else None


def is_streaming(report: HealthReport | None) -> bool | None:
    """Tell whether a browser lately got frames; without a browser nobody knows."""
    if report is None or report.clients is None or not report.clients.clients:
        return None
    rates = [client.framerate for client in report.clients.clients if client.framerate is not None]
    return any(rate > 0 for rate in rates) if rates else None


def is_audible(report: HealthReport | None) -> bool | None:
    """Tell whether sound could reach a listener: the server is up, QEMU plays into it, nothing is muted."""
    audio = report.audio if report else None
    if audio is None or audio.pulse_running is None:
        return None
    return audio.pulse_running and audio.muted is not True and audio.qemu_streams != 0


def frame_rate(report: HealthReport | None) -> float | None:
    """Return counted frames a second; the legacy agent's is a constant of its script and counts for nothing."""
    return report.video.estimated_frame_rate if report and report.video and not report.is_legacy else None


def audio_level(report: HealthReport | None) -> float | None:
    """Return the sink's peak, 0-1; the legacy agent's is a constant too."""
    return report.audio.estimated_level if report and report.audio and not report.is_legacy else None


def worst(report: HealthReport | None, field: Callable[[Client], float | None]) -> float | None:
    """Return the largest value that a browser posted, None when none did."""
    clients = report.clients.clients if report and report.clients else []
    return max((value for client in clients if (value := field(client)) is not None), default=None)
