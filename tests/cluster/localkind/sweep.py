"""Remove every trace of a cluster, also of one whose creation was killed half-way or whose daemons died.

It trusts no list that a killed run may not have written: processes are found by cgroup, namespaces and links by name.
Mounts need no removal, they end with the last process of their namespace.
"""

import re
import shutil
from contextlib import suppress
from pathlib import Path

from localkind import cgroups, network
from localkind.layout import MACHINE_FOLDERS, RUN, Cluster, cgroup_of, state_folder


def sweep(name: str, cluster: Cluster | None) -> None:
    """Remove all of the cluster called `name`; `cluster` is None when not even its record was written."""
    cgroups.end(cgroup_of(name))
    links = [cluster.bridge, *(node.link for node in cluster.nodes)] if cluster else []
    network.delete(_namespaces(name), links)
    for folder in (RUN / name, state_folder(name)):
        if folder.exists():
            shutil.rmtree(folder)
    for folder in MACHINE_FOLDERS:
        with suppress(OSError):  # not there, or somebody else's are in it
            folder.rmdir()


def has_traces(name: str) -> bool:
    """Tell whether anything of the cluster called `name` is there."""
    folders = (state_folder(name), RUN / name, *(root / cgroup_of(name) for root in cgroups.hierarchies()))
    return any(folder.exists() for folder in folders) or bool(_namespaces(name))


def _namespaces(name: str) -> list[str]:
    return [path.name for path in Path("/run/netns").glob("*") if is_netns_of(name, path.name)]


def is_netns_of(cluster: str, netns: str) -> bool:
    """Tell whether a network namespace is one of the cluster's nodes, and not of a cluster with a longer name."""
    return bool(re.fullmatch(rf"lk-{re.escape(cluster)}-\d+", netns))
