"""Images: the two of our own, and how images get into a node."""

import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from localkind import archives, binaries, needs, shell
from localkind.layout import Cluster, Node

PAUSE = "docker.io/localkind/pause:1"
COREDNS = "docker.io/localkind/coredns:1"
LOAD_TIMEOUT_SECONDS = 300.0


def own_archive() -> Path:
    """Return the archive of the images that no registry has, made where that was not done before."""
    programs = binaries.folder()
    archive = programs.parent / "images.tar"
    if not archive.exists():
        own = ((PAUSE, "pause"), (COREDNS, "coredns"))
        archives.write(archive, [archives.of_program(name, programs / program) for name, program in own])
    return archive


def load(node: Node, archive: Path) -> None:
    """Give the images of an archive, docker's or OCI's, to the node."""
    arguments = ("--address", node.containerd_socket, "--namespace", "k8s.io", "images", "import", archive)
    shell.run(binaries.folder() / "ctr", *arguments, timeout_seconds=LOAD_TIMEOUT_SECONDS)


def load_into_all(cluster: Cluster, archive: Path) -> None:
    """Give the images of an archive to all nodes at once."""
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda node: load(node, archive), cluster.nodes))


def load_by_name(cluster: Cluster, images: Sequence[str]) -> None:
    """Give images of Docker's or buildah's local storage to all nodes, under the names that a pod's `image:` means.

    An image that the cluster has as it is now is not given again.
    """
    in_docker = bool(shutil.which("docker")) and not shell.attempt("docker", "image", "inspect", *images).returncode
    identify, save = (_docker_identity, _save_from_docker) if in_docker else (_buildah_identity, _save_from_buildah)
    identities = {image: identify(image) for image in images}
    missing = [image for image in images if _loaded(cluster, image) != identities[image]]
    if not missing:
        return
    with tempfile.TemporaryDirectory(dir=cluster.folder) as scratch:
        save(missing, Path(scratch))
        load_into_all(cluster, Path(scratch) / "images.tar")
    for image in missing:
        _mark(cluster, image).parent.mkdir(exist_ok=True)
        _mark(cluster, image).write_text(identities[image])


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


def _docker_identity(image: str) -> str:
    return shell.run("docker", "image", "inspect", "--format={{.Id}}", image)


def _save_from_docker(images: Sequence[str], folder: Path) -> None:
    output = f"--output={folder / 'images.tar'}"
    shell.run("docker", "save", output, *images, timeout_seconds=LOAD_TIMEOUT_SECONDS)


def _buildah_identity(image: str) -> str:
    needs.check_program("buildah", package="buildah")
    return shell.run("buildah", "inspect", "--type=image", "--format={{.FromImageID}}", image)


def _save_from_buildah(images: Sequence[str], folder: Path) -> None:
    saved = []
    for number, image in enumerate(images):
        target = folder / str(number)
        shell.run(
            "buildah",
            "push",
            "--quiet",
            "--disable-compression",
            image,
            f"dir:{target}",
            timeout_seconds=LOAD_TIMEOUT_SECONDS,
        )
        saved.append(archives.of_folder(full_name(image), target))
    archives.write(folder / "images.tar", saved)


def _mark(cluster: Cluster, image: str) -> Path:
    return cluster.folder / "images" / quote(full_name(image), safe="")


def _loaded(cluster: Cluster, image: str) -> str | None:
    mark = _mark(cluster, image)
    return mark.read_text() if mark.exists() else None
