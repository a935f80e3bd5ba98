"""Create, list and delete clusters."""

from pathlib import Path

from localkind import binaries, cgroups, control_plane, credentials, daemons, images, kubeconfig, network, node, records
from localkind.errors import LocalkindError
from localkind.layout import STATE, Cluster, cgroup_of, state_folder
from localkind.sweep import sweep

ADDONS = Path(__file__).with_name("addons.yaml")
READY_SECONDS = 60.0


def create(name: str, *, workers: int, kubeconfig_path: Path, retain: bool) -> Cluster:
    """Make a cluster and add its context to the kubeconfig; a cluster that did not come up is removed again."""
    if is_running(name):
        raise LocalkindError(f"a cluster called {name} exists already; nothing was done")
    binaries.build()
    images.own_archive()
    delete(name)  # what a killed run may have left
    cluster = records.register(name, workers=workers, kubeconfig=kubeconfig_path).cluster
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
    record = records.read(name)
    if record:
        kubeconfig.remove(record.cluster, record.kubeconfig)
    sweep(name, record.cluster if record else None)


def names() -> list[str]:
    """Return the clusters that run."""
    return sorted(path.name for path in STATE.glob("*") if is_running(path.name))


def is_running(name: str) -> bool:
    """Tell whether the cluster was made completely and not ended since, as by a restart of the machine."""
    return (state_folder(name) / "ready").exists() and bool(cgroups.processes(cgroup_of(name)))


def find(name: str) -> Cluster:
    """Return the running cluster of that name."""
    record = records.read(name)
    if not record or not is_running(name):
        raise LocalkindError(f"no cluster called {name} runs here (running: {', '.join(names()) or 'none'})")
    return record.cluster


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
