"""The manifests as kubectl renders them, one dict an object."""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]

OVERLAYS = ("dev", "staging", "prod")

# What a site fills in; the addresses are of documentation (RFC 5737), the digest is of no image.
SITE = {
    "CONTROL_PLANE_CIDR": "192.0.2.10/32",
    "API_IMAGE": f"registry.example/loco-health/api@sha256:{'a' * 64}",
    "JOBS_IMAGE": f"registry.example/loco-health/jobs@sha256:{'b' * 64}",
}


class Refused(Exception):
    """Kubectl rendered nothing; holds its words."""


def kubectl() -> str:
    """Return the kubectl of PATH or of the test cluster; without one the test is skipped, or fails in CI."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    built = sorted(map(str, cache.glob("localkind/*/bin/kubectl")))
    if found := shutil.which("kubectl") or (built[-1] if built else None):
        return found
    reason = "no kubectl on PATH, and none was built for the cluster tier"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def rendered(folder: Path) -> list[dict]:
    """Return the objects of a kustomization. Raises: Refused with kubectl's words."""
    done = subprocess.run(
        [kubectl(), "kustomize", folder],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise Refused(done.stderr)
    return list(yaml.safe_load_all(done.stdout))


@functools.cache
def base() -> list[dict]:
    """Return the objects of the base, which are those of every overlay before its own changes."""
    return rendered(ROOT / "kustomize/base")


def overlay(name: str, scratch: Path) -> list[dict]:
    """Return the objects of an overlay, with what a site must say filled in."""
    copied(scratch)
    fill_site(scratch)
    return rendered(scratch / "kustomize/overlays" / name)


def composed(scratch: Path, *components: str, more: str = "") -> list[dict]:
    """Return the base with components, as an overlay of a user's own would put them together. more: YAML of its own."""
    copied(scratch)
    folder = scratch / "kustomize/overlays/own"
    folder.mkdir()
    site = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "site"}, "data": SITE}
    site["metadata"]["annotations"] = {"config.kubernetes.io/local-config": "true"}
    (folder / "site.yaml").write_text(yaml.safe_dump(site))
    kustomization = {
        "resources": ["../../base", "site.yaml"],
        "components": [f"../../components/{name}" for name in components],
        **(yaml.safe_load(more) or {}),
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return rendered(folder)


def copied(scratch: Path) -> None:
    """Copy manifests/ and kustomize/, so that a test may write into them."""
    for name in ("manifests", "kustomize"):
        shutil.copytree(ROOT / name, scratch / name)


def fill_site(scratch: Path) -> None:
    """Uncomment every key of each overlay's site.yaml, with a value of ours."""
    keys = re.compile(rf"^  # ({'|'.join(SITE)}): .*$", re.MULTILINE)
    for path in scratch.glob("kustomize/overlays/*/site.yaml"):
        text, filled = keys.subn(lambda match: f"  {match[1]}: {SITE[match[1]]}", path.read_text())
        assert filled
        path.write_text(text)


def name_of(item: dict) -> str:
    """Return `Kind namespace/name`, without the hash that a generator adds."""
    meta = item["metadata"]
    name = re.sub(r"-[a-z0-9]{10}$", "", meta["name"]) if item["kind"] == "ConfigMap" else meta["name"]
    return f"{item['kind']} {meta['namespace']}/{name}" if "namespace" in meta else f"{item['kind']} {name}"


def find(items: list[dict], name: str) -> dict:
    """Return the one object that `name_of` calls `name`."""
    (found,) = (item for item in items if name_of(item) == name)
    return found


def pod_templates(items: list[dict]) -> Iterator[tuple[str, dict]]:
    """Yield the name and the pod template of each object that makes pods."""
    for item in items:
        spec = item.get("spec", {})
        job = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in job:
            yield name_of(item), job["template"]


def containers(template: dict) -> list[dict]:
    """Return all containers of a pod template, sidecars first."""
    return [*template["spec"].get("initContainers", ()), *template["spec"]["containers"]]


def volumes(template: dict, source: str) -> set[str]:
    """Return the names of the ConfigMaps or Secrets that a pod template mounts. source: configMap or secret."""
    named = (volume[source] for volume in template["spec"].get("volumes", ()) if source in volume)
    return {re.sub(r"-[a-z0-9]{10}$", "", one.get("name") or one["secretName"]) for one in named}


def settings(items: list[dict]) -> dict[str, str]:
    """Return what every pod of ours gets by envFrom."""
    return find(items, "ConfigMap loco-health/loco-settings")["data"]


def changes(before: list[dict], after: list[dict]) -> list[str]:
    """Return what differs, one line each: objects that come or go, and the values that change in the others."""
    old, new = ({name_of(item): item for item in items} for items in (before, after))
    lines = [f"{'+' if name in new else '-'} {name}" for name in sorted(old.keys() ^ new.keys())]
    for name in sorted(old.keys() & new.keys()):
        was, now = dict(_leaves(old[name])), dict(_leaves(new[name]))
        lines += [
            f"~ {name} {path}: {was.get(path, '(none)')} -> {now.get(path, '(none)')}"
            for path in sorted(was.keys() | now.keys())
            if was.get(path) != now.get(path) and not _is_settings_hash(was.get(path), now.get(path))
        ]
    return lines


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and text of each value; an item of a list is called by its name where it has one."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            key = inner.get("name", index) if isinstance(inner, dict) else index
            yield from _leaves(inner, f"{path}[{key}]")
    else:
        yield path, str(value)


def _is_settings_hash(*values: str | None) -> bool:
    return all(value and value.startswith("loco-settings-") for value in values)
