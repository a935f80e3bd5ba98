"""Faults that are caused, not played: each does to a decoy what goes wrong in the field."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from agent.decoy import monitor, network, sound
from agent.decoy.errors import BadRequest
from agent.decoy.programs import RESTART_SECONDS
from agent.decoy.running import Running


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what is to be said once it is there, and what causes it."""

    effect: str
    cause: Callable[[Running], None]


def cause(running: Running, name: str) -> str:
    """Cause a fault and return one line about what was done.

    Raises: BadRequest for an unknown name; DecoyError when the decoy hasn't what the fault is done to.
    """
    if name not in FAULTS:
        raise BadRequest(f"fault {name!r} is not one of {', '.join(FAULTS)}; nothing was done")
    FAULTS[name].cause(running)
    return f"decoy {running.record.id}: {FAULTS[name].effect}"


def _send(running: Running, *, program: str, sent: signal.Signals) -> None:
    running.require(program).send(sent)


def _press(running: Running, *, key: str) -> None:
    running.require("qemu")
    monitor.press(running.folder, key)


def _pause(running: Running) -> None:
    running.require("qemu")
    monitor.execute(running.folder, "stop")


def _mute(running: Running) -> None:
    running.require("pulseaudio")
    sound.mute(running.folder)


def _bridge_down(running: Running) -> None:
    record = running.require_links()
    network.set_link(record.netns, record.bridge, "down")


def _tap_down(running: Running) -> None:
    record = running.require_links()
    network.set_link(record.netns, record.tap, "down")


FAULTS = {
    "freeze": Fault("the guest's picture stands still", partial(_press, key="f")),
    "blank": Fault("the guest's screen is black", partial(_press, key="b")),
    "blue": Fault("the guest's screen is one blue", partial(_press, key="u")),
    "halt": Fault("the guest's processor is halted with interrupts off", partial(_press, key="h")),
    "pause": Fault("QEMU is paused, as an operator does it", _pause),
    "kill-qemu": Fault(
        f"QEMU is killed; it starts again in {RESTART_SECONDS:.0f} s",
        partial(_send, program="qemu", sent=signal.SIGKILL),
    ),
    "stop-qemu": Fault("QEMU is stopped (SIGSTOP)", partial(_send, program="qemu", sent=signal.SIGSTOP)),
    "kill-audio": Fault(
        f"PulseAudio is killed; it starts again in {RESTART_SECONDS:.0f} s, QEMU's stream stays lost until heal",
        partial(_send, program="pulseaudio", sent=signal.SIGKILL),
    ),
    "mute": Fault("the sink is muted", _mute),
    "tap-down": Fault("the tap is down", _tap_down),
    "bridge-down": Fault("the bridge is down; the tap in it is up", _bridge_down),
}
