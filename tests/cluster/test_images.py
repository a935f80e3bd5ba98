"""What is in our images and what isn't, seen by hardened pods from inside."""

import json
import os
import subprocess

import kind_tools
import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

NAMESPACE = "images"
ROOMS = ("agent", "jobs", "api")

# MB over the base image, as the issue of the images sets them.
LIMITS = {"agent": 40, "jobs": 110, "api": 40}

# What each image has for the sake of its room, and no other.
PACKAGES = {
    "agent": {"psutil", "pulsectl"},
    "jobs": {"kubernetes", "pycurl", "sqlite_utils"},
    "api": {"prometheus_client", "waitress"},
}

LOOK = """
import importlib, importlib.util, json, os, pkgutil, shutil, struct, sys
from pathlib import Path

room, packages = sys.argv[1], sys.argv[2:]
modules = [room] + [m.name for m in pkgutil.walk_packages(importlib.import_module(room).__path__, room + ".")]
lost = []
for name in modules:
    if not name.endswith("__main__"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            lost.append(str(error))

def is_compiled(source):
    compiled = Path(importlib.util.cache_from_source(source))
    return compiled.exists() and struct.unpack("<I", compiled.read_bytes()[4:8])[0] == 1  # PEP 552: hash, unchecked

def is_writable(folder):
    try:
        Path(folder, "new").touch()
    except OSError:
        return False
    return True

sources = [p for place in ("/app", "/opt/loco/lib") for p in Path(place).rglob("*.py")]
print(json.dumps({
    "uid": os.getuid(),
    "lost": lost,
    "packages": sorted(name for name in packages if importlib.util.find_spec(name)),
    "rooms": sorted(p.name for p in Path("/app").iterdir()),
    "has_decoy": Path("/app/agent/decoy").exists(),
    "uncompiled": [str(p) for p in sources if not is_compiled(p)],
    "tools": [name for name in ("cc", "gcc", "make", "git", "pip", "pip3") if shutil.which(name)],
    "has_pip": importlib.util.find_spec("pip") is not None,
    "has_aio": any(Path("/opt/loco/lib").rglob("kubernetes/aio")),
    "writable": [f for f in ("/", "/app", "/opt/loco", "/tmp") if is_writable(f)],
    "secrets": [f for f in ("/etc/pip.conf", "/run/secrets/pip.conf", "/run/secrets/ca.crt") if Path(f).exists()],
    "health_monitor": [shutil.which("health-monitor.sh"), os.access("/health-monitor.sh", os.X_OK)],
}))
"""


def pod(room: str) -> dict:
    """Return a pod that looks around in an image, as hardened as ours are."""
    names = sorted({"aiohttp", *(name for names in PACKAGES.values() for name in names)})
    container = {
        "name": "look",
        "image": f"loco-health/{room}:dev",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", LOOK, room, *names],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": room, "namespace": NAMESPACE},
        "spec": {
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        },
    }


@pytest.fixture(scope="module")
def seen(kube) -> dict[str, dict]:
    """Return what a pod of each room's image saw."""
    rules = {"pod-security.kubernetes.io/enforce": "restricted"}
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": rules}})
    kube.wait_until(lambda: kube.try_("get", "serviceaccount", "default", f"--namespace={NAMESPACE}"), 20, "an account")
    try:
        kube.apply(*map(pod, ROOMS))
        kube(
            "wait",
            "pod",
            "--all",
            f"--namespace={NAMESPACE}",
            "--for=jsonpath={.status.phase}=Succeeded",
            "--timeout=60s",
        )
        return {room: json.loads(kube("logs", room, f"--namespace={NAMESPACE}")) for room in ROOMS}
    finally:
        kube("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_everything_that_it_imports(seen, room):
    assert [] == seen[room]["lost"]


def test_an_image_holds_its_own_room_and_what_is_upstream(seen):
    assert {"agent": ["agent"], "jobs": ["agent", "jobs"], "api": ["agent", "api", "jobs"]} == {
        room: seen[room]["rooms"] for room in ROOMS
    }
    assert not any(seen[room]["has_decoy"] for room in ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_an_image_has_only_its_own_rooms_packages(seen, room):
    assert sorted(PACKAGES[room]) == seen[room]["packages"]


@pytest.mark.parametrize("room", ROOMS)
def test_an_image_has_no_pip_no_compiler_and_nothing_of_the_machine_that_built_it(seen, room):
    found = seen[room]

    assert (False, False, [], []) == (found["has_pip"], found["has_aio"], found["tools"], found["secrets"])


@pytest.mark.parametrize("room", ROOMS)
def test_everything_is_compiled_and_never_compared_with_its_source(seen, room):
    assert [] == seen[room]["uncompiled"]


@pytest.mark.parametrize("room", ROOMS)
def test_the_user_is_a_numbered_one_that_can_write_nothing(seen, room):
    assert (65532, []) == (seen[room]["uid"], seen[room]["writable"])


def test_the_old_pages_command_is_where_they_say_and_on_path(seen):
    assert ["/usr/local/bin/health-monitor.sh", True] == seen["agent"]["health_monitor"]


def test_no_image_is_larger_than_it_may_be(images):
    over_base = {room: images[f"loco-health/{room}:dev"] for room in LIMITS}

    assert {} == {room: over for room, over in over_base.items() if over > LIMITS[room]}


@pytest.mark.parametrize("room", [*ROOMS, "decoy"])
def test_an_image_says_what_it_is(images, room):
    if kind_tools.docker_answers():
        command = ["docker", "image", "inspect", "--format={{json .Config}}", f"loco-health/{room}:dev"]
    else:
        command = ["buildah", "inspect", "--type=image", f"docker.io/loco-health/{room}:dev"]
    environment = {**os.environ, "STORAGE_DRIVER": os.environ.get("STORAGE_DRIVER", "overlay")}
    told = json.loads(subprocess.check_output(command, env=environment, text=True))
    labels = told.get("OCIv1", {}).get("config", told)["Labels"]
    said = {key.rpartition(".")[2]: text for key, text in labels.items() if key.startswith("org.opencontainers.image.")}

    assert {"title", "description", "version", "revision"} <= set(said)
    assert (f"loco-health {room}", True) == (said["title"], all(said.values()))
