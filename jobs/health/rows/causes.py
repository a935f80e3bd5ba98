"""Sets of causes: what else goes wrong by itself when one of them holds."""

from __future__ import annotations

DEAD = frozenset({"QemuDead", "QemuStuck"})

HUNG = DEAD | {"QmpTimeout"}

CRASHED = frozenset({"GuestPanicked", "QemuIoError", "QemuInternalError", "QemuWatchdog", "GuestShutDown"})

PLANNED = frozenset({"PausedByOperator", "GuestSuspended", "Migrating"})

# Nothing moves on the screen, nothing sounds, and nobody takes packets off the tap.
STOPPED = HUNG | CRASHED | PLANNED

# The sound path is broken before QEMU's sound could reach a listener.
SOUNDLESS = frozenset({"AudioServerDown", "AudioSinkMissing", "AudioStreamLost", "AudioMuted"})
