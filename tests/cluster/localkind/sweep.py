"""Remove every trace of a cluster, also of one whose creation was killed half-way or whose daemons died.

It trusts no list that a killed run may not have written: processes are found by cgroup, mounts by the folders below
which they are, namespaces and links by name.
"""

import json
import shutil
from pathlib import Path

from localkind import cgroups, network, shell
from localkind.layout import RUN, Cluster, cgroup_of, state_folder

CONTAINER_LOG_LINKS = Path("/var/log/containers")  # the kubelet's, and not to be led elsewhere
LAZY = "--lazy"


def sweep(name: str, cluster: Cluster | None) -> None:
    """Remove all of the cluster called `name`; `cluster` is None when its record was not even written."""
    folders = (state_folder(name), RUN / name)
    cgroups.end(cgroup_of(name))
    sockets = _shim_sockets(RUN / name)
    _unmount_below(folders)
    links = [cluster.bridge, *(node.link for node in cluster.nodes)] if cluster else []
    network.delete(sorted(path.name for path in Path("/run/netns").glob(f"lk-{name}-[0-9]*")), links)
    _unlink_logs(state_folder(name))
    for socket in sockets:
        socket.unlink(missing_ok=True)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _unmount_below(folders: tuple[Path, ...]) -> None:
    """Unmount deepest first. Lazily: the last process has just gone, and the kernel may still hold what it used."""
    with Path("/proc/self/mounts").open() as table:
        mounts = [line.split()[1].encode().decode("unicode_escape") for line in table]
    for mount in sorted(mounts, reverse=True):
        if any(Path(mount).is_relative_to(folder) for folder in folders):
            shell.attempt("umount", LAZY, mount)


def _shim_sockets(run: Path) -> list[Path]:
    """Return the sockets of the shims, which containerd keeps in one place for the whole machine."""
    found = []
    for path in run.glob("*/containerd/io.containerd.runtime.v2.task/k8s.io/*/bootstrap.json"):
        address = json.loads(path.read_text()).get("address", "")
        found.append(Path(address.removeprefix("unix://")))
    return found


def _unlink_logs(folder: Path) -> None:
    if CONTAINER_LOG_LINKS.is_dir():
        for link in CONTAINER_LOG_LINKS.iterdir():
            if link.is_symlink() and link.readlink().is_relative_to(folder):
                link.unlink()
