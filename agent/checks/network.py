"""Are the guest's bridge and tap there, up and joined, and what passes through?"""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from agent.netlink import Link, read_addresses, read_link, read_links
from agent.report import Network
from agent.settings import Settings

# chosen: who is in a bridge changes with a pod's start and hardly after.
_LOOK_PAUSE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Bridge:
    """What a bridge needs to be made again: its addresses with their prefix, and the names of its members."""

    addresses: tuple[str, ...]
    members: tuple[str, ...]


class NetworkCheck:
    """State and counters of the tap, state of the bridge, rates between two rounds.

    known_bridge: the bridge as it was last seen well, for who has to make it again.
    blank: makes a block that names what is configured, so that who finds nothing measured in it knows what is missing.
    """

    def __init__(self, settings: Settings) -> None:
        self._bridge, self._tap = settings.bridge, settings.tap
        self.blank = partial(Network, bridge=settings.bridge or None, tap=settings.tap or None)
        self._last: tuple[float, Link] | None = None
        self._next_look_at = 0.0
        self.known_bridge: Bridge | None = None

    def measure(self) -> Network:
        """Return the block; an interface that isn't there is not up."""
        if not self._bridge and not self._tap:
            return self.blank(error="no bridge and no tap is configured")
        now = time.monotonic()
        bridge = read_link(self._bridge) if self._bridge else None
        tap = read_link(self._tap) if self._tap else None
        facts = self._tap_facts(bridge, tap, now) if self._tap else {}
        if bridge and bridge.is_up and now >= self._next_look_at and facts.get("tap_in_bridge", True):
            self._next_look_at = now + _LOOK_PAUSE_SECONDS
            members = [name for name, link in read_links().items() if link.master == bridge.index]
            self.known_bridge = Bridge(_given(read_addresses(bridge.index)), tuple(members))
        return self.blank(
            bridge_up=(bridge is not None and bridge.is_up) if self._bridge else None,
            **facts,
            error=_missing(self._bridge, bridge, self._tap, tap),
        )

    def _tap_facts(self, bridge: Link | None, tap: Link | None, now: float) -> dict[str, Any]:
        last, self._last = self._last, (now, tap) if tap else None
        if tap is None:
            return {"tap_up": False, "tap_in_bridge": False if self._bridge else None}
        return {
            "tap_up": tap.is_up,
            "tap_in_bridge": (bridge is not None and tap.master == bridge.index) if self._bridge else None,
            "tap_carrier": tap.has_carrier,
            "tx_packets": tap.tx_packets,
            "rx_packets": tap.rx_packets,
            "tx_errors": tap.tx_errors,
            "rx_errors": tap.rx_errors,
            "tx_dropped": tap.tx_dropped,
            "rx_dropped": tap.rx_dropped,
            **(rates(last[1], tap, seconds=now - last[0]) if last else {}),
        }


def rates(before: Link, after: Link, *, seconds: float) -> dict[str, float]:
    """Return the four rates of the report; none when the tap was made anew or its counters went back."""
    deltas = {
        "tx_packets_per_second": after.tx_packets - before.tx_packets,
        "rx_packets_per_second": after.rx_packets - before.rx_packets,
        "errors_per_second": after.tx_errors + after.rx_errors - before.tx_errors - before.rx_errors,
        "drops_per_second": after.tx_dropped + after.rx_dropped - before.tx_dropped - before.rx_dropped,
    }
    if after.index != before.index or seconds <= 0 or min(deltas.values()) < 0:
        return {}
    return {name: round(delta / seconds, 2) for name, delta in deltas.items()}


def _given(addresses: list[str]) -> tuple[str, ...]:
    """Return those that somebody gave; the kernel makes link-local ones itself, from a hardware address."""
    return tuple(address for address in addresses if not ipaddress.ip_interface(address).is_link_local)


def _missing(bridge: str, bridge_link: Link | None, tap: str, tap_link: Link | None) -> str | None:
    """Return which configured interface doesn't exist."""
    absent = [name for name, link in ((bridge, bridge_link), (tap, tap_link)) if name and link is None]
    return f"no interface {' and no '.join(absent)} in this network namespace" if absent else None
