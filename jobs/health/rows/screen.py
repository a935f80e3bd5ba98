"""Rows about the picture: the VNC server, seen from inside and from outside, and what the guest draws."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.health.model import ConnectivityOutcome, Evidence, FailureClass, Severity
from jobs.health.policy import Policy
from jobs.health.rows.causes import HUNG, STOPPED
from jobs.health.rule import Needs, Rule, View

_UNREACHED = (
    ConnectivityOutcome.REFUSED,
    ConnectivityOutcome.TIMEOUT,
    ConnectivityOutcome.UNRESOLVED,
    ConnectivityOutcome.DISCONNECTED,
)
_MUTE = (ConnectivityOutcome.MUTE, ConnectivityOutcome.NOT_RFB)
_UNWELCOME = (ConnectivityOutcome.DENIED, ConnectivityOutcome.TOO_MANY)


def _connectivity(policy: Policy) -> Needs:
    """Return how often a handshake from outside must fail."""
    return Needs(policy.connectivity_ticks, policy.connectivity_window)


def _two_witnesses(view: View) -> Iterator[Evidence]:
    """Show what the agent and the connectivity probe saw of the VNC server."""
    yield Evidence("video.vnc_available", view.video.vnc_available)
    if view.connectivity is not None:
        yield Evidence("vnc", view.connectivity.outcome.value, "ok", witness="connectivity")
        if view.connectivity.detail:
            yield Evidence("detail", view.connectivity.detail, witness="connectivity")


def _do_witnesses_disagree(view: View) -> bool:
    """Tell whether one witness shook hands with the VNC server and the other couldn't."""
    if view.outside is ConnectivityOutcome.OK:
        return view.video.vnc_available is False
    return view.video.vnc_available is True and (view.outside in _UNREACHED or view.outside in _MUTE)


def _is_frozen(view: View) -> bool:
    """Tell whether the picture stands still for longer than it may."""
    expected, still = view.instance.expect_motion_seconds, view.screen.still_seconds
    return view.screen.verdict == "still" and expected is not None and still is not None and still >= expected


def _picture(view: View) -> Iterator[Evidence]:
    """Show the screen as the last dump has it."""
    screen = view.screen
    yield Evidence("screen.verdict", screen.verdict, "moving")
    yield Evidence("screen.still", screen.still_seconds, view.instance.expect_motion_seconds, "s")
    yield Evidence("screen.largest_colour", screen.largest_colour_ratio)


def _one_colour(code: str, verdict: str, means: str) -> Rule:
    """Return a row for a screen of one colour, which is a fault only where motion is expected."""
    return Rule(
        code,
        FailureClass.QEMU,
        Severity.UNHEALTHY,
        lambda view: view.screen.verdict == verdict and view.instance.expect_motion_seconds is not None,
        _picture,
        means,
        "Look at the screen picture; reset the guest when it stays.",
        follows=STOPPED | {"Booting"},
    )


ROWS = (
    Rule(
        "VncUnavailable",
        FailureClass.QEMU,
        Severity.UNHEALTHY,
        lambda view: view.video.vnc_available is False and view.outside is not ConnectivityOutcome.OK,
        _two_witnesses,
        "No VNC server answers inside the instance.",
        "Restart QEMU, or see that its -vnc option and the agent's LOCO_VNC_ADDRESS name the same port.",
        follows=HUNG,
    ),
    Rule(
        "VncMute",
        FailureClass.QEMU,
        Severity.UNHEALTHY,
        lambda view: view.outside in _MUTE,
        _two_witnesses,
        "The VNC port takes connections from outside and doesn't speak RFB.",
        "Restart QEMU when it lasts; its main loop doesn't serve viewers.",
        needs=_connectivity,
        follows=HUNG,
    ),
    Rule(
        "VncUnreachable",
        FailureClass.NETWORK,
        Severity.UNHEALTHY,
        lambda view: view.outside in _UNREACHED and view.video.vnc_available is not False,
        _two_witnesses,
        "The VNC server can't be reached from outside, though the agent doesn't call it gone.",
        "See that vncUrl is right and no network policy drops the port.",
        needs=_connectivity,
        follows=HUNG,
    ),
    Rule(
        "AgentDisagrees",
        FailureClass.NONE,
        Severity.DEGRADED,
        _do_witnesses_disagree,
        _two_witnesses,
        "The agent and the connectivity probe contradict each other about the VNC server.",
        "Connect a viewer; believe what it shows, and correct the witness that is wrong.",
        needs=_connectivity,
        follows=HUNG,
    ),
    Rule(
        "VncProbeDenied",
        FailureClass.NONE,
        Severity.FINDING,
        lambda view: view.outside in _UNWELCOME,
        _two_witnesses,
        "The VNC server wants no connectivity probe: a password, or too many connections.",
        "Nothing; the probe backs off, and the other witnesses judge.",
    ),
    Rule(
        "ScreenFrozen",
        FailureClass.QEMU,
        Severity.UNHEALTHY,
        _is_frozen,
        _picture,
        "The picture stands still for longer than is normal for this instance.",
        "Look at the screen picture; reset the guest when it stays.",
        follows=STOPPED | {"Booting"},
    ),
    _one_colour("ScreenBlank", "blank", "The guest shows a black screen where motion is expected."),
    _one_colour("ScreenSingleColour", "single-colour", "The guest shows one colour where motion is expected."),
)
