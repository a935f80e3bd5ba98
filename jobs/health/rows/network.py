"""Rows about the guest's bridge and tap. Where none is configured its values are null, and that is no fault."""

from __future__ import annotations

from collections.abc import Iterator

from agent.report import Network
from jobs.health.history import total
from jobs.health.model import Evidence, FailureClass, Severity
from jobs.health.policy import Policy
from jobs.health.rows.causes import STOPPED
from jobs.health.rule import Needs, Rule, View


def _rate(policy: Policy) -> Needs:
    """Return how often a rate must be too high."""
    return Needs(policy.network_rate_ticks, policy.network_rate_window)


def unmeasured(network: Network | None) -> Iterator[Evidence]:
    """Name what wasn't measured of the links that an agent of ours is configured with; without a block, the block."""
    if network is None:
        yield Evidence("network", None)
        return
    for fact, value, is_expected in (
        ("bridge_up", network.bridge_up, network.bridge),
        ("tap_up", network.tap_up, network.tap),
        ("tap_in_bridge", network.tap_in_bridge, network.bridge and network.tap),
    ):
        if is_expected and value is None:
            yield Evidence(f"network.{fact}", None, network.error)


def errors_per_second(view: View) -> float | None:
    """Return the agent's rate, or ours since the last tick where it counts only totals (the legacy agent)."""
    network = view.network
    if network.errors_per_second is not None:
        return network.errors_per_second
    now = total(network.rx_errors, network.tx_errors)
    if now is None or not view.history.observations:
        return None
    last = view.history.observations[-1]
    elapsed_seconds = (view.at_ms - last.received_at_ms) / 1000
    # A counter that falls was made anew with its interface: what it counted before is not known.
    if last.errors_total is None or now < last.errors_total or elapsed_seconds <= 0:
        return None
    return (now - last.errors_total) / elapsed_seconds


def drop_ratio(view: View) -> float | None:
    """Return the dropped share of all packets of the last round, None where one of the rates is unknown."""
    network = view.network
    passed, dropped = _packets_per_second(view), network.drops_per_second
    if passed is None or dropped is None or passed + dropped <= 0:
        return None
    return dropped / (passed + dropped)


def _packets_per_second(view: View) -> float | None:
    """Return both directions together."""
    sent, received = view.network.tx_packets_per_second, view.network.rx_packets_per_second
    return None if sent is None or received is None else sent + received


def _has_errors(view: View) -> bool:
    """Tell whether errors come faster than the limit."""
    rate = errors_per_second(view)
    return rate is not None and rate > view.policy.interface_errors_per_second


def _has_drops(view: View) -> bool:
    """Tell whether packets are dropped, both in number and in proportion."""
    dropped = view.network.drops_per_second
    if dropped is None or dropped <= view.policy.packet_drops_per_second:
        return False
    ratio = drop_ratio(view)
    return ratio is not None and ratio > view.policy.packet_drop_ratio


def _links(view: View) -> Iterator[Evidence]:
    """Show bridge and tap."""
    network = view.network
    yield Evidence("network.bridge_up", network.bridge_up)
    yield Evidence("network.tap_up", network.tap_up)
    yield Evidence("network.tap_in_bridge", network.tap_in_bridge)
    if network.bridge is not None or network.tap is not None:
        yield Evidence("interfaces", f"{network.bridge} {network.tap}")


def _errors(view: View) -> Iterator[Evidence]:
    """Show the rate of errors."""
    rate, limit = errors_per_second(view), view.policy.interface_errors_per_second
    yield Evidence("network.errors", rate, limit, "1/s")


def _drops(view: View) -> Iterator[Evidence]:
    """Show the rate and the share of drops."""
    limit = view.policy.packet_drops_per_second
    yield Evidence("network.drops", view.network.drops_per_second, limit, "1/s")
    yield Evidence("network.drop_ratio", drop_ratio(view), view.policy.packet_drop_ratio)


ROWS = (
    Rule(
        "BridgeDown",
        FailureClass.NETWORK,
        Severity.UNHEALTHY,
        lambda view: view.network.bridge_up is False,
        _links,
        "The bridge between the guest and the other guests is down or gone.",
        "Set the bridge up, or make it again and put its members back.",
    ),
    Rule(
        "TapDown",
        FailureClass.NETWORK,
        Severity.UNHEALTHY,
        lambda view: view.network.tap_up is False,
        _links,
        "The guest's tap interface is down or gone.",
        "Set the tap up; when it is gone, restart QEMU, which holds its other end.",
        follows=frozenset({"QemuDead"}),
    ),
    Rule(
        "TapNotInBridge",
        FailureClass.NETWORK,
        Severity.UNHEALTHY,
        lambda view: view.network.tap_in_bridge is False,
        _links,
        "The guest's tap is no member of the bridge, so its packets reach nobody.",
        "Put the tap back into the bridge.",
        follows=frozenset({"QemuDead", "BridgeDown"}),
    ),
    Rule(
        "InterfaceErrors",
        FailureClass.NETWORK,
        Severity.DEGRADED,
        _has_errors,
        _errors,
        "The tap counts errors.",
        "Compare the sizes of packets (MTU) on tap and bridge, and look at the kernel's log.",
        needs=_rate,
        follows=frozenset({"QemuDead", "BridgeDown", "TapDown"}),
    ),
    Rule(
        "PacketDrops",
        FailureClass.NETWORK,
        Severity.DEGRADED,
        _has_drops,
        _drops,
        "The tap drops packets.",
        "See whether the guest is too slow to take them, or a queue is too short.",
        needs=_rate,
        follows=STOPPED | {"TapDown", "BridgeDown"},
    ),
)
