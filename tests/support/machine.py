"""What a cluster could leave behind on the machine of the tests."""

import json
import os
import re
import subprocess
from pathlib import Path

STATE, RUN = Path("/var/lib/localkind"), Path("/run/localkind")
# what containerd, the CNI plugins and the kubelet use in places of the whole machine
SHARED_FOLDERS = [
    "/run/containerd",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/usr/libexec/kubernetes",
]
# what names, paths, addresses and rules of a cluster have in them; other tests may use the machine meanwhile
MARKS = re.compile(r"^setting|\blk\d|\blk-|cni|localkind|kube|containerd|\b10\.(89|96|244)\.", re.IGNORECASE)
SETTINGS = ("kernel.panic", "kernel.panic_on_oops", "vm.overcommit_memory", "vm.panic_on_oom")  # a kubelet's doing
RULES = (("nft", "list", "ruleset"), ("iptables-legacy-save",), ("ipset", "list", "-name"), ("ip", "route"))


def traces(cluster: str) -> set[str]:
    """Return everything on this machine that the cluster might have made; what other clusters made is left out."""
    found = {
        *(f"mount {line}" for line in _lines("cat", "/proc/self/mounts")),
        *(f"namespace {path.name}" for path in Path("/run/netns").glob("*")),
        *(f"link {path.name}" for path in Path("/sys/class/net").iterdir()),
        *(f"cgroup {path}" for path in _cgroups()),
        *(f"folder {path}" for folder in (STATE, RUN) for path in folder.glob("*")),
        *(f"folder {path}" for path in SHARED_FOLDERS if Path(path).exists()),
        *(f"process {words}" for words in _processes()),
        *(f"setting {line}" for line in _lines("sysctl", *SETTINGS)),
        *(f"rule {line}" for command in RULES for line in _lines(*command)),
    }
    others = _marks_of_others(cluster)
    return {trace for trace in found if MARKS.search(trace) and not any(mark.search(trace) for mark in others)}


def _cgroups() -> list[str]:
    """Return the cgroups of clusters; one that goes while it is walked through is another cluster's."""
    walk = os.walk("/sys/fs/cgroup")
    return [f"{folder}/{name}" for folder, names, _ in walk for name in names if name.startswith("localkind-")]


def _lines(*command: str) -> list[str]:
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in lines if not line.startswith("#")]  # with the time of day


def _processes() -> list[str]:
    """Return the processes that a cluster started, by what they run or the folders they were told."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text().replace("\0", " ").strip()
            cgroups = (entry / "cgroup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        told = words and int(entry.name) != os.getpid()  # one that has ended and waits for its parent has no words
        if told and (f"{STATE}/" in words or f"{RUN}/" in words or "/localkind-" in cgroups):
            found.append(f"{words} {cgroups.split()}")
    return found


def _marks_of_others(cluster: str) -> list[re.Pattern[str]]:
    records = {path.parent.name: json.loads(path.read_text()) for path in STATE.glob("*/cluster.json")}
    numbers = [(name, record["number"]) for name, record in records.items() if name != cluster]
    return [re.compile(rf"\blk-{n}-\d+\b|\blocalkind[-/]{n}\b|\blk{k}(n\d+)?\b|\b10\.89\.{k}\.") for n, k in numbers]
