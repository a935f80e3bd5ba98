"""Which programs make the cluster of the tests: kind where Docker answers, localkind elsewhere; and what it is to hold.

Needs nothing beside the standard library: `scripts/cluster` runs it with the system's Python.
"""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCALKIND = ROOT / "tests" / "cluster" / "localkind" / "localkind"

# kind's form; localkind counts the workers in it
TWO_NODES = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
- role: worker
"""


class NoClusterHere(Exception):
    """Why this machine can have no cluster, as one line."""


@dataclass(frozen=True)
class KindTools:
    """kind, or what answers for it, and kubectl."""

    kind: Path
    kubectl: Path

    def clusters(self) -> list[str]:
        """Return the names of the clusters that run."""
        return subprocess.check_output([self.kind, "get", "clusters"], text=True).split()

    def kubeconfig(self, name: str) -> str:
        """Return the kubeconfig of a cluster that runs."""
        return subprocess.check_output([self.kind, "get", "kubeconfig", f"--name={name}"], text=True)


def find() -> KindTools:
    """Return the tools, built where that was not done before; localkind tells on stderr what it builds."""
    if tools := with_docker():
        return tools
    if not shutil.which("buildah") and not docker_answers():
        raise NoClusterHere("there is nothing to build our images with; install the Debian package buildah")
    last = "`localkind build` failed without a word"
    with subprocess.Popen([LOCALKIND, "build"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as build:
        for line in build.stderr:
            print(last := line.strip(), file=sys.stderr, flush=True)
        folder = build.stdout.read().strip()
    if build.returncode:
        raise NoClusterHere(last)
    return KindTools(LOCALKIND, Path(folder) / "kubectl")


def build_images() -> dict[str, int]:
    """Build our images as a user does, and return by how many MB each is larger than its base."""
    command = ROOT / "scripts" / "images"
    sizes = {}
    with subprocess.Popen([command], stdout=subprocess.PIPE, text=True) as build:
        for line in build.stdout:
            print(line, end="", file=sys.stderr, flush=True)
            if row := re.fullmatch(r"\| (\S+) \| \d+ \| (\d+) \|", line.strip()):
                sizes[row[1]] = int(row[2])
    if build.returncode:
        raise subprocess.CalledProcessError(build.returncode, [command])
    return sizes


def with_docker() -> KindTools | None:
    """Return kind and kubectl where both are there and Docker answers."""
    kind, kubectl = shutil.which("kind"), shutil.which("kubectl")
    return KindTools(Path(kind), Path(kubectl)) if kind and kubectl and docker_answers() else None


def docker_answers() -> bool:
    """Tell whether there is an engine: a client alone is no Docker."""
    if not shutil.which("docker"):
        return False
    try:
        return not subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False).returncode
    except subprocess.TimeoutExpired:
        return False
