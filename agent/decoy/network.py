"""A decoy's network: a namespace of its own with bridge and tap, the pod it is in, or loopback ports and no more."""

from __future__ import annotations

import ipaddress
import itertools
import json
import os
import socket
import subprocess
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from agent.decoy.errors import BadRequest, DecoyError

# The names that the agent looks for when nobody tells it others; they are the seed's.
BRIDGE, TAP = "loco-br", "tap0"

# The seed's bridge address.
BRIDGE_ADDRESS = "192.168.10.1/24"

# Where `ip netns` keeps namespaces by name (ip-netns(8)).
NETNS_FOLDER = Path("/run/netns")

# RFC 2544 section C.2.2 keeps this range for benchmarks, so no machine is reached by it.
RANGE = ipaddress.IPv4Network("198.18.0.0/15")

# Port of the seed's health endpoint, and of VNC display :1.
HEALTH_PORT, VNC_PORT = 8080, 5901

# chosen: below the ephemeral ports (ip-sysctl: from 32768), so that no outgoing connection takes one meanwhile.
LOOPBACK_PORTS = range(20000, 32000, 2)

# chosen: each try loses only against a decoy that started within the same milliseconds.
MAX_TRIES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Where a decoy is reached. netns is None without a namespace of its own; bridge and tap are empty without them.

    in_pod: the namespace is a pod's, and the agent is another container of it.
    """

    address: str
    health_port: int
    vnc_port: int
    netns: str | None
    bridge: str
    tap: str
    in_pod: bool = False


def make_namespace(netns: str) -> Network:
    """Make a network namespace with bridge and tap, joined to the machine by one veth pair.

    The veth isn't in the bridge: taking the bridge down must not cut the agent off.
    Raises: DecoyError when the kernel or `ip` refuses.
    """
    ip("netns", "add", netns)
    ip("-n", netns, "link", "set", "lo", "up")
    make_links(netns)
    return Network(
        address=_join(netns), health_port=HEALTH_PORT, vnc_port=VNC_PORT, netns=netns, bridge=BRIDGE, tap=TAP
    )


def remove_namespace(netns: str) -> None:
    """Remove a namespace if it is there; its bridge, tap and veth pair go with it."""
    if not (NETNS_FOLDER / netns).exists():
        return
    # The kernel takes a namespace apart some time after its name is gone; the veth pair must be gone when we return.
    for row in _ip_json("-n", netns, "link", "show", "type", "veth"):
        ip("-n", netns, "link", "delete", row["ifname"])
    ip("netns", "delete", netns)


def of_pod(*, has_links: bool) -> Network:
    """Return the network of the pod that this process is in; `make_links` gives it bridge and tap.

    Raises: BadRequest where there are links of these names, as they may be the machine's own.
    """
    strangers = sorted({row["ifname"] for row in _ip_json("link", "show")} & {BRIDGE, TAP}) if has_links else []
    if strangers:
        raise BadRequest(
            f"{' and '.join(strangers)} is here already and no decoy's record names it; nothing was started"
        )
    bridge, tap = (BRIDGE, TAP) if has_links else ("", "")
    return Network(
        address="127.0.0.1",
        health_port=HEALTH_PORT,
        vnc_port=VNC_PORT,
        netns=None,
        bridge=bridge,
        tap=tap,
        in_pod=True,
    )


def make_links(netns: str | None) -> None:
    """Make bridge and tap in a namespace, None: the one that this process is in."""
    inside = _inside(netns)
    ip(*inside, "link", "add", BRIDGE, "type", "bridge")
    ip(*inside, "address", "add", BRIDGE_ADDRESS, "dev", BRIDGE)
    ip(*inside, "link", "set", BRIDGE, "up")
    ip(*inside, "tuntap", "add", TAP, "mode", "tap")
    ip(*inside, "link", "set", TAP, "master", BRIDGE, "up")


def remove_links() -> None:
    """Remove bridge and tap, those that are there, from the namespace that this process is in."""
    for name in {row["ifname"] for row in _ip_json("link", "show")} & {BRIDGE, TAP}:
        ip("link", "delete", name)


def on_loopback() -> Network:
    """Choose two loopback ports that nothing listens on."""
    for offset in range(len(LOOPBACK_PORTS)):
        # Another start for each process, so that decoys which start together don't choose the same.
        port = LOOPBACK_PORTS[(os.getpid() + offset) % len(LOOPBACK_PORTS)]
        if _is_free(port) and _is_free(port + 1):
            return Network(address="127.0.0.1", health_port=port, vnc_port=port + 1, netns=None, bridge="", tap="")
    raise DecoyError(f"no two free ports from {LOOPBACK_PORTS.start} to {LOOPBACK_PORTS.stop} on 127.0.0.1")


def free_slots(links: Collection[str], routes: Collection[str]) -> Iterator[int]:
    """Yield the numbers n for which link `loco<n>` and network n are free, lowest first.

    links: names of interfaces. routes: destinations as `ip route` shows them. One that is broader than the whole range
    (`default`, half of a tunnel's 0.0.0.0/1) takes no slot: a slot's own route is more specific and wins.
    """
    networks = [ipaddress.IPv4Network(route) for route in routes if route != "default"]
    taken = [network for network in networks if network.prefixlen >= RANGE.prefixlen]
    for slot, network in enumerate(RANGE.subnets(new_prefix=31)):
        if f"loco{slot}" not in links and not any(network.overlaps(other) for other in taken):
            yield slot


def addresses(slot: int) -> tuple[str, str]:
    """Return the machine's and the decoy's address of a slot: the two of a point-to-point network (RFC 3021)."""
    first = RANGE.network_address + 2 * slot
    return f"{first}/31", f"{first + 1}/31"


def set_link(netns: str | None, name: str, *change: str) -> None:
    """Change a link of a namespace, as in `ip link set NAME CHANGE`."""
    ip(*_inside(netns), "link", "set", name, *change)


def is_link_up(netns: str | None, name: str) -> bool:
    """Tell whether a link is administratively up."""
    (row,) = _ip_json(*_inside(netns), "link", "show", "dev", name)
    return "UP" in row["flags"]


def master_of(netns: str | None, name: str) -> str | None:
    """Return the bridge that a link is in, or None."""
    (row,) = _ip_json(*_inside(netns), "link", "show", "dev", name)
    master: str | None = row.get("master")
    return master


def ip(*arguments: str) -> str:
    """Run `ip` and return what it prints. Raises: DecoyError with what it says."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False, timeout=10)
    if done.returncode:
        raise DecoyError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout


def _join(netns: str) -> str:
    """Lay a veth pair between machine and namespace, and return the namespace's address.

    The name of the machine's end claims the slot: the kernel lets only one decoy make it.
    """
    links = {row["ifname"] for row in _ip_json("link", "show")}
    routes = {row["dst"] for row in _ip_json("-4", "route", "show", "table", "all")}
    refusal = "no slot is free"
    for slot in itertools.islice(free_slots(links, routes), MAX_TRIES):
        try:
            ip("link", "add", f"loco{slot}", "type", "veth", "peer", "name", "uplink", "netns", netns)
        except DecoyError as error:
            refusal = str(error)
            continue
        outside, inside = addresses(slot)
        ip("address", "add", outside, "dev", f"loco{slot}")
        ip("-n", netns, "address", "add", inside, "dev", "uplink")
        ip("-n", netns, "link", "set", "uplink", "up")
        ip("link", "set", f"loco{slot}", "up")
        return inside.partition("/")[0]
    raise DecoyError(f"no address of {RANGE} could be had: {refusal}")


def _inside(netns: str | None) -> list[str]:
    """Return the option that makes `ip` act in a namespace."""
    return ["-n", netns] if netns else []


def _ip_json(*arguments: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(ip("-json", *arguments) or "[]")
    return [row for row in rows if row]


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
