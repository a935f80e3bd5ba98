"""Who is connected to an instance, as its report says; pure."""

from __future__ import annotations

from agent.report import HealthReport


def connected(report: HealthReport | None) -> int | None:
    """Return how many people watch or play, over VNC or a stream; None where one of the two isn't known.

    One who is known is enough: whatever else is unknown, somebody is there.
    """
    if report is None:
        return None
    sessions = report.sessions.count if report.sessions else None
    clients = report.clients.count if report.clients else None
    known = (sessions or 0) + (clients or 0)
    return known if known or (sessions is not None and clients is not None) else None
