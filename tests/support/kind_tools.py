"""Which programs make the cluster of the tests: kind where Docker answers, localkind elsewhere."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCALKIND = ROOT / "tests" / "cluster" / "localkind" / "localkind"
BUILD_TIMEOUT_SECONDS = 1800


class NoClusterHere(Exception):
    """Why this machine can have no cluster, as one line."""


@dataclass(frozen=True)
class KindTools:
    """kind, or what answers for it, and kubectl."""

    kind: Path
    kubectl: Path


def find() -> KindTools:
    """Return the tools, built where that was not done before."""
    kind, kubectl = shutil.which("kind"), shutil.which("kubectl")
    if kind and kubectl and docker_answers():
        return KindTools(Path(kind), Path(kubectl))
    try:
        done = subprocess.run(
            [LOCALKIND, "build"], capture_output=True, text=True, timeout=BUILD_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise NoClusterHere(f"localkind: its programs were not built within {BUILD_TIMEOUT_SECONDS} s") from None
    if done.returncode:
        raise NoClusterHere((done.stderr.strip() or "localkind build failed and said nothing").splitlines()[-1])
    return KindTools(LOCALKIND, Path(done.stdout.strip()) / "kubectl")


def docker_answers() -> bool:
    """Tell whether there is an engine: a client alone is no Docker."""
    if not shutil.which("docker"):
        return False
    return not subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False).returncode
