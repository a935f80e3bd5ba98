"""Five-minute windows while nobody starts Jobs: the controller-manager hangs across an edge, and no tick is lost."""

import json
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deployment import OURS, gaps_seconds
from machine import STATE

pytestmark = [pytest.mark.cluster, pytest.mark.soak, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
WINDOW_SECONDS, HUNG_SECONDS, GAP_SECONDS = 300, 180, 16


@pytest.fixture
def five_minute_windows(deployment, tmp_path):
    """Give the deployment the base's windows for one test."""
    folder = ROOT / "kustomize"
    parts = {
        "resources": [os.path.relpath(folder / "base", tmp_path)],
        "components": [os.path.relpath(folder / "components" / "decoys", tmp_path)],
    }
    (tmp_path / "kustomization.yaml").write_text(json.dumps(parts))
    deployment.kube("apply", "-k", str(tmp_path))
    yield deployment
    deployment.kube("apply", "-k", deployment.overlay)


def test_a_hung_controller_manager_across_an_edge_costs_no_tick(cluster, five_minute_windows):
    pid_file = STATE / cluster.name / "node0" / "kube-controller-manager.pid"
    if not pid_file.exists():
        pytest.skip("only localkind's controller-manager can be stopped")
    deployment, kube = five_minute_windows, five_minute_windows.kube
    _sleep_until_before_edge(WINDOW_SECONDS)  # the first run of five minutes begins at the next edge
    time.sleep(90)
    began_ms = int(datetime.now(UTC).timestamp() * 1000)
    pid = int(pid_file.read_text())
    _sleep_until_before_edge(WINDOW_SECONDS)
    os.kill(pid, signal.SIGSTOP)
    try:
        kube("create", "job", "-n", OURS, "while-hung", "--from=cronjob/collect")
        time.sleep(HUNG_SECONDS)
    finally:
        os.kill(pid, signal.SIGCONT)
    kube("wait", "-n", OURS, "job/while-hung", "--for=condition=complete", "--timeout=120s")
    kube("delete", "job", "-n", OURS, "while-hung")
    time.sleep(60)
    ticks = deployment.ticks(since_ms=began_ms)
    numbers = [number for number, _ in ticks]
    print(f"\nlargest gap {max(gaps_seconds(ticks)):.1f} s of {len(ticks)} ticks")

    assert list(range(numbers[0], numbers[0] + len(numbers))) == numbers
    assert max(gaps_seconds(ticks)) <= GAP_SECONDS


def _sleep_until_before_edge(window_seconds: int) -> None:
    """Sleep until a minute before the next edge of the windows."""
    time.sleep((-60 - time.time()) % window_seconds)
