"""Recovery in a cluster as its owner sees it: faults that heal with no hand on them, and the ledger that tells how."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployment import INSTANCES, OURS, Deployment

VIEWER = Path(__file__).with_name("viewer.py")
HEAL_SECONDS = 120


def instance_of(pod: str) -> str:
    """Return the public id of a pod's instance."""
    return f"instance-{pod.rpartition('-')[2]}"


def key_of(instance: str) -> str:
    """Return the key of a public id."""
    return f"{INSTANCES}/loco-emulator-{instance.rpartition('-')[2]}"


class Recovery:
    """The acting half of one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment, self.kube = deployment, deployment.kube

    def switch(self, **data: str) -> None:
        """Make ConfigMap `loco-control` say exactly this; underscores stand for the keys' hyphens."""
        self.kube.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "loco-control", "namespace": OURS},
                "data": {key.replace("_", "-"): value for key, value in data.items()},
            }
        )

    def wait_switched(self, value: str) -> None:
        """Wait until every running collector has the switch `recovery` so: kubelet brings a ConfigMap when it will."""
        read = ("python", "-c", "print(open('/etc/loco/control/recovery').read(), end='')")

        def has_arrived() -> bool:
            pods = self._running("collect")
            said = [self.kube.try_("exec", "-n", OURS, pod, "--", *read) for pod in pods]
            return bool(pods) and {value} == set(said)

        self.kube.wait_until(has_arrived, 180, f"the collectors to know that recovery is {value}")

    def scale(self, replicas: int) -> None:
        """Have so many decoys, all healthy, each with the key that was made for it beforehand."""
        self.deployment.pods = [f"loco-emulator-{ordinal}" for ordinal in range(replicas)]
        self.kube("scale", "-n", INSTANCES, "statefulset/loco-emulator", f"--replicas={replicas}")
        self.kube.wait_until(self._has_keys, 180, "every instance to have its key", told=self.deployment.told)

    def _has_keys(self) -> bool:
        """Tell whether every instance is healthy and its agent would act."""
        fleet = self.deployment.deep_health()
        reports = [one["deepHealth"] for one in fleet.values() if one["overallStatus"] == "healthy"]
        can_act = [report for report in reports if report and report["actions"]["can"]]
        return len(can_act) == len(self.deployment.pods)

    def last_id(self) -> int:
        """Return the id of the newest attempt, 0 for none."""
        return self.deployment.query("SELECT coalesce(max(id), 0) FROM attempts")[0][0]

    def attempts(self, instance: str, *, after: int = 0) -> list[dict]:
        """Return an instance's attempts since one, oldest first."""
        rows = self.deployment.query(
            "SELECT id, action, state, coalesce(outcome, ''), detail, origin, coalesce(job, ''), acted_ms IS NOT NULL,"
            " has_evidence, coalesce(incident, '') FROM attempts WHERE key = ? AND id > ? ORDER BY id",
            key_of(instance),
            after,
        )
        names = ("id", "action", "state", "outcome", "detail", "origin", "job", "acted", "evidence", "incident")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def plan(self, instance: str) -> dict | None:
        """Return the plan for an instance's open incident."""
        rows = self.deployment.query("SELECT plan FROM plans WHERE key = ?", key_of(instance))
        return json.loads(rows[0][0]) if rows else None

    def told(self) -> str:
        """Return verdicts, plans and attempts, for a test that waited in vain."""
        plans = self.deployment.query("SELECT key, plan FROM plans")
        attempts = self.deployment.query(
            "SELECT id, key, action, state, outcome, detail FROM attempts ORDER BY id DESC LIMIT 8"
        )
        return "\n".join([self.deployment.told(), *map(str, plans), *map(str, attempts)])

    def wait_quiet(self) -> None:
        """Wait until no incident is open: a brake is one, and stands for 300 s after too many were ill at once."""
        self.deployment.wait_healthy(HEAL_SECONDS)
        self.kube.wait_until(
            lambda: self.deployment.get("/api/incidents?state=open") == [], 360, "no open incident", told=self.told
        )

    def heals(self, faults: dict[str, tuple[str, ...]], seconds: float = HEAL_SECONDS) -> dict[str, float]:
        """Cause each pod's faults and touch nothing; return by pod the seconds until it is healthy again."""
        codes = {}
        caused_at = {}
        for pod, names in faults.items():
            for name in names:
                self.deployment.decoy(pod, "fault", name)
            caused_at[pod] = time.monotonic()
        sick: set[str] = set()
        healed: dict[str, float] = {}

        def all_healed() -> bool:
            fleet = self.deployment.deep_health()
            for pod in faults:
                one = fleet.get(instance_of(pod))
                if one is None or pod in healed:
                    continue
                codes.setdefault(pod, set()).update(reason["code"] for reason in one["reasons"])
                if one["overallStatus"] in ("unhealthy", "degraded", "unreachable"):
                    sick.add(pod)
                elif one["overallStatus"] == "healthy" and pod in sick:
                    healed[pod] = round(time.monotonic() - caused_at[pod], 1)
            return set(healed) == set(faults)

        self.kube.wait_until(all_healed, seconds, f"{faults} to heal by itself", told=self.told)
        return healed

    def wait_attempt(self, instance: str, *, after: int, seconds: float) -> dict:
        """Wait for the end of an attempt and return it."""

        def ended() -> dict | None:
            return next((one for one in self.attempts(instance, after=after) if one["state"] == "ended"), None)

        return self.kube.wait_until(ended, seconds, f"an attempt on {instance} to end", told=self.told)

    def wait_hold(self, instance: str, hold: str, seconds: float) -> dict:
        """Wait until a plan is held back for a reason, and return it."""

        def held() -> dict | None:
            plan = self.plan(instance)
            return plan if plan and plan["hold"] == hold else None

        return self.kube.wait_until(held, seconds, f"{instance} to be held by {hold}", told=self.told)

    def audit(self) -> str:
        """Return what `python -m jobs audit` proves of the store, run where the store is mounted."""
        return self.deployment.execute("collect", "python", "-m", "jobs", "audit")

    def _running(self, component: str) -> list[str]:
        """Return the names of a component's pods that run."""
        pods = self.kube.get("pods", f"--selector=app.kubernetes.io/component={component}", namespace=OURS)["items"]
        return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]

    @contextmanager
    def viewer(self, pod: str) -> Iterator[subprocess.Popen[str]]:
        """Keep a person's VNC session open for the block, and prove that it paints."""
        forward = self.kube.start("port-forward", "-n", INSTANCES, f"pod/{pod}", ":5901")
        assert forward.stdout
        port = forward.stdout.readline().partition("127.0.0.1:")[2].partition(" ")[0]
        viewer = subprocess.Popen(
            [sys.executable, str(VIEWER), "127.0.0.1", port],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert viewer.stdout
            assert "painted\n" == viewer.stdout.readline()
            yield viewer
        finally:
            for process in (viewer, forward):
                process.terminate()
                process.communicate()
