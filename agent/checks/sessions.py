"""Who is connected to the guest's screen?"""

from __future__ import annotations

import ipaddress
import struct
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from agent.qmp import Qmp, QmpError
from agent.report import Session, Sessions

# proc(5), /proc/net/tcp: socket state 01 is ESTABLISHED.
_ESTABLISHED = "01"

# A probe of the jobs waits 3 s for a server that is mute (jobs.probe.vnc); what stays longer is a person.
_PROBE_SECONDS = 4.0

# chosen: of a QEMU that answers a probe is over in milliseconds and a burst in a second, and two rounds may be as near
# to each other as that where the first one waited for its monitor.
_BURST_SECONDS = 2.0


class SessionsCheck:
    """VNC clients by QEMU's own list, or by the kernel's of TCP where QEMU can't be asked or another program serves.

    No connection is made for it. A client counts when two rounds in a row, 2 s apart or more, have seen the same peer;
    the jobs' probes are over by then. port: where VNC is served. own_ports: those from which the agent is connected
    itself.
    """

    def __init__(self, qmp: Qmp | None, port: int, own_ports: Collection[int]) -> None:
        self._qmp, self._port, self._own_ports = qmp, port, own_ports
        self._first_seen: dict[str, float] = {}

    def measure(self) -> Sessions:
        """Return the block. Raises: OSError where neither QEMU nor the kernel can tell."""
        peers, why = self._listed()
        if why:
            peers |= dict.fromkeys(established_peers(self._port))
        ours = {str(port) for port in tuple(self._own_ports)}  # another thread's set
        peers = {peer: is_websocket for peer, is_websocket in peers.items() if peer.rpartition(":")[2] not in ours}
        now = time.monotonic()
        known = dict(self._first_seen)
        self._first_seen = since(known, peers, now)
        least_seconds = _PROBE_SECONDS if why else _BURST_SECONDS
        sessions = [
            Session(peer=peer, websocket=is_websocket, seconds=round(now - known[peer], 1))
            for peer, is_websocket in peers.items()
            if peer in known and now - known[peer] >= least_seconds
        ]
        return Sessions(witness="tcp" if why else "qmp", count=len(sessions), sessions=sessions, error=why)

    def _listed(self) -> tuple[dict[str, bool | None], str | None]:
        """Return whom QEMU lists, with whether they came by WebSocket, and why that isn't all."""
        if self._qmp is None:
            return {}, "by TCP alone: no QMP socket is configured"
        try:
            servers = self._qmp.execute("query-vnc-servers")
        except QmpError as error:
            return {}, f"by TCP alone: QMP: {error}"
        clients = [client for server in servers for client in server["clients"]]
        listed = {f"{client['host']}:{client['service']}": bool(client.get("websocket")) for client in clients}
        is_served = any(place["service"] == str(self._port) for server in servers for place in server["server"])
        return dict(listed), None if is_served else f"by TCP: QEMU itself doesn't serve port {self._port}"


def since(known: dict[str, float], peers: Iterable[str], now: float) -> dict[str, float]:
    """Return when each peer of this round was first seen; those who left are forgotten."""
    return {peer: known.get(peer, now) for peer in peers}


def established_peers(port: int) -> Iterator[str]:
    """Yield who has a TCP connection to a port of this network namespace, as `host:port`.

    One that waits for a QEMU that hangs to accept it counts too: a person waits at its other end.
    Cost: 5 ms, as the kernel walks all its sockets; so it is asked only where QEMU's monitor doesn't tell.
    Raises: OSError.
    """
    end = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net", table)
        if table == "tcp6" and not path.exists():
            continue  # a kernel without IPv6
        for line in path.read_text(encoding="ascii").splitlines():
            if end in line:
                _, local, peer, state, *_ = line.split()
                if local.endswith(end) and state == _ESTABLISHED:
                    yield _peer(peer)


def _peer(text: str) -> str:
    """Return `host:port` of proc(5)'s form: 32-bit words in the machine's byte order, an IPv4 peer as itself."""
    words, _, port = text.rpartition(":")
    packed = b"".join(struct.pack("=I", int(words[start : start + 8], 16)) for start in range(0, len(words), 8))
    host = ipaddress.ip_address(packed)
    if isinstance(host, ipaddress.IPv6Address) and host.ipv4_mapped:
        host = host.ipv4_mapped
    return f"{host}:{int(port, 16)}"
