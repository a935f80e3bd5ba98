"""The faults of the decoy: how soon each must be told as what, and what a real agent reported of it.

The reports were recorded from an agent beside QEMU under KVM on 2026-11-24.
"""

from pathlib import Path

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
