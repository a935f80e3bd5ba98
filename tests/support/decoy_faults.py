"""What a real agent reported while each fault of the decoy lasted (KVM, 2026-11-24), and what is to be said of it."""

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


def recorded(name: str) -> HealthReport:
    """Return a recorded report."""
    return decode((REPORTS / f"{name}.json").read_bytes())


def clients(*fields):
    """Return a clients block in which each browser posted these fields."""
    return {
        "count": len(fields),
        "clients": [Client(id=f"c{n}", age_seconds=1.0, **one) for n, one in enumerate(fields)],
    }
