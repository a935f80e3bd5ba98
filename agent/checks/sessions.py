"""Who is connected to the guest's screen?"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

from agent.qmp import Qmp
from agent.report import Session, Sessions


class SessionsCheck:
    """VNC clients by QEMU's own list: no connection is made for it.

    A client counts when two rounds in a row have seen the same peer; the jobs' probes are over by then.
    own_ports: those from which the agent is connected itself.
    """

    def __init__(self, qmp: Qmp | None, own_ports: Collection[int]) -> None:
        self._qmp, self._own_ports = qmp, own_ports
        self._first_seen: dict[str, float] = {}

    def measure(self) -> Sessions:
        """Return the block. Raises: QmpError."""
        if self._qmp is None:
            return Sessions(error="no QMP socket is configured")
        servers = self._qmp.execute("query-vnc-servers")
        if not servers:
            return Sessions(error="QEMU has no VNC server")
        now = time.monotonic()
        ours = {str(port) for port in tuple(self._own_ports)}  # another thread's set
        clients = [client for server in servers for client in server["clients"] if client["service"] not in ours]
        peers = {f"{client['host']}:{client['service']}": bool(client.get("websocket")) for client in clients}
        known = dict(self._first_seen)
        self._first_seen = since(known, peers, now)
        sessions = [
            Session(peer=peer, websocket=is_websocket, seconds=round(now - known[peer], 1))
            for peer, is_websocket in peers.items()
            if peer in known
        ]
        return Sessions(count=len(sessions), sessions=sessions)


def since(known: dict[str, float], peers: Iterable[str], now: float) -> dict[str, float]:
    """Return when each peer of this round was first seen; those who left are forgotten."""
    return {peer: known.get(peer, now) for peer in peers}
