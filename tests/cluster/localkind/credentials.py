"""Certificates and kubeconfigs, the way kubeadm cuts them: one authority, one client certificate for each component."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from localkind import shell
from localkind.layout import API_SERVICE_IP, DOMAIN, Cluster

VALID_DAYS = "365"
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")


@dataclass(frozen=True)
class Client:
    """Who asks: the user and group that RBAC sees."""

    file: str
    user: str
    group: str = ""


ADMIN = Client("admin", "kubernetes-admin", "system:masters")
API_SERVER = Client("kubelet-client", "kube-apiserver-kubelet-client", "system:masters")
CONTROLLER_MANAGER = Client("kube-controller-manager", "system:kube-controller-manager")
SCHEDULER = Client("kube-scheduler", "system:kube-scheduler")
PROXY = Client("kube-proxy", "system:kube-proxy")
ROUTER = Client("kube-router", "localkind:kube-router")
VOLUMES = Client("volumes", "localkind:volumes")
COMPONENTS = (ADMIN, API_SERVER, CONTROLLER_MANAGER, SCHEDULER, PROXY, ROUTER, VOLUMES)


def create(cluster: Cluster) -> None:
    """Write all keys, certificates and kubeconfigs of the cluster."""
    folder = cluster.credentials
    folder.mkdir(mode=0o700)
    (folder / "openssl.cnf").write_text("[req]\ndistinguished_name = name\n[name]\n")  # none of the system's defaults
    _authority(folder)
    shell.run(
        "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", folder / "sa.key"
    )
    shell.run("openssl", "pkey", "-in", folder / "sa.key", "-pubout", "-out", folder / "sa.pub")
    names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{DOMAIN}",
    ]
    addresses = [cluster.nodes[0].ip, API_SERVICE_IP, "127.0.0.1"]
    alternatives = ",".join([*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in addresses)])
    _certificate(folder, "apiserver", "/CN=kube-apiserver", "serverAuth", f"subjectAltName={alternatives}")
    for client in (
        *COMPONENTS,
        *(Client(node.name, f"system:node:{node.name}", "system:nodes") for node in cluster.nodes),
    ):
        group = f"/O={client.group}" if client.group else ""
        _certificate(folder, client.file, f"{group}/CN={client.user}", "clientAuth")
        _kubeconfig(cluster, client.file)


def kubeconfig(cluster: Cluster, client: str) -> Path:
    """Return the kubeconfig of a component, or of a node by its name."""
    return cluster.credentials / f"{client}.kubeconfig"


def _authority(folder: Path) -> None:
    extensions = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    _request(folder, "ca", "/CN=localkind", *extensions)


def _certificate(folder: Path, name: str, subject: str, usage: str, *extensions: str) -> None:
    authority = ("-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key"))
    every = (f"extendedKeyUsage={usage}", "keyUsage=critical,digitalSignature", *extensions)
    _request(folder, name, subject, *authority, *(word for extension in every for word in ("-addext", extension)))


def _request(folder: Path, name: str, subject: str, *args: str) -> None:
    files = ("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt"))
    config = ("-config", str(folder / "openssl.cnf"))
    shell.run("openssl", "req", "-x509", *_CURVE, *config, *files, "-days", VALID_DAYS, "-subj", subject, *args)


def _kubeconfig(cluster: Cluster, client: str) -> None:
    """Everything is embedded, so the file works from anywhere on this machine. JSON is YAML."""
    folder, name = cluster.credentials, cluster.context
    server = {"server": cluster.server, "certificate-authority-data": _encoded(folder / "ca.crt")}
    keys = {"client-certificate-data": f"{client}.crt", "client-key-data": f"{client}.key"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": server}],
        "users": [{"name": name, "user": {key: _encoded(folder / file) for key, file in keys.items()}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    path = kubeconfig(cluster, client)
    path.touch(mode=0o600)
    path.write_text(json.dumps(document))


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
