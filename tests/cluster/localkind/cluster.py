"""Create, list and delete clusters."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localkind import binaries, cgroups, control_plane, credentials, daemons, images, kubeconfig, network, node
from localkind.errors import LocalkindError
from localkind.layout import RUN, STATE, Cluster, cgroup_of, state_folder
from localkind.sweep import sweep

ADDONS = Path(__file__).with_name("addons.yaml")
READY_SECONDS = 60.0


def create(name: str, *, workers: int, kubeconfig_path: Path, retain: bool) -> Cluster:
    """Make a cluster and add its context to the kubeconfig; a cluster that did not come up is removed again."""
    if is_running(name):
        raise LocalkindError(f"a cluster called {name} exists already; nothing was done")
    binaries.build()
    images.own_archives()
    delete(name)  # what a killed run may have left
    cluster = _register(name, workers=workers, kubeconfig_path=kubeconfig_path)
    try:
        _bring_up(cluster)
    except LocalkindError:
        if not retain:
            sweep(name, cluster)
        raise
    kubeconfig.add(cluster, kubeconfig_path)
    (cluster.folder / "ready").touch()
    return cluster


def delete(name: str) -> None:
    """Remove the cluster, if there is one or anything of one."""
    cluster = _read(name)
    if cluster and (path := _record(name).get("kubeconfig")):
        kubeconfig.remove(cluster, Path(path))
    sweep(name, cluster)


def names() -> list[str]:
    """Return the clusters that run."""
    return sorted(path.name for path in STATE.glob("*") if is_running(path.name))


def is_running(name: str) -> bool:
    """Tell whether the cluster was made completely and not ended since, as by a restart of the machine."""
    return (state_folder(name) / "ready").exists() and bool(cgroups.processes(cgroup_of(name)))


def find(name: str) -> Cluster:
    """Return the running cluster of that name."""
    cluster = _read(name)
    if not cluster or not is_running(name):
        raise LocalkindError(f"no cluster called {name} runs here (running: {', '.join(names()) or 'none'})")
    return cluster


def _bring_up(cluster: Cluster) -> None:
    for each in cluster.nodes:
        each.folder.mkdir()
        each.run.mkdir(parents=True)
    cgroups.make(f"{cluster.cgroup}/daemons")
    network.create(cluster)
    credentials.create(cluster)
    for each in cluster.nodes:
        daemons.start_init(each)
        node.start_containerd(each)
    control_plane.start(cluster)
    control_plane.kubectl(cluster, "apply", f"--filename={ADDONS}")
    for each in cluster.nodes:
        node.finish(each)
    _wait_until_ready(cluster)


def _wait_until_ready(cluster: Cluster) -> None:
    first = cluster.nodes[0]
    daemons.until(
        lambda: _ready_nodes(cluster) == len(cluster.nodes), seconds=READY_SECONDS, node=first, name="kubelet"
    )
    control_plane.kubectl(cluster, "label", "node", first.name, "node-role.kubernetes.io/control-plane=")
    for each in cluster.nodes:
        node.enforce_policies(each)
    names_answer = ("--for=condition=Available", "--namespace=kube-system", "deployment/coredns")
    control_plane.kubectl(cluster, "wait", f"--timeout={READY_SECONDS:.0f}s", *names_answer)


def _ready_nodes(cluster: Cluster) -> int:
    statuses = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
    return control_plane.kubectl(cluster, "get", "nodes", f"--output={statuses}").split().count("True")


def _register(name: str, *, workers: int, kubeconfig_path: Path) -> Cluster:
    """Write the cluster's record before anything else is made, under a number that no other cluster has."""
    with _lock():
        taken = {_record(path.name).get("number") for path in STATE.glob("*")}
        for number in network.NUMBERS:
            cluster = Cluster(name, number, workers)
            if number not in taken and network.is_free(cluster.network):
                cluster.folder.mkdir(parents=True)
                record = {"number": number, "workers": workers, "kubeconfig": str(kubeconfig_path.absolute())}
                (cluster.folder / "cluster.json").write_text(json.dumps(record))
                return cluster
    raise LocalkindError("all of 10.89.0.0/16 is in use on this machine; no cluster was made")


@contextmanager
def _lock() -> Iterator[None]:
    RUN.mkdir(parents=True, exist_ok=True)
    with (RUN / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _record(name: str) -> dict[str, object]:
    try:
        return json.loads((state_folder(name) / "cluster.json").read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: killed while it was written
        return {}


def _read(name: str) -> Cluster | None:
    record = _record(name)
    return Cluster(name, int(record["number"]), int(record["workers"])) if record else None
