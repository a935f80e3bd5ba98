"""Which acts answer which fault, least disruptive first; pure data.

A fault's remedy begins at the least act that can help and goes up its class's ladder. A code without a row is never
acted on: nothing is known that helps (a full CPU), it heals by itself (a young pod), or nobody answers who could act.
"""

from __future__ import annotations

from collections.abc import Mapping

from jobs.health.model import FailureClass
from jobs.health.recovery import Action

# The order of all rungs. Faults of several classes climb one ladder: network before qemu where both are as harmless.
ORDER = {action: place for place, action in enumerate(Action)}

# architecture section 6, and `delete-pod` as the last for all that QEMU or its display may be ill of.
LADDERS: Mapping[FailureClass, tuple[Action, ...]] = {
    FailureClass.NETWORK: (Action.RESET_INTERFACE, Action.REBUILD_BRIDGE, Action.RESTART_QEMU),
    FailureClass.QEMU: (
        Action.RESET_AUDIO,
        Action.RESET_DISPLAY,
        Action.RESET_GUEST,
        Action.RESTART_QEMU,
        Action.DELETE_POD,
    ),
    FailureClass.CLIENT: (Action.RESTART_STREAM, Action.LOWER_QUALITY),
}

# What never touches a pod.
STREAM_ACTS = frozenset(LADDERS[FailureClass.CLIENT])

# What ends a person's session, or the game in it.
CUTTING = frozenset(
    {Action.RESET_DISPLAY, Action.RESET_GUEST, Action.RESTART_QEMU, Action.RESTART_STREAM, Action.DELETE_POD}
)

# Faults that Kubernetes mends itself by starting the container again; an act before that would only race it.
SELF_HEALING = frozenset({"QemuDead"})

_LINK = LADDERS[FailureClass.NETWORK]
_BRIDGE = _LINK[1:]
_QEMU = (Action.RESTART_QEMU, Action.DELETE_POD)
_GUEST = (Action.RESET_GUEST, *_QEMU)
_DISPLAY = (Action.RESET_DISPLAY, *_QEMU)

REMEDIES: Mapping[str, tuple[Action, ...]] = {
    "TapDown": _LINK,
    "TapNotInBridge": _LINK,
    "BridgeDown": _BRIDGE,
    "InterfaceErrors": (Action.RESET_INTERFACE,),
    "QemuDead": (Action.DELETE_POD,),  # there is no process left that another act could reach
    "QemuStuck": _GUEST,
    "QmpTimeout": _QEMU,  # a reset of the guest goes through QMP too
    "GuestPanicked": _GUEST,
    "QemuIoError": _GUEST,
    "QemuInternalError": _QEMU,
    "QemuWatchdog": _GUEST,
    "GuestShutDown": _GUEST,
    "QemuUnhealthy": _QEMU,
    "VncUnavailable": _DISPLAY,
    "VncMute": _DISPLAY,
    "ScreenFrozen": _GUEST,
    "ScreenBlank": _GUEST,
    "ScreenSingleColour": _GUEST,
    "AudioServerDown": _QEMU,  # QEMU's stream never connects a second time
    "AudioSinkMissing": (Action.RESET_AUDIO, *_QEMU),
    "AudioStreamLost": _QEMU,
    "AudioMuted": (Action.RESET_AUDIO, *_QEMU),
    "AudioSilent": (Action.RESET_AUDIO, *_GUEST),
    "ClientPacketLoss": (Action.LOWER_QUALITY,),
    "ClientJitter": (Action.LOWER_QUALITY,),
    "ClientLowFrameRate": (Action.RESTART_STREAM, Action.LOWER_QUALITY),
    "ClientError": (Action.RESTART_STREAM, Action.LOWER_QUALITY),
}
