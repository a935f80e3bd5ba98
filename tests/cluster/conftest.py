"""A real cluster of two nodes for the session, with our images in it. KEEP_CLUSTER=1 leaves it running afterwards."""

import os
import subprocess
from pathlib import Path

import kind_tools
import pytest
from kube import Kube
from pytest_kind import KindCluster

ROOT = Path(__file__).parents[2]
NAME = os.environ.get("CLUSTER_NAME", "loco-test")
IMAGES = [f"loco-health/{room}:dev" for room in ("agent", "jobs", "api", "decoy")]
IMAGES_TIMEOUT_SECONDS = 1200
KUBE = pytest.StashKey[Kube]()

# kind's form; localkind counts the workers in it
TWO_NODES = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
- role: worker
"""


@pytest.fixture(scope="session")
def tools() -> kind_tools.KindTools:
    """Return what makes clusters here; where nothing does, the tier is skipped, or fails in CI."""
    try:
        return kind_tools.find()
    except kind_tools.NoClusterHere as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(f"the cluster tier must run in CI: {reason}", pytrace=False)
        pytest.skip(f"no cluster here: {reason}")


@pytest.fixture(scope="session")
def images() -> list[str]:
    """Build our images as a user does."""
    subprocess.run([ROOT / "scripts" / "images"], check=True, timeout=IMAGES_TIMEOUT_SECONDS)
    return IMAGES


@pytest.fixture(scope="session")
def bare_cluster(request, tools, tmp_path_factory) -> KindCluster:
    """Yield the session's cluster without our images; one that KEEP_CLUSTER=1 left is taken up again."""
    folder = tmp_path_factory.mktemp("kind")
    (folder / "two-nodes.yaml").write_text(TWO_NODES)
    cluster = KindCluster(NAME, folder / "kubeconfig", kind_path=tools.kind, kubectl_path=tools.kubectl)
    if NAME in subprocess.check_output([tools.kind, "get", "clusters"], text=True).split():
        found = subprocess.check_output([tools.kind, "get", "kubeconfig", f"--name={NAME}"], text=True)
        cluster.kubeconfig_path.write_text(found)
    try:
        cluster.create(config_file=folder / "two-nodes.yaml")
        request.config.stash[KUBE] = kube = Kube(cluster.kubectl_path, cluster.kubeconfig_path)
        # kind keeps pods off its first node when there are others; localkind doesn't
        kube.try_("taint", "nodes", "--all", "node-role.kubernetes.io/control-plane-")
        yield cluster
    finally:
        if os.environ.get("KEEP_CLUSTER") != "1":
            cluster.delete()


@pytest.fixture(scope="session")
def cluster(bare_cluster, images) -> KindCluster:
    """Return the session's cluster with our images in it."""
    for image in images:
        bare_cluster.load_docker_image(image)
    return bare_cluster


@pytest.fixture(scope="session")
def kube(cluster) -> Kube:
    """Return kubectl for the session's cluster."""
    return Kube(cluster.kubectl_path, cluster.kubeconfig_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the cluster's pods and events beside a test that failed."""
    report = yield
    kube = item.config.stash.get(KUBE, None)
    if report.failed and kube and "bare_cluster" in item.fixturenames:
        for kind, order in (("pods", "--output=wide"), ("events", "--sort-by=.lastTimestamp")):
            report.sections.append((f"kubectl get {kind}", kube.try_("get", kind, "--all-namespaces", order) or ""))
    return report
