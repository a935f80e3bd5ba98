"""OCI image archives: several images in one file, each layer in it once.

Source: OCI image specification 1.1, image-layout.md, manifest.md and config.md.
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_MANIFEST, _CONFIG, _LAYER = (
    f"application/vnd.oci.image.{kind}" for kind in ("manifest.v1+json", "config.v1+json", "layer.v1.tar")
)
_NAME = "io.containerd.image.name"  # the annotation that containerd takes an image's name from


@dataclass(frozen=True)
class Image:
    """An image by its full name. blobs: digest without its algorithm -> file or content, all but the manifest."""

    name: str
    manifest: bytes
    blobs: dict[str, Path | bytes]


def write(archive: Path, images: Sequence[Image]) -> None:
    """Write an archive of these images; it is complete or does not exist."""
    manifests: dict[str, Path | bytes] = {_digest(image.manifest): image.manifest for image in images}
    blobs = {digest: blob for image in images for digest, blob in image.blobs.items()} | manifests
    index = {
        "schemaVersion": 2,
        "manifests": [_described(_MANIFEST, image.manifest) | {"annotations": {_NAME: image.name}} for image in images],
    }
    unfinished = archive.with_suffix(".unfinished")
    with tarfile.open(unfinished, "w") as tar:
        _add(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(tar, "index.json", _json(index))
        for digest, blob in blobs.items():
            _add(tar, f"blobs/sha256/{digest}", blob)
    unfinished.rename(archive)


def of_program(name: str, program: Path) -> Image:
    """Return an image with nothing in it but one static program."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _add(tar, program.name, program.read_bytes(), mode=0o755)
    layer = buffer.getvalue()
    config = _json(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}"]},
        }
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _described(_CONFIG, config),
        "layers": [_described(_LAYER, layer)],
    }
    return Image(name, _json(manifest), {_digest(config): config, _digest(layer): layer})


def of_folder(name: str, folder: Path) -> Image:
    """Return the image that `buildah push dir:FOLDER` wrote: manifest.json, and each blob under its digest."""
    manifest = (folder / "manifest.json").read_bytes()
    document = json.loads(manifest)
    digests = [part["digest"].removeprefix("sha256:") for part in (document["config"], *document["layers"])]
    return Image(name, manifest, {digest: folder / digest for digest in digests})


def _add(tar: tarfile.TarFile, name: str, content: Path | bytes, *, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.mode = mode
    if isinstance(content, bytes):
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    else:
        member.size = content.stat().st_size
        with content.open("rb") as file:
            tar.addfile(member, file)


def _described(kind: str, content: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": f"sha256:{_digest(content)}", "size": len(content)}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
