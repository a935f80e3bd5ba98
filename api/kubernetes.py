"""The door of a cluster: Jobs are made with the caller's own token, so that Kubernetes decides who may.

This process has no right of its own: it mounts the cluster's CA and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from api.asked import Made, Way, WayKind
from api.auth import bearer
from api.caller import Caller, NotFound, Silent, calling
from api.order import DISCOVER, new_suffix, recovery_job, refresh_job
from api.problem import Problem, ProblemReason, unavailable
from jobs.health.model import Instance
from jobs.template import CRONJOB

# chosen: of the server's four threads; the others go on reading while the API server hangs.
MAX_CALLERS = 2

_HOW = (
    "send `Authorization: Bearer` with a token such as `kubectl create token loco-requester -n {} --duration=10m` "
    "prints; the API server's service proxy takes that header away, so come by `kubectl port-forward` or use "
    "`kubectl loco recover`; nothing was started"
)


class ClusterDoor:
    """Make Jobs in one namespace with the token that came with the request.

    base: of the API server's URLs. ca: file of the only CA that is trusted.
    """

    def __init__(self, base: str, *, ca: Path, namespace: str) -> None:
        self._base = base
        self._ca = ca
        self._namespace = namespace
        self._batch = f"/apis/batch/v1/namespaces/{namespace}"
        self._places = threading.BoundedSemaphore(MAX_CALLERS)

    @property
    def way(self) -> Way:
        """Return the namespace in which a token that may make Jobs is to be had."""
        return Way(WayKind.CLUSTER, self._namespace)

    def admit(self, environ: Mapping[str, Any]) -> str:
        """Return the caller's token, unproven. Raises: Problem (401)."""
        return bearer(environ, how=_HOW.format(self._namespace))

    def recover(self, token: str, instance: Instance, *, is_forced: bool) -> Made:
        """Make a Job of the template `recover`. Raises: Problem."""
        return self._recover(token, instance, is_forced=is_forced, is_dry_run=False)

    def rehearse(self, token: str, instance: Instance, *, is_forced: bool) -> Made:
        """Have rights and admission checked as if that Job were made; the API server keeps nothing. Raises: Problem."""
        return self._recover(token, instance, is_forced=is_forced, is_dry_run=True)

    def _recover(self, token: str, instance: Instance, *, is_forced: bool, is_dry_run: bool) -> Made:
        with self._caller(token) as caller:
            who = caller.name()
            template = self._template(caller, CRONJOB)
            with _as_template(CRONJOB):
                job = recovery_job(
                    template, instance.public_id, suffix=new_suffix(), is_forced=is_forced, requested_by=who
                )
            return Made(self._create(caller, job, is_dry_run=is_dry_run), who)

    def refresh(self, token: str) -> Made:
        """Make a Job of the CronJob `discover`. Raises: Problem."""
        with self._caller(token) as caller:
            who = caller.name()
            template = self._template(caller, DISCOVER)
            with _as_template(DISCOVER):
                job = refresh_job(template, suffix=new_suffix(), requested_by=who)
            return Made(self._create(caller, job), who)

    @contextmanager
    def _caller(self, token: str) -> Iterator[Caller]:
        if not self._places.acquire(blocking=False):
            raise unavailable(
                ProblemReason.BUSY, f"{MAX_CALLERS} requests wait for the API server, as many as may; nothing was made"
            )
        try:
            with calling(self._base, ca=self._ca, token=token) as caller:
                yield caller
        finally:
            self._places.release()

    def _template(self, caller: Caller, name: str) -> dict[str, Any]:
        try:
            return caller.ask("GET", f"{self._batch}/cronjobs/{name}")
        except NotFound as error:
            raise unavailable(
                ProblemReason.CLUSTER_UNAVAILABLE, f"there is no CronJob {name} in {self._namespace}; nothing was made"
            ) from error

    def _create(self, caller: Caller, job: dict[str, Any], *, is_dry_run: bool = False) -> str:
        name = str(job["metadata"]["name"])
        if is_dry_run:
            caller.ask("POST", f"{self._batch}/jobs?dryRun=All", job)
            return name
        try:
            caller.ask("POST", f"{self._batch}/jobs", job)
        except Silent as silent:
            silent.detail = (
                f"{silent.why}, so it isn't known whether Job {name} was made; "
                f"`kubectl get job {name} -n {self._namespace}` tells"
            )
            raise
        return name


@contextmanager
def _as_template(name: str) -> Iterator[None]:
    """Let an object that is no CronJob leave the block as a Problem."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise Problem(
            HTTPStatus.BAD_GATEWAY,
            ProblemReason.CLUSTER_REFUSED,
            f"CronJob {name} has no template of a Job ({type(error).__name__}); nothing was made",
        ) from error
