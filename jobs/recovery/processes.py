"""Recoveries as processes of this machine: the Jobs of a fleet without a cluster."""

from __future__ import annotations

from pathlib import Path

from jobs.children import Child, start_lasting_child
from jobs.errors import ClusterError
from jobs.health.recovery import Attempt
from jobs.holder import is_dead
from jobs.recovery.jobs import JobState, Look, Seen
from jobs.template import attempt_job_name


class LocalJobs:
    """Processes that run `python -m jobs recover`, known by their names of `jobs.holder`.

    Two that are started for one attempt do no harm: the ledger gives it to one of them. policy, control: which file and
    folder they go by, None for what they find themselves.
    """

    def __init__(self, store: Path, *, policy: Path | None = None, control: Path | None = None) -> None:
        self._store = store
        self._settings = {
            name: str(path) for name, path in {"LOCO_POLICY": policy, "LOCO_CONTROL": control}.items() if path
        }
        self._children: list[Child] = []

    def refusal(self) -> str | None:
        """Return None: a process can always be tried."""
        return None

    def create(self, attempt: Attempt, *, store: str, public_id: str) -> str:
        """Start the process of an attempt; return its name. Raises: ClusterError when there is no room for it."""
        self._children = [child for child in self._children if child.exit_code is None]
        environment = {
            **self._settings,
            "LOCO_STORE": str(self._store),
            "LOCO_ATTEMPT": str(attempt.id),
            "LOCO_INSTANCE": public_id,
            "LOCO_ACTION": attempt.action.value,
            "LOCO_JOB_NAME": attempt_job_name(store, public_id, attempt.id),
            "LOCO_RECOVERY_NAMESPACE": "",
        }
        try:
            child = start_lasting_child(("recover",), environment)
        except OSError as error:
            raise ClusterError(f"recovery of {public_id} can't be started as a process: {error}") from error
        self._children.append(child)
        return child.name

    def look(self, attempt: Attempt) -> Look:
        """Return whether the process at work on the attempt lives: the one that claimed it, or the one started."""
        name = attempt.runner or attempt.job
        for child in self._children:
            if child.name == name and child.exit_code is not None:
                return Look(JobState.FINISHED, f"exit code {child.exit_code}")
        return Look(JobState.FINISHED if name and is_dead(name) else JobState.ACTIVE)

    def seen(self) -> list[Seen]:
        """Return none: the processes of another store can't be told from this one's by what they say."""
        return []
