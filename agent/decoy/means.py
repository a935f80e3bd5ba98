"""What this machine has to make a decoy of; what it lacks is said in one line each and left out, never imitated."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.capabilities import CAP_NET_ADMIN, CAP_SYS_ADMIN, has_capability

QEMU = "qemu-system-x86_64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a decoy can be made of here. lacks: one sentence for each thing that must be left out.

    accelerator: `kvm` or `tcg`, empty without QEMU. has_audio: QEMU can play into a PulseAudio that is there.
    has_links: bridge and tap can be made, in a namespace of their own or in the pod's.
    """

    accelerator: str
    has_pulse: bool
    has_audio: bool
    has_links: bool
    lacks: Sequence[str]


def find_means(*, in_pod: bool = False) -> Means:
    """Look at the machine, or at the container of a pod. Cost: one run of QEMU to list its audio drivers, 50 ms."""
    has_qemu = shutil.which(QEMU) is not None
    has_pulse = shutil.which("pulseaudio") is not None
    has_driver = has_qemu and "pa" in _audio_drivers()
    has_links = _may_make_links(in_pod=in_pod)
    lacks = []
    if not has_qemu:
        lacks.append(f"no {QEMU} on PATH: this decoy has no emulator")
    if not has_pulse:
        lacks.append("no pulseaudio on PATH: this decoy has no sound")
    if has_pulse and has_qemu and not has_driver:
        lacks.append(f"{QEMU} has no audio driver pa (on Debian 12 it comes with qemu-system-gui): this decoy is mute")
    if not has_links and in_pod:
        lacks.append("no CAP_NET_ADMIN, /dev/net/tun or `ip` in this container: this decoy has no bridge and no tap")
    elif not has_links:
        lacks.append("no right to make network namespaces: this decoy has loopback ports, no bridge and no tap")
    return Means(
        accelerator="" if not has_qemu else "kvm" if _opens(Path("/dev/kvm")) else "tcg",
        has_pulse=has_pulse,
        has_audio=has_pulse and has_driver,
        has_links=has_links,
        lacks=lacks,
    )


def _audio_drivers() -> list[str]:
    done = subprocess.run([QEMU, "-audiodev", "help"], capture_output=True, text=True, check=False, timeout=10)
    return done.stdout.split()


def _may_make_links(*, in_pod: bool) -> bool:
    """Tell whether this process has the capabilities, /dev/net/tun and `ip`."""
    needed = {CAP_NET_ADMIN} if in_pod else {CAP_NET_ADMIN, CAP_SYS_ADMIN}
    has_rights = all(has_capability(number) for number in needed)
    return has_rights and shutil.which("ip") is not None and _opens(Path("/dev/net/tun"))


def _opens(device: Path) -> bool:
    with suppress(OSError):
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
        return True
    return False
