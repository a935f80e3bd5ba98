"""The control plane: etcd, API server, controllers, scheduler and the provisioner of volumes, all on the first node."""

from pathlib import Path

from localkind import binaries, credentials, daemons, shell, volumes
from localkind.layout import API_PORT, DOMAIN, SERVICES, Cluster, Node

START_TIMEOUT_SECONDS = 90.0
ETCD = "http://127.0.0.1:2379"  # the loopback of the node's own namespace


def start(cluster: Cluster) -> None:
    """Start it, and return when the API server is ready."""
    node = cluster.nodes[0]
    _start_etcd(node)
    _start_api_server(node)
    daemons.until(lambda: _is_ready(cluster), seconds=START_TIMEOUT_SECONDS, node=node, name="kube-apiserver")
    _start_controller_manager(node)
    kubeconfig = credentials.kubeconfig(cluster, credentials.SCHEDULER.file)
    daemons.start(node, "kube-scheduler", f"--kubeconfig={kubeconfig}", "--leader-elect=false")
    daemons.start(node, Path(volumes.__file__), cluster.server, cluster.credentials, cluster.folder / "volumes")


def kubectl(cluster: Cluster, *args: str, stdin: str = "") -> str:
    """Return what kubectl prints as the cluster's administrator."""
    return shell.run(binaries.folder() / "kubectl", f"--kubeconfig={cluster.admin_kubeconfig}", *args, stdin=stdin)


def _is_ready(cluster: Cluster) -> bool:
    kubectl_path = binaries.folder() / "kubectl"
    return not shell.attempt(
        kubectl_path, f"--kubeconfig={cluster.admin_kubeconfig}", "get", "--raw=/readyz"
    ).returncode


def _start_etcd(node: Node) -> None:
    # A cluster of the tests is thrown away, so a machine that loses power may take it along: no fsync.
    arguments = ("--unsafe-no-fsync", f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}")
    daemons.start(
        node, "etcd", f"--data-dir={node.folder}/etcd", "--listen-peer-urls=http://127.0.0.1:2380", *arguments
    )


def _start_api_server(node: Node) -> None:
    keys = node.cluster.credentials
    daemons.start(
        node,
        "kube-apiserver",
        f"--etcd-servers={ETCD}",
        f"--advertise-address={node.ip}",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={SERVICES}",
        "--allow-privileged=true",
        "--anonymous-auth=false",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={keys}/ca.crt",
        f"--tls-cert-file={keys}/apiserver.crt",
        f"--tls-private-key-file={keys}/apiserver.key",
        f"--kubelet-client-certificate={keys}/{credentials.API_SERVER.file}.crt",
        f"--kubelet-client-key={keys}/{credentials.API_SERVER.file}.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
        f"--service-account-key-file={keys}/sa.pub",
        f"--service-account-signing-key-file={keys}/sa.key",
        "--profiling=false",
    )


def _start_controller_manager(node: Node) -> None:
    keys = node.cluster.credentials
    daemons.start(
        node,
        "kube-controller-manager",
        f"--kubeconfig={credentials.kubeconfig(node.cluster, credentials.CONTROLLER_MANAGER.file)}",
        f"--root-ca-file={keys}/ca.crt",
        f"--service-account-private-key-file={keys}/sa.key",
        "--use-service-account-credentials=true",
        "--allocate-node-cidrs=false",
        "--leader-elect=false",
    )
