"""Which file system a folder lies on, and whether SQLite's locks hold there."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

# Source: sqlite.org/howtocorrupt.html section 2.1 (locks that are missing or broken on network file systems);
# names as in the kernel's Documentation/filesystems. fuseblk is a local disk behind FUSE and stays allowed.
_REMOTE = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "coda", "fuse", "glusterfs", "gpfs", "lustre",
        "ncpfs", "nfs", "nfs4", "orangefs", "smb2", "smb3", "smbfs", "virtiofs",
    }
)  # fmt: skip


def filesystem_type(folder: Path, mountinfo: str) -> str | None:
    """Return the type of the file system that `folder` (absolute, resolved) lies on, or None when no mount covers it.

    mountinfo: text in the form of /proc/self/mountinfo; of two mounts on one point the later hides the earlier.
    Source: kernel Documentation/filesystems/proc.rst, section 3.5.
    """
    best = -1
    found = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(_unescape(before.split(" ")[4]))
        if len(point.parts) >= best and folder.is_relative_to(point):
            best = len(point.parts)
            found = after.split(" ")[0]
    return found


def is_remote(filesystem: str) -> bool:
    """Tell whether several hosts or a user-space process stand behind it, so that locks can't be trusted."""
    return filesystem in _REMOTE or filesystem.startswith("fuse.")


def _unescape(text: str) -> str:
    r"""Undo the kernel's octal escapes: `\040` is a space."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
