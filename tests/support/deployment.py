"""loco-health as a user deploys it: an overlay applied to a cluster, asked through the API server's service proxy."""

import json
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from kube import Kube

from jobs.health.policy import Policy

OURS, INSTANCES = "loco-health", "loco"
API = f"/api/v1/namespaces/{OURS}/services/http:loco-api:3000/proxy"


class Deployment:
    """One overlay in one cluster. kube: how the cluster is asked. pods: names of the instances' pods."""

    def __init__(self, kube: Kube, overlay: str, *, replicas: int = 3) -> None:
        self.kube, self.overlay = kube, overlay
        self.pods = [f"loco-emulator-{ordinal}" for ordinal in range(replicas)]
        self.healthy_seconds: float | None = None

    def apply(self) -> None:
        """Apply the overlay as typed in the README, and note how long it takes until every instance reads healthy."""
        began = time.monotonic()
        self.kube("apply", "-k", self.overlay)
        self.wait_healthy(180)
        self.healthy_seconds = time.monotonic() - began

    def get(self, path: str):
        """Return the JSON that our API answers; None while it can't be asked."""
        answer = self.kube.try_("get", "--raw", f"{API}{path}")
        return None if answer is None else json.loads(answer)

    def deep_health(self) -> dict:
        """Return what the API says of each instance, by public id."""
        return self.get("/api/quality/deep-health") or {}

    def wait_healthy(self, seconds: float) -> dict:
        """Wait until every instance reads healthy, also the pods of now and not those before, and return the answer."""

        def healthy() -> dict | None:
            fleet = self.deep_health()
            good = {one["kubernetes"].get("uid") for one in fleet.values() if one["overallStatus"] == "healthy"}
            is_told = len(good) == len(self.pods) == len(fleet)
            return fleet if is_told and good <= self._ready() else None

        return self.kube.wait_until(healthy, seconds, "every instance to read healthy", told=self.told)

    def wait_grown(self) -> None:
        """Wait until no pod is so young that what ails it reads as its start."""
        limit = timedelta(seconds=Policy().pod_start_seconds)

        def are_grown() -> bool:
            began = [one["kubernetes"]["since"] for one in self.deep_health().values()]
            return bool(began) and all(at and datetime.now(UTC) - datetime.fromisoformat(at) > limit for at in began)

        self.kube.wait_until(are_grown, limit.total_seconds() + 30, "every pod to be past its start")

    def _ready(self) -> set[str]:
        """Return the uids of the pods whose containers all run."""
        pods = self.kube.get("pods", namespace=INSTANCES)["items"]
        states = {pod["metadata"]["uid"]: pod["status"].get("containerStatuses", []) for pod in pods}
        return {uid for uid, containers in states.items() if containers and all(one["ready"] for one in containers)}

    def told(self) -> str:
        """Return one line an instance: verdict, class and reasons."""
        return "\n".join(f"{name}: {told(one)}" for name, one in self.deep_health().items()) or "nothing is listed"

    def wait_told(self, instance: str, code: str, seconds: float) -> dict:
        """Wait until a reason is told of an instance, and return its deep health."""

        def seen() -> dict | None:
            one = self.deep_health().get(instance)
            return one if one and code in [reason["code"] for reason in one["reasons"]] else None

        return self.kube.wait_until(seen, seconds, f"{instance} to be told {code}", told=self.told)

    def decoy(self, pod: str, *words: str) -> str:
        """Run `python -m agent decoy ...` in an instance's pod, as docs say, and return what it printed."""
        return self.kube("exec", "-n", INSTANCES, pod, "--", "python", "-m", "agent", "decoy", *words)

    def running(self, component: str) -> str:
        """Return the name of the pod of ours that started last: an older one may be about to end."""

        def alive() -> list[dict]:
            pods = self.kube.get("pods", f"--selector=app.kubernetes.io/component={component}", namespace=OURS)["items"]
            return [pod for pod in pods if pod["status"]["phase"] == "Running"]

        pods = self.kube.wait_until(alive, 30, f"a pod of {component} to run")
        return max(pods, key=lambda pod: pod["metadata"]["creationTimestamp"])["metadata"]["name"]

    def execute(self, component: str, *words: str) -> str:
        """Run a program in a pod of ours and return what it printed; where the pod ends meanwhile, in its successor."""
        while True:
            pod = self.running(component)
            try:
                return self.kube("exec", "-n", OURS, pod, "--", *words)
            except AssertionError:
                if not self._ends(pod):
                    raise

    def _ends(self, pod: str) -> bool:
        """Tell whether a pod ends; that it has is told a moment later."""
        ends_at = time.monotonic() + 5
        while time.monotonic() < ends_at:
            if self.kube.try_("get", "pod", pod, "-n", OURS, "--output=jsonpath={.status.phase}") != "Running":
                return True
            time.sleep(0.5)
        return False

    def uid(self, pod: str) -> str:
        """Return the uid of an instance's pod."""
        return self.kube.get("pod", pod, namespace=INSTANCES)["metadata"]["uid"]

    def query(self, sql: str, *values: object) -> list[list]:
        """Return rows of the store, read by the API's pod, which mounts it read-only."""
        program = (
            "import json, sqlite3, sys; c = sqlite3.connect('file:/var/lib/loco/loco.db?mode=ro', uri=True, timeout=5);"
            "print(json.dumps(c.execute(sys.argv[1], json.loads(sys.argv[2])).fetchall()))"
        )
        arguments = ("python", "-c", program, sql, json.dumps(values))
        answer = self.kube("exec", "-n", OURS, "deployment/loco-api", "--", *arguments)
        return json.loads(answer)

    def ticks(self, *, since_ms: int) -> list[tuple[int, int]]:
        """Return the report ticks that began after a moment, as (number, Unix milliseconds), oldest first."""
        rows = self.query("SELECT tick, min(received_at_ms) FROM reports GROUP BY tick ORDER BY tick")
        return [(tick, at_ms) for tick, at_ms in rows if at_ms >= since_ms]


def told(one: dict) -> str:
    """Return verdict, class and reason codes of one deep-health answer."""
    return f"{one['overallStatus']} {one['failureType']} {' '.join(reason['code'] for reason in one['reasons'])}"


def gaps_seconds(ticks: list[tuple[int, int]]) -> list[float]:
    """Return the pauses between ticks."""
    return [(after - before) / 1000 for (_, before), (_, after) in pairwise(ticks)]
