"""The network of a cluster: a bridge on the machine, a namespace a node, and routes between the nodes' pods.

Pods reach each other, services and the API server; nothing is forwarded to the outside.
"""

from pathlib import Path

from localkind import shell
from localkind.layout import Cluster, Node

NUMBERS = range(256)


def is_free(network: str) -> bool:
    """Tell whether the machine has no route of its own into `network`, the first three bytes of a /24."""
    return not shell.run("ip", "-4", "route", "show", "root", f"{network}.0/24", "table", "all").strip()


def create(cluster: Cluster) -> None:
    """Make bridge, namespaces, links, addresses and routes."""
    shell.run("ip", "link", "add", cluster.bridge, "type", "bridge")
    shell.run("ip", "address", "add", f"{cluster.network}.1/24", "dev", cluster.bridge)
    shell.run("ip", "link", "set", cluster.bridge, "up")
    for node in cluster.nodes:
        _join(node)


def delete(names: list[str], links: list[str]) -> None:
    """Remove these namespaces and links where they exist."""
    for name in names:
        if Path("/run/netns", name).exists():
            shell.run("ip", "netns", "delete", name)
    for link in links:
        if Path("/sys/class/net", link).exists():
            shell.attempt("ip", "link", "delete", link)  # it may go by itself with the namespace of its other end


def _join(node: Node) -> None:
    shell.run("ip", "netns", "add", node.netns)
    shell.run("ip", "link", "add", node.link, "type", "veth", "peer", "name", "eth0", "netns", node.netns)
    shell.run("ip", "link", "set", node.link, "master", node.cluster.bridge, "up")
    commands = [
        "link set lo up",
        f"address add {node.ip}/24 dev eth0",
        "link set eth0 up",
        # a process on the node's own network needs a route before a service's address is translated
        f"route add default via {node.cluster.network}.1",
    ]
    commands += [f"route add {other.pod_subnet} via {other.ip}" for other in node.cluster.nodes if other != node]
    shell.run("ip", "-n", node.netns, "-batch", "-", stdin="\n".join(commands))
    shell.run("ip", "netns", "exec", node.netns, "sysctl", "-qw", "net.ipv4.ip_forward=1")
