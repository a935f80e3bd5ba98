"""What this machine must have, said in one sentence when it has not."""

import os
import shutil
import sys
from pathlib import Path

from localkind.errors import LocalkindError

CNI_PLUGINS = Path("/usr/lib/cni")

# program -> the Debian package that has it
PROGRAMS = {
    "conntrack": "conntrack",
    "ip": "iproute2",
    "ipset": "ipset",
    "iptables": "iptables",
    "nft": "nftables",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "runc": "runc",
    "sysctl": "procps",
    str(CNI_PLUGINS / "ptp"): "containernetworking-plugins",
}


def check() -> None:
    """Raise `LocalkindError` unless a cluster can be made here."""
    if sys.platform != "linux":
        raise LocalkindError(f"needs Linux, this is {sys.platform}; nothing was done")
    if os.geteuid():
        raise LocalkindError("needs root (namespaces, mounts, cgroups); nothing was done")
    missing = sorted(
        {package for program, package in PROGRAMS.items() if not shutil.which(program, path=search_path())}
    )
    if missing:
        raise LocalkindError(f"these Debian packages are missing: {' '.join(missing)}; nothing was done")


def search_path() -> str:
    """Return PATH with the folders of system programs, which a user's PATH may lack."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def check_program(program: str, *, package: str) -> None:
    """Raise `LocalkindError` unless the program is there, for what only some commands need."""
    if not shutil.which(program, path=search_path()):
        raise LocalkindError(f"this Debian package is missing: {package}; nothing was done")
