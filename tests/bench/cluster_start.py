"""In the developer's cluster (`make cluster`, overlay dev): pod created to first tick, memory and CPU of our pods."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
KUBECONFIG = Path(os.environ.get("KUBECONFIG") or ROOT / ".cluster" / "kubeconfig")
NAMESPACE = "loco-health"
TRIES = 7
CPU_SECONDS = 180  # three windows of overlay dev

# Run in the pod: when its process began, and when its first tick was committed, in Unix seconds.
FIRST_TICK = """
import json, os, sqlite3, time
began = int(open("/proc/1/stat").read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
began += time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
store = sqlite3.connect("file:/tmp/cold.db?mode=ro", uri=True, timeout=5)
print(json.dumps([began, store.execute("SELECT last_success_at_ms / 1000.0 FROM runs WHERE ticks = 1").fetchone()[0]]))
"""
PEAK = "print(next(line.split()[1] for line in open('/proc/1/status') if line.startswith('VmHWM')))"


def kubectl(*args: str, stdin: str | None = None, is_tried: bool = False) -> str:
    """Return what kubectl printed, empty where a try failed."""
    done = subprocess.run(
        ["kubectl", f"--kubeconfig={KUBECONFIG}", "-n", NAMESPACE, *args],
        input=stdin or "",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode and not is_tried:
        sys.exit(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
    return "" if done.returncode else done.stdout


def cold_pod(number: int) -> dict:
    """Return a pod as cronjob collect makes it, with a store of its own: it waits for nobody's baton."""
    template = json.loads(kubectl("get", "cronjob", "collect", "-o", "json"))["spec"]["jobTemplate"]["spec"]["template"]
    spec = template["spec"] | {"restartPolicy": "Never"}
    container = spec["containers"][0]
    own = [{"name": "LOCO_STORE", "value": "/tmp/cold.db"}, {"name": "LOCO_WINDOW", "value": "60"}]
    container["env"] = [one for one in container["env"] if one["name"] != "LOCO_JOB_NAME"] + own
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"cold-{number}"}, "spec": spec}


def start(number: int) -> tuple[float, float]:
    """Return the seconds from a pod's creation to its first tick, and those of our own process among them."""
    pod = json.dumps(cold_pod(number))
    created = time.time()
    kubectl("create", "-f", "-", stdin=pod)
    end = time.monotonic() + 14  # the second tick comes at 15 s
    try:
        while not (answer := kubectl("exec", f"cold-{number}", "--", "python", "-c", FIRST_TICK, is_tried=True)):
            if time.monotonic() > end:
                sys.exit(f"cold-{number} made no tick within 14 s")
            time.sleep(0.2)
    finally:
        kubectl("delete", "pod", f"cold-{number}", "--grace-period=1", "--wait=false")
    began, ticked = json.loads(answer)
    return ticked - created, ticked - began


def cpu_seconds() -> float:
    """Return the CPU time that our pods have used on all nodes, those that have ended too.

    A kubelet knows the sum over all pods of its node since its start, and each pod that is there; the pods of other
    namespaces stay all the while, so they are taken off.
    """
    total = 0
    for node in kubectl("get", "nodes", "-o", "name").split():
        summary = json.loads(kubectl("get", "--raw", f"/api/v1/{node.replace('node/', 'nodes/')}/proxy/stats/summary"))
        total += sum(
            one["cpu"]["usageCoreNanoSeconds"] for one in summary["node"]["systemContainers"] if one["name"] == "pods"
        )
        others = [pod for pod in summary["pods"] if pod["podRef"]["namespace"] != NAMESPACE]
        total -= sum(pod["cpu"]["usageCoreNanoSeconds"] for pod in others)
    return total / 1e9


def main() -> None:
    """Print a row for the cold start, one for the memory of each command that runs now, one for all our CPU."""
    if not KUBECONFIG.exists():
        print("cluster_start: no cluster (make cluster, then apply overlay dev); left out", file=sys.stderr)
        return
    seconds = [start(number) for number in range(TRIES)]
    whole, own = (statistics.median(one) for one in zip(*seconds, strict=True))
    print(
        f"| pod of `collect` created to first tick | {whole:.2f} s | our process {own:.2f} s of it, median of {TRIES} |"
    )
    for command in ("collect", "discover", "dispatch", "api"):
        labels = f"app.kubernetes.io/component={command}"
        names = kubectl("get", "pods", "-l", labels, "--field-selector=status.phase=Running", "-o", "name").split()
        peaks = [
            int(peak) for name in names if (peak := kubectl("exec", name, "--", "python", "-c", PEAK, is_tried=True))
        ]
        if peaks:
            mebibytes = max(peaks) / 1024
            print(f"| peak memory of `{command}` in its pod | {mebibytes:.0f} MiB | 3 instances, {len(peaks)} pods |")
    before, began = cpu_seconds(), time.monotonic()
    time.sleep(CPU_SECONDS)
    share = (cpu_seconds() - before) / (time.monotonic() - began)
    print(f"| CPU of all our pods, one-minute windows | {share:.2%} of a core | 3 instances, over {CPU_SECONDS} s |")


if __name__ == "__main__":
    main()
