"""Images: the two of our own, and how images get into a node."""

import hashlib
import io
import json
import platform
import shutil
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from localkind import binaries, needs, shell
from localkind.layout import Cluster, Node

PAUSE = "docker.io/localkind/pause:1"
COREDNS = "docker.io/localkind/coredns:1"
LOAD_TIMEOUT_SECONDS = 300.0
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class _OwnImage:
    name: str
    program: str


_OWN = (_OwnImage(PAUSE, "pause"), _OwnImage(COREDNS, "coredns"))


def own_archives() -> list[Path]:
    """Return the archives of the images that no registry has, made where that was not done before."""
    return [_archive(image) for image in _OWN]


def load(node: Node, archive: Path) -> None:
    """Give the images of a docker-archive to the node."""
    arguments = ("--address", node.containerd_socket, "--namespace", "k8s.io", "images", "import", archive)
    shell.run(binaries.folder() / "ctr", *arguments, timeout_seconds=LOAD_TIMEOUT_SECONDS)


def load_into_all(cluster: Cluster, archive: Path) -> None:
    """Give the images of a docker-archive to all nodes at once."""
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda node: load(node, archive), cluster.nodes))


def load_by_name(cluster: Cluster, image: str) -> None:
    """Give an image of Docker's or buildah's local storage to all nodes, under the name that a pod's `image:` means.

    An image that the cluster has as it is now is not given again.
    """
    in_docker = shutil.which("docker") and not shell.attempt("docker", "image", "inspect", image).returncode
    identity = _docker_identity(image) if in_docker else _buildah_identity(image)
    loaded = cluster.folder / "images" / quote(full_name(image), safe="")
    if loaded.exists() and loaded.read_text() == identity:
        return
    with tempfile.TemporaryDirectory(dir=cluster.folder) as scratch:
        archive = Path(scratch) / "image.tar"
        docker, buildah = ("docker", "save", "--output", str(archive)), ("buildah", "push", "--quiet")
        command = [*docker, image] if in_docker else [*buildah, image, f"docker-archive:{archive}:{full_name(image)}"]
        shell.run(*command, timeout_seconds=LOAD_TIMEOUT_SECONDS)
        load_into_all(cluster, archive)
    loaded.parent.mkdir(exist_ok=True)
    loaded.write_text(identity)


def _docker_identity(image: str) -> str:
    return shell.run("docker", "image", "inspect", "--format={{.Id}}", image)


def _buildah_identity(image: str) -> str:
    needs.check_program("buildah", package="buildah")
    return shell.run("buildah", "inspect", "--type=image", "--format={{.FromImageID}}", image)


def full_name(image: str) -> str:
    """Return the name with registry and tag, as Kubernetes completes it.

    >>> full_name("loco-health/agent:dev"), full_name("busybox"), full_name("localhost/a:1")
    ('docker.io/loco-health/agent:dev', 'docker.io/library/busybox:latest', 'localhost/a:1')
    """
    first, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif not ("." in first or ":" in first or first == "localhost"):
        image = f"docker.io/{image}"
    return image if ":" in image.rpartition("/")[2] else f"{image}:latest"


def _archive(image: _OwnImage) -> Path:
    """Write a docker-archive of one layer with one static program in it.

    Source: the format that `docker save` writes, github.com/moby/docker-image-spec, v1.2, "Combined image JSON".
    """
    archive = binaries.folder().parent / f"{image.program}.tar"
    if archive.exists():
        return archive
    layer = _tar({image.program: (binaries.folder() / image.program).read_bytes()})
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": [f"/{image.program}"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [image.name], "Layers": ["layer.tar"]}]
    parts = {"config.json": _json(config), "layer.tar": layer, "manifest.json": _json(manifest)}
    unfinished = archive.with_suffix(".unfinished")
    unfinished.write_bytes(_tar(parts))
    unfinished.rename(archive)
    return archive


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
