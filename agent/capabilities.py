"""What the kernel lets this process do beside its user's rights, capabilities(7)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

# linux/capability.h
CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21


def has_capability(number: int) -> bool:
    """Tell whether this process has a capability in effect."""
    return bool(_effective() >> number & 1)


@cache
def _effective() -> int:
    """Return the mask; none of our programs changes it while it runs."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("CapEff:")[2].split()[0], 16)
