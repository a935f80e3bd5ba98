"""One attempt, from its claim to its outcome: the fence, the act, and the proof that it helped.

Every write to the store is a short transaction of its own, and every look outside is one call of `jobs.recovery.means`.
Between `begin_act` and the act nothing else happens, and the agent's challenge is older than both: a run that slept
there finds its challenge expired.
"""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass, replace

from jobs.errors import ClusterError, Conflict, Forbidden, NotFound, StoreError
from jobs.health.brake import brake_on
from jobs.health.model import Instance
from jobs.health.recovery import Action, Attempt, AttemptOutcome, Hold
from jobs.planner import open_brakes
from jobs.probe.actions import ActOrder, Challenge, Done, Refused, Silent
from jobs.probe.verify import Look, Verification
from jobs.recovery.answers import refused, said
from jobs.recovery.fence import Fence, Standing, leaving, stood_down
from jobs.recovery.means import Means, Pace, Patience
from jobs.recovery.redaction import redact_text
from jobs.store import ledger
from jobs.store.asked import ask_tick
from jobs.store.connection import transaction
from jobs.store.ledger import Ending

logger = logging.getLogger(__name__)

# Nothing went wrong: it helped, or nothing was to be done.
_FINE = frozenset({AttemptOutcome.HEALED, AttemptOutcome.SUPERSEDED, AttemptOutcome.STOOD_DOWN})

# A pod's deletion has no challenge that expires: one that was begun so long ago isn't sent. With what its request may
# take it ends before the ledger lets another attempt begin, after LATE_ACT_MS.
DELETE_SECONDS = 20.0

# An outcome that the store doesn't take is written again for so long after the run's own time: that is 240 s, its Job
# has 300. One that was asked to end has 30 s (manifests/recover-cronjob.yaml). chosen: 10 s of both for the last try.
WRITE_SECONDS = 40.0
LEAVE_SECONDS = 20.0
_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Result:
    """What one run came to. attempt: None where none was claimed. is_unusable: of cluster or store, one failed it."""

    outcome: AttemptOutcome
    detail: str
    attempt: Attempt | None = None
    is_unusable: bool = False

    @property
    def exit_code(self) -> int:
        """Return 0 for healed, superseded and stood down, 75 where cluster or store failed it, else 1."""
        if self.is_unusable:
            return ClusterError.exit_code
        return 0 if self.outcome in _FINE else 1


class Recoverer:
    """Runs one attempt."""

    def __init__(self, connection: sqlite3.Connection, means: Means, patience: Patience, pace: Pace) -> None:
        self._connection = connection
        self._means = means
        self._patience = patience
        self._pace = pace
        self._clock = pace.clock
        self._is_unusable = False
        self._evidence = ""
        self._begun_at = 0.0

    def run(
        self, attempt_id: int, runner: str, *, store: str | None = None, job: str = "", is_dry_run: bool = False
    ) -> Result:
        """Claim the attempt and bring it to its end. store, job: as `ledger.claim` has them."""
        with transaction(self._connection):
            now = self._clock.moment()
            attempt = ledger.claim(self._connection, attempt_id, runner, now=now, store=store, job=job)
        if attempt is None:
            return Result(
                AttemptOutcome.SUPERSEDED,
                f"attempt {attempt_id} isn't to be had: it is another's, has ended, or its incident is over",
            )
        ends_at = self._clock.monotonic() + self._patience.total_seconds
        if is_dry_run:
            ending = stood_down(Hold.DRY_RUN, f"{attempt.action} would be done now")
        else:
            ending = self._recover(attempt, runner, ends_at)
        return self._end(attempt, runner, ending, ends_at)

    def _end(self, attempt: Attempt, runner: str, ending: Ending, ends_at: float) -> Result:
        """Write the outcome and say it, also where it can't be written."""
        if self._evidence:
            ending = replace(ending, detail=f"{ending.detail}; no evidence was kept: {self._evidence}")
        ending = replace(ending, detail=redact_text(ending.detail))
        but = self._write(attempt, runner, ending, ends_at)
        told = {"attempt": attempt.id, "instance": attempt.key, "action": attempt.action.value}
        logger.info("attempt ended", extra={**told, "outcome": ending.outcome.value, "detail": ending.detail})
        return Result(ending.outcome, f"{ending.detail}{but and '; '}{but}", attempt, self._is_unusable)

    def _write(self, attempt: Attempt, runner: str, ending: Ending, ends_at: float) -> str:
        """Put down the outcome, and have the fleet looked at anew at once; returns a clause where it isn't this one.

        Tries for as long as there is time: nobody else knows what the act came to.
        """
        began = self._clock.monotonic()
        while True:
            try:
                with transaction(self._connection):
                    now = self._clock.moment()
                    is_ours = ledger.end(self._connection, attempt.id, ending, now=now, runner=runner)
                    ask_tick(self._connection, "collect", runner, now.wall_ms)
            except StoreError as error:
                late_seconds = self._clock.monotonic() - began
                if late_seconds >= (LEAVE_SECONDS if self._pace.is_leaving() else ends_at + WRITE_SECONDS - began):
                    self._is_unusable = True
                    return f"the ledger doesn't have it: {error}"
                logger.warning("the outcome isn't written yet", extra={"attempt": attempt.id, "problem": str(error)})
            else:
                return "" if is_ours else "the ledger had ended the attempt before"
            self._pace.rest(_AGAIN_SECONDS)

    def _recover(self, attempt: Attempt, runner: str, ends_at: float) -> Ending:
        try:
            standing = Fence(self._means, self._patience, self._pace).stand(attempt, ends_at=ends_at)
            if isinstance(standing, Ending):
                return standing
            self._keep_evidence(attempt, standing.look)
            leave = self._leave(attempt, standing.instance)
            if isinstance(leave, Ending):
                return leave
            against = self._begin(attempt, runner)
        except (ClusterError, StoreError) as error:
            self._is_unusable = True
            return Ending(AttemptOutcome.STOOD_DOWN, f"nothing is done that can't be checked first: {error}")
        if against:
            return against
        done = self._act(attempt, standing.instance, leave)
        if isinstance(done, Ending):
            return done
        return self._verify(attempt, standing, done, ends_at)

    def _begin(self, attempt: Attempt, runner: str) -> Ending | None:
        """Note that the act begins now, or return what has come up against it since it was planned.

        Raises: ClusterError when the switches can't be read, StoreError when the note isn't proven to be kept.
        """
        stop = self._means.ground.stop()
        if stop:
            return stood_down(stop.hold, stop.detail)
        self._begun_at = self._clock.boottime()
        with transaction(self._connection):
            if self._pace.is_leaving():
                return leaving()
            brake = brake_on(attempt.key, open_brakes(self._connection))
            if brake:
                return stood_down(brake.hold, brake.detail)
            if ledger.begin_act(self._connection, attempt.id, runner, now=self._clock.moment()):
                return None
        return Ending(AttemptOutcome.SUPERSEDED, "the attempt was ended, or its incident is over")

    def _keep_evidence(self, attempt: Attempt, look: Look) -> None:
        self._evidence = self._means.keeper.keep(attempt, look) or self._note_evidence(attempt)
        if self._evidence:
            logger.warning("no evidence", extra={"attempt": attempt.id, "problem": self._evidence})

    def _note_evidence(self, attempt: Attempt) -> str:
        """Note that there is a bundle; returns why not, as `Keeper.keep` does."""
        try:
            with transaction(self._connection):
                ledger.note_evidence(self._connection, attempt.id)
        except StoreError as error:
            return str(error)
        return ""

    def _add_after(self, attempt: Attempt, look: Look | None) -> None:
        """Keep what the last look saw; one that was asked to end has other things to write."""
        if look is None or self._evidence or self._pace.is_leaving():
            return
        why_not = self._means.keeper.add_after(attempt, look)
        if why_not:
            logger.warning("no evidence of after", extra={"attempt": attempt.id, "problem": why_not})

    def _leave(self, attempt: Attempt, instance: Instance) -> Challenge | Ending | None:
        """Return the agent's challenge, None where Kubernetes is to act."""
        if attempt.action is Action.DELETE_POD:
            if attempt.uid is None:
                return stood_down(Hold.IDENTITY_UNPROVEN, "a pod without a uid is never deleted")
            return None
        answer = self._means.agent.challenge(instance)
        if isinstance(answer, Silent):
            return stood_down(Hold.IDENTITY_UNPROVEN, f"the agent can't be asked: {answer.detail}")
        if isinstance(answer, Refused):
            return refused(answer)
        if attempt.uid is not None and answer.pod_uid != attempt.uid:
            there = answer.pod_uid or "no uid"
            return stood_down(Hold.IDENTITY_UNPROVEN, f"the agent says {there}, the pod's uid is {attempt.uid}")
        return answer

    def _act(self, attempt: Attempt, instance: Instance, challenge: Challenge | None) -> Done | Silent | Ending:
        """Do it, once; whatever becomes of the answer, nothing here does it again."""
        if challenge is None:
            return self._delete_pod(attempt)
        order = ActOrder(
            action=attempt.action.value,
            pod_uid=challenge.pod_uid,
            attempt=attempt.id,
            incident=attempt.incident,
            deadline_seconds=self._patience.act_seconds,
        )
        answer = self._means.agent.act(instance, order, challenge)
        if isinstance(answer, Refused):
            return refused(answer)
        if isinstance(answer, Silent) and not answer.has_reached:
            return stood_down(Hold.IDENTITY_UNPROVEN, f"the agent can't be asked: {answer.detail}")
        return answer

    def _delete_pod(self, attempt: Attempt) -> Done | Silent | Ending:
        late_seconds = self._clock.boottime() - self._begun_at
        if late_seconds > DELETE_SECONDS:
            return Ending(
                AttemptOutcome.SUPERSEDED, f"it was to be deleted {late_seconds:.0f} s ago, it is too late now"
            )
        try:
            self._means.ground.delete_pod(attempt.uid or "")
        except (Conflict, NotFound) as error:
            return Ending(AttemptOutcome.SUPERSEDED, f"the pod is another one: {error}")
        except Forbidden as error:
            return Ending(AttemptOutcome.REFUSED, str(error))
        except ClusterError as error:
            return Silent(str(error), has_reached=True)
        return Done(None, "the pod is being deleted")

    def _verify(self, attempt: Attempt, standing: Standing, done: Done | Silent, ends_at: float) -> Ending:
        """Look until the instance is well or the deadline has passed."""
        began = self._clock.monotonic()
        until = min(began + self._patience.verify_seconds(attempt.action), ends_at)
        verification = Verification(attempt, standing.look, acted_at_seconds=began)
        look = None
        while not self._pace.is_leaving() and self._clock.monotonic() < until:
            self._pace.sleep(self._patience.look_seconds)
            instance = self._instance_now(standing.instance)
            if attempt.action is not Action.DELETE_POD and instance.uid != standing.instance.uid:
                return Ending(
                    AttemptOutcome.SUPERSEDED, "the pod was replaced after the act", verification.lost.seconds
                )
            look = self._means.eyes.look(instance)
            if verification.see(look):
                break
        ended_at = self._clock.monotonic()
        self._add_after(attempt, look)
        outcome, detail = verification.end(ended_at)
        if outcome is not AttemptOutcome.HEALED and self._pace.is_leaving():
            outcome, detail = AttemptOutcome.UNKNOWN, f"the process was asked to end; {detail}"
        elif outcome is AttemptOutcome.NO_EFFECT and isinstance(done, Silent):
            outcome = AttemptOutcome.UNKNOWN
        return Ending(outcome, f"{detail}; {said(done)}", verification.lost.seconds)

    def _instance_now(self, known: Instance) -> Instance:
        """Return the instance as its pod is now; while nobody can say, as it was."""
        try:
            return self._means.ground.instance() or known
        except (ClusterError, StoreError) as error:
            logger.warning("the pod can't be read", extra={"problem": str(error)})
            return known
