"""Go modules -> programs, built once and kept outside the checkout."""

import fcntl
import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from localkind import shell
from localkind.errors import LocalkindError

HERE = Path(__file__).resolve().parent
BUILD_TIMEOUT_SECONDS = 1800.0  # measured: 9 minutes with nothing cached on 2 cores
KUBERNETES = "v1.36.3"


@dataclass(frozen=True)
class Module:
    """One folder with go.mod and go.sum; `packages` is what `go install` is given."""

    folder: str
    packages: str
    linker_flags: str = ""
    tags: str = ""


def _version_stamp() -> str:
    """Return what the usual build takes from git; kubectl and API server refuse to work without a version."""
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    values = {"gitVersion": KUBERNETES, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    values |= {"buildDate": "2026-01-01T00:00:00Z", "gitCommit": "0" * 40}
    return " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in values.items())


MODULES = (
    Module("kubernetes", "tool", linker_flags=_version_stamp()),
    Module("containerd", "tool", tags="no_btrfs,no_zfs,no_devmapper"),
    Module("policy", "tool"),
    Module("images", "./..."),
)


def folder() -> Path:
    """Return the folder of the programs for these sources; it is complete or does not exist."""
    return cache() / _digest() / "bin"


def cache() -> Path:
    """Return where programs and images are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "localkind"


def build() -> Path:
    """Return the folder of the programs, after building them where that was not done before."""
    target = folder()
    if target.is_dir():
        return target
    if not shutil.which("go"):
        raise LocalkindError(
            "`go` is not on PATH and the programs are not built yet; install Go from https://go.dev/dl"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with (cache() / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _build_into(target)
    return target


def _build_into(target: Path) -> None:
    scratch = target.parent / "unfinished"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for module in MODULES:
        print(f"localkind: building {module.folder} (first time only)", file=sys.stderr, flush=True)
        _install(module, scratch)
    (scratch / "server").rename(scratch / "etcd")  # go.etcd.io/etcd/server names its program after its folder
    scratch.rename(target)


def _install(module: Module, target: Path) -> None:
    environment = os.environ | {"GOBIN": str(target), "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    flags = [f"-ldflags=-s -w {module.linker_flags}".rstrip(), f"-tags={module.tags}"]
    shell.run(
        "go",
        "install",
        *flags,
        module.packages,
        cwd=HERE / module.folder,
        environment=environment,
        timeout_seconds=BUILD_TIMEOUT_SECONDS,
    )


def _digest() -> str:
    digest = hashlib.sha256(repr(MODULES).encode())
    for module in MODULES:
        sources = sorted(p for p in (HERE / module.folder).rglob("*") if p.suffix in {".mod", ".sum", ".go"})
        for source in sources:
            digest.update(f"{source.relative_to(HERE)}\n".encode() + source.read_bytes())
    return digest.hexdigest()[:16]
