"""A node: containerd, kubelet, kube-proxy and kube-router in one network namespace."""

import json

from localkind import cgroups, credentials, daemons, images, needs, shell
from localkind.layout import DNS_SERVICE_IP, DOMAIN, SERVICES, Node

START_TIMEOUT_SECONDS = 30.0


def start_containerd(node: Node) -> None:
    """Start containerd; `finish` waits for it."""
    configuration = node.folder / "containerd.toml"
    configuration.write_text(_containerd_toml(node))
    network = node.folder / "cni" / "10-localkind.conflist"
    network.parent.mkdir()
    network.write_text(json.dumps(_pod_network(node)))
    daemons.start(node, "containerd", "--config", configuration)


def finish(node: Node) -> None:
    """Give containerd the images that no registry has, and start what makes it a node."""
    daemons.until(node.containerd_socket.exists, seconds=START_TIMEOUT_SECONDS, node=node, name="containerd")
    images.load(node, images.own_archive())
    cgroups.make(node.cgroup)
    _start_kubelet(node)
    _start_kube_proxy(node)


def enforce_policies(node: Node) -> None:
    """Start kube-router, and return when its rules are there; the node must be known to the API server.

    Only its policy controller runs: routes are static here, services are kube-proxy's.
    """
    kubeconfig = credentials.kubeconfig(node.cluster, credentials.ROUTER.file)
    off = ("router", "service-proxy", "loadbalancer")
    daemons.start(
        node,
        "kube-router",
        "--run-firewall=true",
        *(f"--run-{part}=false" for part in off),
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={node.name}",
        f"--service-cluster-ip-range={SERVICES}",
        "--health-port=0",
    )
    daemons.until(lambda: _has_policy_rules(node), seconds=START_TIMEOUT_SECONDS, node=node, name="kube-router")


def _start_kubelet(node: Node) -> None:
    configuration = node.folder / "kubelet.json"
    configuration.write_text(json.dumps(_kubelet_configuration(node)))
    daemons.start(
        node,
        "kubelet",
        f"--config={configuration}",
        f"--kubeconfig={credentials.kubeconfig(node.cluster, node.name)}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.ip}",
        f"--root-dir={node.folder}/kubelet",
        f"--cert-dir={node.folder}/kubelet/pki",
    )


def _start_kube_proxy(node: Node) -> None:
    kubeconfig = credentials.kubeconfig(node.cluster, credentials.PROXY.file)
    daemons.start(
        node,
        "kube-proxy",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={node.name}",
        "--proxy-mode=nftables",
        "--cluster-cidr=10.244.0.0/16",
        "--conntrack-max-per-core=0",  # a namespace may not set the machine's limit
    )


def _has_policy_rules(node: Node) -> bool:
    rules = shell.run("ip", "netns", "exec", node.netns, "iptables", "--list-rules", "FORWARD")
    return "KUBE-ROUTER-FORWARD" in rules


def _containerd_toml(node: Node) -> str:
    """restrict_oom_score_adj: a virtual machine may withhold CAP_SYS_RESOURCE, without which runc fails."""
    run, cri = node.run / "containerd", "io.containerd.cri.v1"
    return f"""version = 3
root = "{node.folder}/containerd"
state = "{run}"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "{node.containerd_socket}"
[plugins.'io.containerd.nri.v1.nri']
disable = true
[plugins.'{cri}.images'.pinned_images]
sandbox = "{images.PAUSE}"
[plugins.'{cri}.runtime']
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins.'{cri}.runtime'.cni]
bin_dirs = ["{needs.CNI_PLUGINS}"]
conf_dir = "{node.folder}/cni"
[plugins.'{cri}.runtime'.containerd]
default_runtime_name = "runc"
[plugins.'{cri}.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'{cri}.runtime'.containerd.runtimes.runc.options]
Root = "{node.run}/runc"
"""


def _pod_network(node: Node) -> dict[str, object]:
    """Point-to-point links: every packet between two pods is routed, so the policies see it, also on one node."""
    addresses = {
        "type": "host-local",
        "dataDir": str(node.folder / "addresses"),
        "ranges": [[{"subnet": node.pod_subnet}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [
        {"type": "ptp", "ipMasq": False, "ipam": addresses},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return {"cniVersion": "1.0.0", "name": "localkind", "plugins": plugins}


def _kubelet_configuration(node: Node) -> dict[str, object]:
    authority = str(node.cluster.credentials / "ca.crt")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": authority},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{node.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [DNS_SERVICE_IP],
        "clusterDomain": DOMAIN,
        "podLogsDir": str(node.folder / "logs"),
        # A test's machine is often nearly full; the images of the tests must not be collected for that.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
    }
