"""The faults of the decoy: how soon each must be told as what, and what a real agent reported of it.

The reports were recorded from an agent beside QEMU under KVM on 2026-11-24.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from agent.report import Client, HealthReport, decode

REPORTS = Path(__file__).parents[1] / "fixtures" / "reports" / "v1"

# fault: (how the connectivity probe ends, (verdict, class, codes))
DECOY_FAULTS = {
    "kill-qemu": ("refused", ("unhealthy", "qemu", ["QemuDead"])),
    "kill-qemu-restarted": ("ok", ("degraded", "qemu", ["QemuRestarted", "Booting"])),
    "stop-qemu": ("mute", ("unhealthy", "qemu", ["QemuStuck"])),
    "kill-audio": ("ok", ("degraded", "qemu", ["AudioServerDown"])),
    "kill-audio-restarted": ("ok", ("degraded", "qemu", ["AudioStreamLost", "AudioRestarted"])),
    "mute": ("ok", ("degraded", "qemu", ["AudioMuted"])),
    "tap-down": ("ok", ("unhealthy", "network", ["TapDown"])),
    "bridge-down": ("ok", ("unhealthy", "network", ["BridgeDown"])),
    "pause": ("ok", ("degraded", "none", ["PausedByOperator"])),
    "freeze": ("ok", ("unhealthy", "qemu", ["ScreenFrozen"])),
    "halt": ("ok", ("unhealthy", "qemu", ["ScreenFrozen"])),
    "blank": ("ok", ("unhealthy", "qemu", ["ScreenBlank"])),
    "blue": ("ok", ("unhealthy", "qemu", ["ScreenSingleColour"])),
}

# fault -> (verdicts, class, reasons of which one must be named, seconds allowed); the issue's own figures
FAULTS = {
    "kill-qemu": ({"unhealthy", "degraded"}, "qemu", {"QemuDead", "QemuRestarted"}, 20),
    "stop-qemu": ({"unhealthy"}, "qemu", {"QemuStuck"}, 20),
    "kill-audio": ({"unhealthy", "degraded"}, "qemu", {"AudioServerDown", "AudioStreamLost", "AudioRestarted"}, 35),
    "mute": ({"unhealthy", "degraded"}, "qemu", {"AudioMuted"}, 35),
    "tap-down": ({"unhealthy", "degraded"}, "network", {"TapDown"}, 35),
    "bridge-down": ({"unhealthy", "degraded"}, "network", {"BridgeDown"}, 35),
    "pause": ({"degraded"}, "none", {"PausedByOperator"}, 35),
    "freeze": ({"unhealthy", "degraded"}, "qemu", {"ScreenFrozen"}, 45),
    "halt": ({"unhealthy", "degraded"}, "qemu", {"ScreenFrozen"}, 45),
    "blank": ({"unhealthy", "degraded"}, "qemu", {"ScreenBlank"}, 45),
    "blue": ({"unhealthy", "degraded"}, "qemu", {"ScreenSingleColour"}, 45),
}


TICK_SECONDS = 15


class Told(NamedTuple):
    """How soon a fault was told: the seconds since its cause, and the ticks."""

    seconds: float
    ticks: int

    def is_late(self, fault: str, *, is_timed: bool) -> bool:
        """Tell whether it was told too late. is_timed: by the clock, else by the number of the tick that told it."""
        allowed_seconds = FAULTS[fault][3]
        return self.seconds > allowed_seconds if is_timed else self.ticks > 1 + allowed_seconds // TICK_SECONDS


class Watch:
    """Faults that were caused, and how soon each was told. fleet: returns what the API says of each instance."""

    def __init__(self, fleet: Callable[[], dict]) -> None:
        self.told: dict[str, Told] = {}
        self._fleet = fleet
        self._caused: dict[str, tuple[str, int, float]] = {}

    def caused(self, fault: str, instance: str) -> None:
        """Note that an instance has a fault from now on; a tick that is under way may not see it yet."""
        caused_at = time.monotonic()
        while not (one := self._fleet().get(instance)):
            time.sleep(0.25)
        self._caused[fault] = (instance, one["probe"]["tick"], caused_at)

    def all_told(self) -> bool:
        """Look once, and tell whether every fault has been told."""
        fleet = self._fleet()
        for fault, (instance, tick, caused_at) in self._caused.items():
            one = fleet.get(instance)
            if fault not in self.told and one and is_seen(one, fault):
                self.told[fault] = Told(round(time.monotonic() - caused_at, 1), one["probe"]["tick"] - tick)
        return set(self.told) == set(self._caused)

    def late(self, *, is_timed: bool) -> dict[str, Told]:
        """Return what was told too late."""
        return {fault: told for fault, told in self.told.items() if told.is_late(fault, is_timed=is_timed)}


def is_seen(one: dict, fault: str) -> bool:
    """Tell whether one instance's deep health names the fault."""
    verdicts, failure_class, codes, _ = FAULTS[fault]
    named = codes & {reason["code"] for reason in one["reasons"]}
    return one["overallStatus"] in verdicts and one["failureType"] == failure_class and bool(named)


def recorded(name: str) -> HealthReport:
    """Return a recorded report."""
    return decode((REPORTS / f"{name}.json").read_bytes())


def clients(*fields):
    """Return a clients block in which each browser posted these fields."""
    return {
        "count": len(fields),
        "clients": [Client(id=f"c{n}", age_seconds=1.0, **one) for n, one in enumerate(fields)],
    }
