"""Every command of docs/troubleshooting.md and of the runbooks, run as it stands there."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()

# Where `kubectl loco` is installed: beside this Python.
PLUGIN = Path(sys.executable).parent

# The left column of the table is the old pages'; `make test` runs this test.
COMMANDS = sorted(
    {
        command
        for line in PAGE.splitlines()
        for command in re.findall(
            r"`((?:kubectl|NAMESPACE=)[^`]*)`", line.rpartition("` | ")[2] if line.startswith("| `") else line
        )
    }
)


# What looks at something; what changes something is proven where its effect is.
RUNBOOK_COMMANDS = sorted(
    {
        command
        for page in (ROOT / "docs" / "runbooks").glob("*.md")
        for command in re.findall(r"`(kubectl [^`]*)`", page.read_text().partition("## Mitigation")[0])
    }
)


def run(command: str, deployment) -> subprocess.CompletedProcess[str]:
    path = f"{deployment.kube.path}{os.pathsep}{PLUGIN}"
    environment = os.environ | {"KUBECONFIG": str(deployment.kube.kubeconfig), "PATH": path}
    return subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("command", [one for one in [*COMMANDS, *RUNBOOK_COMMANDS] if "port-forward" not in one])
def test_a_command_of_the_pages_works(command, deployment):
    deployment.wait_healthy(90)
    forget_job(deployment)
    done = run(command, deployment)
    for _ in range(5):
        if "ContainerCreating" not in done.stderr:  # a pod of the next window, which has no log yet
            break
        time.sleep(2)
        done = run(command, deployment)
    forget_job(deployment)

    # nothing to tell yet, nothing to remove, none of that kind, or told to a file
    is_none = "No resources found" in done.stderr or " incidents" in command
    may_be_silent = is_none or any(word in command for word in (" logs ", "--ignore-not-found", " > ", " -o /tmp/"))

    assert (0, True) == (done.returncode, may_be_silent or bool(done.stdout.strip())), done.stderr


def forget_job(deployment) -> None:
    """Remove the Job that a command of the page makes, its pod first."""
    job = ("job", "-n", "loco-health", "once")
    deployment.kube.try_("delete", *job, "--ignore-not-found", "--cascade=foreground")


def test_the_report_is_there_behind_a_port_forward(deployment):
    [command] = [one for one in COMMANDS if "port-forward" in one]
    environment = os.environ | {"KUBECONFIG": str(deployment.kube.kubeconfig), "PATH": deployment.kube.path}
    command = command.replace("8080:8080", ":8080")  # 8080 may be taken on the machine of the tests
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}"], env=environment, stdout=subprocess.PIPE, text=True
    ) as forward:
        try:
            port = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())[1]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=20) as answer:
                report = answer.read().decode()
        finally:
            forward.terminate()

    assert '"qemu_healthy"' in report


def test_the_pages_have_commands():
    assert len(COMMANDS) > 15
    assert len(RUNBOOK_COMMANDS) > 10
