"""What the parts of a cluster are called and where they live."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from localkind.errors import LocalkindError

STATE = Path(os.environ.get("LOCALKIND_STATE", "/var/lib/localkind"))
RUN = Path("/run/localkind")  # Unix socket paths end at 107 bytes, so they are not kept in STATE
SERVICES = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
DOMAIN = "cluster.local"
API_PORT = 6443
# containerd's shims, the CNI's results, the kubelet's device plugins, its links to containers' logs, its plugins
MACHINE_FOLDERS = tuple(
    map(
        Path,
        (
            "/run/containerd",
            "/var/lib/cni",
            "/var/lib/kubelet",
            "/var/log/containers",
            "/usr/libexec/kubernetes",
        ),
    ),
)
# what a kubelet sets for the whole machine (pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables)
MACHINE_SETTINGS = tuple(
    Path("/proc/sys", *name.split("."))
    for name in (
        "vm.overcommit_memory",
        "vm.panic_on_oom",
        "kernel.panic",
        "kernel.panic_on_oops",
        "kernel.keys.root_maxkeys",
        "kernel.keys.root_maxbytes",
    )
)
NAME_CHARACTERS_MAX = 32  # chosen: the longest socket path of a cluster stays below 107 bytes


@dataclass(frozen=True)
class Node:
    """One node: a network namespace and what runs in it."""

    cluster: "Cluster"
    index: int

    @property
    def name(self) -> str:
        """The node's name, as kind forms it."""
        suffix = ("control-plane", "worker")[min(self.index, 1)]
        return f"{self.cluster.name}-{suffix}{self.index if self.index > 1 else ''}"

    @property
    def netns(self) -> str:
        """The network namespace, as `ip netns` lists it."""
        return f"lk-{self.cluster.name}-{self.index}"

    @property
    def link(self) -> str:
        """The node's port on the bridge, named by the cluster's number: interface names end at 15 bytes."""
        return f"lk{self.cluster.number}n{self.index}"

    @property
    def ip(self) -> str:
        """The node's address."""
        return f"{self.cluster.network}.{self.index + 2}"

    @property
    def pod_subnet(self) -> str:
        """The addresses of the node's pods; only the cluster's own namespaces route them."""
        return f"10.244.{self.index}.0/24"

    @property
    def folder(self) -> Path:
        """State and logs."""
        return self.cluster.folder / f"node{self.index}"

    @property
    def run(self) -> Path:
        """Sockets and containerd's state."""
        return self.cluster.run / str(self.index)

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.run / "containerd.sock"

    @property
    def own_folders(self) -> dict[Path, Path]:
        """Folders of the machine that a node's components use whatever they are told -> the node's own in its place."""
        return {folder: self._own(folder) for folder in MACHINE_FOLDERS}

    @property
    def own_settings(self) -> dict[Path, Path]:
        """Settings of the machine's kernel -> the file that the node's kubelet writes instead."""
        return {setting: self._own(setting) for setting in MACHINE_SETTINGS if setting.exists()}

    def _own(self, path: Path) -> Path:
        return self.folder / "own" / path.relative_to("/")

    @property
    def cgroup(self) -> str:
        """The cgroup of the node's pods, relative to each hierarchy."""
        return f"{self.cluster.cgroup}/node{self.index}"


@dataclass(frozen=True)
class Cluster:
    """One cluster. `number` tells clusters of one machine apart in subnets and interface names."""

    name: str
    number: int
    workers: int

    @property
    def folder(self) -> Path:
        """State and logs of all nodes."""
        return state_folder(self.name)

    @property
    def run(self) -> Path:
        """Sockets of all nodes."""
        return RUN / self.name

    @property
    def cgroup(self) -> str:
        """The cgroup that holds every process of the cluster, relative to each hierarchy."""
        return cgroup_of(self.name)

    @property
    def bridge(self) -> str:
        """The bridge in the machine's namespace that joins the nodes."""
        return f"lk{self.number}"

    @property
    def network(self) -> str:
        """The first three bytes of the nodes' subnet."""
        return f"10.89.{self.number}"

    @property
    def nodes(self) -> list[Node]:
        """The control plane's node first."""
        return [Node(self, index) for index in range(1 + self.workers)]

    @property
    def server(self) -> str:
        """The API server's address, reachable from this machine and from every node."""
        return f"https://{self.nodes[0].ip}:{API_PORT}"

    @property
    def context(self) -> str:
        """The name of context, cluster and user in kubeconfigs, as kind forms it."""
        return f"kind-{self.name}"

    @property
    def credentials(self) -> Path:
        """Keys, certificates and kubeconfigs."""
        return self.folder / "credentials"

    @property
    def admin_kubeconfig(self) -> Path:
        """The kubeconfig of the cluster's administrator."""
        return self.credentials / "admin.kubeconfig"


def state_folder(name: str) -> Path:
    """Return where the cluster called `name` keeps its state, after a look at the name."""
    if not re.fullmatch(rf"[a-z0-9][a-z0-9-]{{0,{NAME_CHARACTERS_MAX - 1}}}", name):
        allowed = f"lower-case letters, digits and '-', at most {NAME_CHARACTERS_MAX} in all"
        raise LocalkindError(f"cluster name {name!r} is not allowed ({allowed}); nothing was done")
    return STATE / name


def cgroup_of(name: str) -> str:
    """Return the cgroup of the cluster called `name`, relative to each hierarchy."""
    return f"localkind-{name}"
