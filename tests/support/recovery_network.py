"""Between recovery and the world: an API server and a network that lose, delay and repeat; the calls are real."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recovery_world import Broken, Sender, SimJob, World

from agent.exchange import Request
from jobs.errors import Conflict, NotFound
from jobs.health.model import InstanceKey
from jobs.probe.actions import AgentCalls, Silent, _Answer
from jobs.template import ATTEMPT, attempt_job_name

TEMPLATE = {
    "metadata": {"name": "recover", "namespace": "loco-health", "uid": "uid-of-recover"},
    "spec": {
        "jobTemplate": {
            "metadata": {"labels": {"app.kubernetes.io/name": "loco-health"}},
            "spec": {"template": {"spec": {"serviceAccountName": "loco-recover", "containers": []}}},
        }
    },
}


class Api:
    """What `jobs.cluster.jobs` asks of a client, over the world's Jobs. generation: of the asking process's store."""

    def __init__(self, world: World, generation: int) -> None:
        self._world = world
        self._generation = generation

    def get(self, path: str) -> dict[str, Any]:
        """Return the template or a Job."""
        self._world.request(f"GET {path.rpartition('/')[2]}")
        if "/cronjobs/" in path:
            return TEMPLATE
        job = self._world.jobs.get(path.rpartition("/")[2])
        if job is None:
            raise NotFound(f"GET {path} answered 404")
        return self._told(job)

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create a Job, twice when the request is repeated on its way."""
        name = body["metadata"]["name"]
        self._world.request(f"POST {name}")
        if name in self._world.jobs:
            raise Conflict(f"POST {path} answered 409: {name} exists")
        self._check_booked(body)
        self._world.jobs[name] = job = SimJob(body)
        self._world.start_pods(job)
        self._world.lose_reply(f"POST {name}")
        if self._world.falls():
            raise Conflict(f"POST {path} answered 409: {name} exists, as the request came twice")
        return body

    def pages(self, path: str, _: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
        """Yield all Jobs; of pods nothing is told."""
        self._world.request(f"LIST {path.rpartition('/')[2]}")
        yield [] if path.endswith("/pods") else [self._told(job) for job in self._world.jobs.values()]

    def _told(self, job: SimJob) -> dict[str, Any]:
        is_over = job.is_over or (bool(job.pods) and all(pod.has_ended or pod.is_dead for pod in job.pods))
        conditions = [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}] if is_over else []
        return {**job.body, "status": {"conditions": conditions}}

    def _check_booked(self, body: dict[str, Any]) -> None:
        """Hold a new Job against the ledger: its attempt is in it, committed, and this is its name."""
        attempt_id = int(body["metadata"]["annotations"][ATTEMPT])
        row = self._world.ask(
            self._generation,
            "SELECT ledger.store, attempts.key FROM attempts, ledger WHERE attempts.id = ?",
            attempt_id,
        )
        if row is None:
            raise Broken(f"Job {body['metadata']['name']} was made before its attempt was in the ledger")
        public_id = f"instance-{row[1].rpartition('-')[2]}"
        if body["metadata"]["name"] != attempt_job_name(row[0], public_id, attempt_id):
            raise Broken(f"Job {body['metadata']['name']} isn't that of attempt {attempt_id} of {row[0]}")


class Wire(AgentCalls):
    """The real calls to an agent, over a network that loses, delays and repeats. sender: whose act it carries."""

    def __init__(self, world: World, key: InstanceKey, sender: Sender) -> None:
        self._world, self._key, self._sender = world, key, sender

    def _call(self, method: str, _: Any, path: str, *, seconds: float, **request: Any) -> Any:
        world = self._world
        world.scheduler.hook(f"{method} {path}")
        headers = {name.lower(): value for name, value in request.get("headers", {}).items()}
        head = Request(method, f"/{path}", headers, is_kept_alive=False, body_bytes=0)
        body = request.get("body", b"")
        if world.falls():
            return Silent("no connection", has_reached=False)
        if world.falls():  # it arrives when the sender has long given up
            world.scheduler.after(world.chance.choice((2000, 20_000, 35_000)), lambda: self._deliver(head, body))
            world.scheduler.sleep(round(seconds * 1000))
            return Silent("no answer", has_reached=True)
        answer = self._deliver(head, body)
        if world.falls():
            answer_to_copy = self._deliver(head, body)
            answer = world.chance.choice((answer, answer_to_copy))
        pod = world.pods[self._key]
        if method == "POST" and pod.busy_until_ms > world.scheduler.now_ms:
            world.scheduler.sleep(pod.busy_until_ms - world.scheduler.now_ms)
        world.scheduler.hook(f"answer {answer.status.value} to {method} {path}")
        if world.falls():
            return Silent("no answer", has_reached=True)
        return _Answer(answer.status.value, answer.body)

    def _deliver(self, head: Request, body: bytes) -> Any:
        """Give a request to whichever pod has the address now."""
        pod = self._world.pods[self._key]
        if pod.door is None:
            raise AssertionError("a pod has an agent")
        if head.method == "GET":
            return pod.door.challenge()
        self._world.sender = self._sender
        try:
            return pod.door.act(head, body)
        finally:
            self._world.sender = None
