"""QEMU's monitor for acts: the agent's own connection, asked again while it is only slow."""

from __future__ import annotations

from typing import Any

from agent.actions.act import ActFailed, Work
from agent.qmp import Qmp, QmpBusy, QmpError, QmpTimeout


def ask(qmp: Qmp, work: Work, command: str) -> Any:  # noqa: ANN401 - JSON
    """Return QEMU's answer to one command; one that comes late is waited for until the deadline.

    Only for commands that may be sent twice. Raises: ActFailed.
    """
    while True:
        qmp.new_round()
        try:
            return qmp.execute(command)
        except (QmpTimeout, QmpBusy) as error:
            if not work.seconds_left:
                raise ActFailed(f"QMP {command}: {error}") from error
        except QmpError as error:
            raise ActFailed(f"QMP {command}: {error}") from error


def run_state(qmp: Qmp, work: Work) -> str:
    """Return QMP's word for what the guest does. Raises: ActFailed."""
    return str(ask(qmp, work, "query-status")["status"])
