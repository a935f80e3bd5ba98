"""What the agent reports while each fault of the decoy lasts, and what is to be said of it."""

from agent.report import Client

# name: (changes of a healthy report, outcome of the connectivity probe, verdict, class, codes)
DECOY_FAULTS = {
    "kill-qemu": (
        {
            "overall_status": "unhealthy",
            "qemu_healthy": False,
            "qemu": {
                "process_state": None,
                "run_state": None,
                "uptime_seconds": None,
                "qmp_error": "nobody listens on qmp (Connection refused)",
                "error": "no process is named qemu-system-*",
            },
            "video": {"vnc_available": False, "display_active": False, "estimated_frame_rate": None},
            "screen": {"verdict": None, "still_seconds": None, "hash": None, "error": "no monitor"},
            "audio": {"qemu_streams": 0, "estimated_level": 0.0, "silent_seconds": 16.0},
            "performance": {"qemu_pid": None, "qemu_cpu": None},
            "network": {"tap_up": False},
        },
        "refused",
        ("unhealthy", "qemu", ["QemuDead"]),
    ),
    "stop-qemu": (
        {
            "qemu_healthy": False,
            "qemu": {"process_state": "T", "run_state": None, "qmp_error": "timeout: no answer in 2 s"},
            "video": {"vnc_available": False, "estimated_frame_rate": None},
            "screen": {"verdict": None, "still_seconds": None, "error": "no monitor"},
            "audio": {"estimated_level": 0.0, "silent_seconds": 30.0},
            "network": {"drops_per_second": 9.0, "tx_packets_per_second": 0.0, "rx_packets_per_second": 0.0},
        },
        "mute",
        ("unhealthy", "qemu", ["QemuStuck"]),
    ),
    "kill-audio": (
        {
            "audio": {
                "pulse_running": False,
                "audio_devices": 0,
                "estimated_level": None,
                "muted": None,
                "qemu_streams": None,
                "silent_seconds": None,
                "error": "connection refused",
            }
        },
        "ok",
        ("degraded", "qemu", ["AudioServerDown"]),
    ),
    "mute": (
        {"audio": {"muted": True, "estimated_level": 0.0, "silent_seconds": 16.0}},
        "ok",
        ("degraded", "qemu", ["AudioMuted"]),
    ),
    "tap-down": ({"network": {"tap_up": False}}, "ok", ("unhealthy", "network", ["TapDown"])),
    "bridge-down": ({"network": {"bridge_up": False}}, "ok", ("unhealthy", "network", ["BridgeDown"])),
    "pause": (
        {
            "qemu": {"run_state": "paused"},
            "screen": {"verdict": "still", "still_seconds": 60.0},
            "audio": {"estimated_level": 0.0, "silent_seconds": 60.0},
        },
        "ok",
        ("degraded", "none", ["PausedByOperator"]),
    ),
    "freeze": (
        {"screen": {"verdict": "still", "still_seconds": 30.0}},
        "ok",
        ("unhealthy", "qemu", ["ScreenFrozen"]),
    ),
    "halt": (
        {
            "screen": {"verdict": "still", "still_seconds": 30.0},
            "audio": {"estimated_level": 0.0, "silent_seconds": 30.0},
        },
        "ok",
        ("unhealthy", "qemu", ["ScreenFrozen", "AudioSilent"]),
    ),
    "blank": (
        {"screen": {"verdict": "blank", "largest_colour_ratio": 1.0, "still_seconds": 0.0}},
        "ok",
        ("unhealthy", "qemu", ["ScreenBlank"]),
    ),
    "blue": (
        {"screen": {"verdict": "single-colour", "largest_colour_ratio": 1.0, "still_seconds": 0.0}},
        "ok",
        ("unhealthy", "qemu", ["ScreenSingleColour"]),
    ),
}


def clients(*fields):
    """Return a clients block in which each browser posted these fields."""
    return {
        "count": len(fields),
        "clients": [Client(id=f"c{n}", age_seconds=1.0, **one) for n, one in enumerate(fields)],
    }
