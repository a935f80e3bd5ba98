"""A real cluster of two nodes for the session, with our images in it; KEEP_CLUSTER=1 leaves it for the next session."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import kind_tools
import pytest
from deployment import Deployment
from kube import Kube
from pytest_kind import KindCluster
from recovering import Recovery

ROOT = Path(__file__).parents[2]
# Not CLUSTER_NAME, which is a developer's own cluster: this one is deleted.
NAME = os.environ.get("TEST_CLUSTER_NAME", "loco-test")
KEEPS = os.environ.get("KEEP_CLUSTER") == "1"
KUBE = pytest.StashKey[Kube]()


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
def images(tools) -> dict[str, int]:
    """Build our images, and return their names and sizes; only where there is a cluster to put them in."""
    return kind_tools.build_images()


@pytest.fixture(scope="session")
def bare_cluster(request, tools, tmp_path_factory) -> KindCluster:
    """Yield the session's cluster without our images; what a killed session left is removed first: its pods are old."""
    folder = tmp_path_factory.mktemp("kind")
    (folder / "two-nodes.yaml").write_text(kind_tools.TWO_NODES)
    cluster = KindCluster(NAME, folder / "kubeconfig", kind_path=tools.kind, kubectl_path=tools.kubectl)
    if NAME in tools.clusters() and KEEPS:
        cluster.kubeconfig_path.write_text(tools.kubeconfig(NAME))
    elif NAME in tools.clusters():
        cluster.delete()
    try:
        cluster.create(config_file=folder / "two-nodes.yaml")
        request.config.stash[KUBE] = kube = Kube(cluster.kubectl_path, cluster.kubeconfig_path)
        # kind keeps pods off its first node when there are others; localkind doesn't
        kube.try_("taint", "nodes", "--all", "node-role.kubernetes.io/control-plane-")
        yield cluster
    finally:
        if not KEEPS:
            cluster.delete()


@pytest.fixture(scope="session")
def cluster(bare_cluster, tools, images) -> KindCluster:
    """Return the session's cluster with our images in it."""
    subprocess.run(
        [tools.kind, "load", "docker-image", f"--name={NAME}", *images], check=True
    )  # all at once: they share layers
    return bare_cluster


@pytest.fixture(scope="session")
def kube(cluster) -> Kube:
    """Return kubectl for the session's cluster."""
    return Kube(cluster.kubectl_path, cluster.kubeconfig_path)


def pytest_itemcollected(item):
    """Measure a test's own time alone: to make the cluster may take longer than a test, and has limits of its own."""
    marker = item.get_closest_marker("timeout")
    seconds = marker.args[0] if marker else float(item.config.getini("timeout"))
    item.add_marker(pytest.mark.timeout(seconds, func_only=True), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the cluster's pods and events beside a test that failed."""
    report = yield
    kube = item.config.stash.get(KUBE, None)
    if report.failed and kube and "bare_cluster" in item.fixturenames:
        for kind, order in (("pods", "--output=wide"), ("events", "--sort-by=.lastTimestamp")):
            report.sections.append((f"kubectl get {kind}", kube.try_("get", kind, "--all-namespaces", order) or ""))
    return report


@pytest.fixture(scope="session")
def deployment(kube) -> Deployment:
    """Apply overlay `dev` as it is typed in the README, and return it once every decoy reads healthy.

    It only watches, so that what a test breaks stays broken until it heals it; test_recovery.py lets it act.
    """
    deployed = Deployment(kube, str(ROOT / "kustomize" / "overlays" / "dev"))
    deployed.apply()
    Recovery(deployed).switch(recovery="off")
    return deployed


@pytest.fixture
def network_policy(deployment, tmp_path) -> Iterator[Deployment]:
    """Put the component `network-policy` over the deployment for one test, told the address of this API server."""
    kube = deployment.kube
    server = kube.get("endpointslice", "kubernetes", namespace="default")["endpoints"][0]["addresses"][0]
    site = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "site", "annotations": {"config.kubernetes.io/local-config": "true"}},
        "data": {"CONTROL_PLANE_CIDR": f"{server}/32"},
    }
    kustomization = {
        "resources": [os.path.relpath(deployment.overlay, tmp_path), "site.json"],
        "components": [os.path.relpath(ROOT / "kustomize" / "components" / "network-policy", tmp_path)],
    }
    (tmp_path / "site.json").write_text(json.dumps(site))
    (tmp_path / "kustomization.yaml").write_text(json.dumps(kustomization))
    kube("apply", "-k", str(tmp_path))
    try:
        yield deployment
    finally:
        kube("delete", "networkpolicy", "--all", "-n", "loco-health")
