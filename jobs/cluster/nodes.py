"""What is wrong with a node; pure."""

from __future__ import annotations

from jobs.cluster.fields import flag, objects, text

# Kubernetes docs, "Node Status": Ready is good when True, the pressures and NetworkUnavailable when False.
_READY = "Ready"


def node_problem(node: object) -> str:
    """Return `NotReady`, pressures and `cordoned`, comma-separated, empty where nothing is wrong."""
    words = []
    for condition in objects(node, "status", "conditions"):
        kind, status = text(condition, "type"), text(condition, "status")
        if kind == _READY:
            words += [] if status == "True" else ["NotReady"]
        elif status == "True":
            words.append(kind)
    if flag(node, "spec", "unschedulable"):
        words.append("cordoned")
    return ", ".join(sorted(words, key=lambda word: (word != "NotReady", word)))
