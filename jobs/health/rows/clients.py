"""Rows about the browsers that play: one of several bad is that client, all of them bad is our side."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.report import Client
from jobs.health.model import Evidence, FailureClass, Severity
from jobs.health.policy import Policy
from jobs.health.rows.causes import STOPPED
from jobs.health.rule import Needs, Rule, View

Complaint = Callable[[Client, View], bool]


def _repeated(policy: Policy) -> Needs:
    """Return how often a client must be badly off."""
    return Needs(policy.client_ticks, policy.client_window)


def _over(value: float | None, limit: float) -> bool:
    """Tell whether a measured value reaches the limit."""
    return value is not None and value >= limit


def _loses_packets(client: Client, view: View) -> bool:
    return client.packetLoss is not None and client.packetLoss > view.policy.client_packet_loss_ratio


def _lags(client: Client, view: View) -> bool:
    return _over(client.latency, view.policy.client_latency_seconds)


def _jitters(client: Client, view: View) -> bool:
    return _over(client.jitter, view.policy.client_jitter_seconds)


def _stutters(client: Client, view: View) -> bool:
    """Tell whether few frames arrive of a screen that makes more; a still one needs none."""
    limit, made = view.policy.client_frames_per_second, view.video.estimated_frame_rate
    is_moving = view.screen.verdict == "moving" and (made is None or made >= limit)
    return is_moving and client.framerate is not None and client.framerate < limit


def _fails(client: Client, _: View) -> bool:
    return bool(client.error)


_COMPLAINTS: tuple[Complaint, ...] = (_loses_packets, _lags, _jitters, _stutters, _fails)


def _are_all_bad(view: View) -> bool:
    """Tell whether several play and every one of them complains, whatever of."""
    clients = view.clients.clients
    return len(clients) > 1 and all(any(bad(client, view) for bad in _COMPLAINTS) for client in clients)


def _commonness(view: View) -> Iterator[Evidence]:
    """Show how many are badly off, and how much QEMU itself is doing."""
    yield Evidence("clients bad", len(view.clients.clients), 1, witness="client")
    yield Evidence("performance.qemu_cpu", view.performance.qemu_cpu, unit="%")
    yield Evidence("video.estimated_frame_rate", view.video.estimated_frame_rate, unit="1/s")


def _client(code: str, bad: Complaint, measured: Callable[[Client, View], Evidence], texts: tuple[str, str]) -> Rule:
    """Return a row that holds when a client has this complaint; texts: what it means, what to do."""
    means, advice = texts
    return Rule(
        code,
        FailureClass.CLIENT,
        Severity.DEGRADED,
        lambda view: any(bad(client, view) for client in view.clients.clients),
        lambda view: (measured(client, view) for client in view.clients.clients if bad(client, view)),
        means,
        advice,
        needs=_repeated,
        follows=STOPPED | {"AllClientsBad"},
    )


def _fact(client: Client, name: str, value: float | str | None, limit: float | None, unit: str = "") -> Evidence:
    """Return one client's measured value."""
    return Evidence(f"{client.id} {name}", value, limit, unit, "client")


ROWS = (
    Rule(
        "AllClientsBad",
        FailureClass.CLIENT,
        Severity.DEGRADED,
        _are_all_bad,
        _commonness,
        "Every one of several clients is badly off, so the cause is on this side: its network or its QEMU.",
        "Look at the node's network first, then at QEMU's load.",
        needs=_repeated,
        follows=STOPPED,
    ),
    _client(
        "ClientPacketLoss",
        _loses_packets,
        lambda client, view: _fact(client, "packetLoss", client.packetLoss, view.policy.client_packet_loss_ratio),
        ("A client loses packets.", "Lower that client's stream quality, or mend its network."),
    ),
    _client(
        "ClientLatency",
        _lags,
        lambda client, view: _fact(client, "latency", client.latency, view.policy.client_latency_seconds, "s"),
        ("A client's round trip is long.", "Move that client nearer, or off a congested link."),
    ),
    _client(
        "ClientJitter",
        _jitters,
        lambda client, view: _fact(client, "jitter", client.jitter, view.policy.client_jitter_seconds, "s"),
        ("A client's packets arrive unevenly.", "Lower that client's stream quality, or mend its network."),
    ),
    _client(
        "ClientLowFrameRate",
        _stutters,
        lambda client, view: _fact(client, "framerate", client.framerate, view.policy.client_frames_per_second, "1/s"),
        ("A client sees few frames of a moving screen.", "Lower that client's stream quality, or free its CPU."),
    ),
    _client(
        "ClientError",
        _fails,
        lambda client, _: _fact(client, "error", client.error, None),
        ("A client's browser reports an error.", "Read the error; restart that client's stream."),
    ),
)
