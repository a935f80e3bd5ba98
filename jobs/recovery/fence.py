"""What must hold right before an act: switches, the pod's own wishes, its identity, and nobody who would be cut off."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.health.model import Instance, Pod
from jobs.health.pods import is_opted_out
from jobs.health.recovery import Action, Attempt, AttemptOutcome, Hold
from jobs.health.remedies import CUTTING
from jobs.probe.verify import Look
from jobs.recovery.means import Means, Pace, Patience
from jobs.store.ledger import Ending

# chosen: evidence, challenge and writes to the store, beside the act and its proof.
_REST_SECONDS = 10.0

_TERMINATING = "Terminating"


@dataclass(frozen=True, slots=True)
class Standing:
    """Nothing speaks against the act: the instance as it was found, and the last look at it."""

    instance: Instance
    look: Look


class Fence:
    """Asks everything that may forbid an act, over and over while people are waited for."""

    def __init__(self, means: Means, patience: Patience, pace: Pace) -> None:
        self._means = means
        self._patience = patience
        self._pace = pace

    def stand(self, attempt: Attempt, *, ends_at: float) -> Standing | Ending:
        """Return where the act may be done, or why it isn't. ends_at: of the whole run, monotonic.

        Raises: ClusterError when switches or pod can't be read; then nothing may be done.
        """
        now = self._pace.clock.monotonic
        users_until = now() + self._patience.users_seconds(attempt)
        needed = self._patience.act_seconds + self._patience.verify_seconds(attempt.action) + _REST_SECONDS
        while not self._pace.is_leaving():
            found = self._check(attempt)
            if isinstance(found, Ending) or not self._would_cut(attempt, found.look) or now() >= users_until:
                return found
            if now() >= ends_at - needed:
                return stood_down(Hold.USER_CONNECTED, _users(found.look))
            self._pace.sleep(self._patience.look_seconds)
        return leaving()

    def _check(self, attempt: Attempt) -> Standing | Ending:
        """Return the instance and a look at it, when all but its users let the act go ahead."""
        stop = self._means.ground.stop()
        if stop:
            return stood_down(stop.hold, stop.detail)
        instance = self._means.ground.instance()
        if instance is None:
            return Ending(AttemptOutcome.SUPERSEDED, f"there is no pod {attempt.key} any more")
        against = _another(attempt, instance) or _unwanted(instance.pod, self._pace.clock.wall_ms())
        if against:
            return against
        look = self._means.eyes.look(instance)
        if attempt.codes and look.report and look.faults.isdisjoint(attempt.codes):
            return _unfounded(attempt, look)
        return _unable(attempt, look) or Standing(instance, look)

    @staticmethod
    def _would_cut(attempt: Attempt, look: Look) -> bool:
        """Tell whether the act would cut somebody off; where nobody can tell who is there, it would."""
        return attempt.action in CUTTING and not attempt.is_forced and look.people != 0


def stood_down(hold: Hold, detail: str) -> Ending:
    """Return the end of an attempt that a hold stopped before its act."""
    return Ending(AttemptOutcome.STOOD_DOWN, f"{hold}: {detail}")


def _unfounded(attempt: Attempt, look: Look) -> Ending:
    """Return the end of an attempt whose faults a look doesn't show; what it couldn't see isn't called gone."""
    unseen = look.unseen.intersection(attempt.codes)
    if unseen:
        blind = f"nobody can tell whether {', '.join(sorted(unseen))} still holds"
        return Ending(AttemptOutcome.STOOD_DOWN, f"{blind}: it wasn't measured")
    return Ending(AttemptOutcome.SUPERSEDED, f"{', '.join(attempt.codes)} is gone")


def leaving() -> Ending:
    """Return the end of an attempt whose process was asked to end before its act."""
    return Ending(AttemptOutcome.STOOD_DOWN, "the process was asked to end before the act")


def _another(attempt: Attempt, instance: Instance) -> Ending | None:
    """Return why this isn't what the attempt was planned for, None where it is."""
    pod = instance.pod
    if pod and attempt.uid is None:
        return stood_down(Hold.IDENTITY_UNPROVEN, "the plan knew no uid of the pod")
    # What a file names has no uid of its own; there the agent's own word counts, see Recoverer.
    if instance.uid != attempt.uid and (pod or instance.uid):
        was, is_now = attempt.uid or "unknown", instance.uid or "unknown"
        return Ending(AttemptOutcome.SUPERSEDED, f"the pod is another one: its uid was {was} and is {is_now}")
    if pod and pod.reason == _TERMINATING:
        return Ending(AttemptOutcome.SUPERSEDED, "the pod is being ended")
    if pod and attempt.restarts is not None and pod.restarts != attempt.restarts:
        counts = f"{attempt.restarts} restarts were known, now {pod.restarts}"
        return Ending(AttemptOutcome.SUPERSEDED, f"its containers have restarted by themselves: {counts}")
    return None


def _unwanted(pod: Pod | None, now_ms: int) -> Ending | None:
    """Return what the pod's annotations forbid now."""
    if pod is None:
        return None
    if pod.is_recovery_off or is_opted_out(pod, now_ms):
        return stood_down(Hold.PAUSED, "the pod's annotations say that nothing is to be done")
    if pod.maintenance_until_ms is not None and now_ms < pod.maintenance_until_ms:
        return stood_down(Hold.PAUSED, "the pod's annotations say that it is in maintenance")
    return None


def _unable(attempt: Attempt, look: Look) -> Ending | None:
    """Return why the agent would refuse the act, as its report says already: then no budget is spent on asking."""
    if attempt.action is Action.DELETE_POD or look.report is None:
        return None
    actions = look.report.actions
    if actions is None:
        return stood_down(Hold.NO_KEY, "the agent's report says nothing of acts")
    if actions.error:
        return stood_down(Hold.NO_KEY, f"the agent does no acts: {actions.error}")
    if attempt.action in actions.can:
        return None
    why = actions.cannot.get(attempt.action, "it doesn't know the act")
    return Ending(AttemptOutcome.REFUSED, f"the agent can't do it here: {why}")


def _users(look: Look) -> str:
    if look.people is None:
        return "nobody can tell whether somebody is connected"
    return f"{look.people} connected"
