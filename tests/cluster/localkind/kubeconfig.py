"""Put a cluster's context into a user's kubeconfig, and take it out again; kubectl itself reads and writes the file."""

import os
from pathlib import Path

from localkind import binaries, shell
from localkind.layout import Cluster


def default_path() -> Path:
    """Return the file that kubectl would write to."""
    first = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(first) if first else Path.home() / ".kube" / "config"


def add(cluster: Cluster, path: Path) -> None:
    """Add the cluster's context to the file and make it the current one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    both = os.environ | {"KUBECONFIG": f"{cluster.admin_kubeconfig}{os.pathsep}{path.absolute()}"}  # the first one wins
    merged = shell.run(_kubectl(), "config", "view", "--flatten", "--raw", environment=both)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.touch(mode=0o600)
    unfinished.write_text(merged)
    unfinished.replace(path)


def remove(cluster: Cluster, path: Path) -> None:
    """Take the cluster's context out of the file, if both are there."""
    if not path.exists() or not _kubectl().exists():
        return
    config = (_kubectl(), f"--kubeconfig={path}", "config")
    if shell.attempt(*config, "current-context").stdout.strip() == cluster.context:
        shell.attempt(*config, "unset", "current-context")
    for kind in ("context", "cluster", "user"):
        shell.attempt(*config, f"delete-{kind}", cluster.context)


def _kubectl() -> Path:
    return binaries.folder() / "kubectl"
