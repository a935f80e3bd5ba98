"""What this machine has to make a decoy of; what it lacks is said in one line each and left out, never imitated."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

QEMU = "qemu-system-x86_64"

# linux/capability.h: numbers of the two that a network namespace with links needs.
_CAP_NET_ADMIN, _CAP_SYS_ADMIN = 12, 21


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a decoy can be made of here. lacks: one sentence for each thing that must be left out.

    accelerator: `kvm` or `tcg`, empty without QEMU. has_audio: QEMU can play into a PulseAudio that is there.
    """

    accelerator: str
    has_pulse: bool
    has_audio: bool
    has_namespaces: bool
    lacks: Sequence[str]


def find_means() -> Means:
    """Look at the machine. Cost: one run of QEMU to list its audio drivers, about 50 ms."""
    has_qemu = shutil.which(QEMU) is not None
    has_pulse = shutil.which("pulseaudio") is not None
    has_driver = has_qemu and "pa" in _audio_drivers()
    has_namespaces = _may_make_namespaces()
    lacks = []
    if not has_qemu:
        lacks.append(f"no {QEMU} on PATH: this decoy has no emulator")
    if not has_pulse:
        lacks.append("no pulseaudio on PATH: this decoy has no sound")
    if has_pulse and has_qemu and not has_driver:
        lacks.append(f"{QEMU} has no audio driver pa (on Debian 12 it comes with qemu-system-gui): this decoy is mute")
    if not has_namespaces:
        lacks.append("no right to make network namespaces: this decoy has loopback ports, no bridge and no tap")
    return Means(
        accelerator="" if not has_qemu else "kvm" if _opens(Path("/dev/kvm")) else "tcg",
        has_pulse=has_pulse,
        has_audio=has_pulse and has_driver,
        has_namespaces=has_namespaces,
        lacks=lacks,
    )


def _audio_drivers() -> list[str]:
    done = subprocess.run([QEMU, "-audiodev", "help"], capture_output=True, text=True, check=False, timeout=10)
    return done.stdout.split()


def _may_make_namespaces() -> bool:
    """Tell whether this process has the capabilities, /dev/net/tun and `ip`."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    has_rights = bool(effective >> _CAP_NET_ADMIN & effective >> _CAP_SYS_ADMIN & 1)
    return has_rights and shutil.which("ip") is not None and _opens(Path("/dev/net/tun"))


def _opens(device: Path) -> bool:
    with suppress(OSError):
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
        return True
    return False
