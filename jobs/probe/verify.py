"""Whether an act has helped, told from looks at the instance; pure.

Well is: as many reports in a row as `GOOD_REPORTS`, each of a new round of the agent's checks and over at least
`GOOD_SECONDS`, in which none of the faults that the attempt answers holds or is suspected, nor a fault that wasn't
there before (but for a load that only minutes can tell, and that no act answers), and what tells the faults that it
answers was measured; and where motion or sound is expected, it was seen since the first of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.report import HealthReport
from jobs.health.model import Assessment, FailureClass, Instance, Severity
from jobs.health.people import connected
from jobs.health.recovery import Action, Attempt, AttemptOutcome
from jobs.health.remedies import REMEDIES, STREAM_ACTS
from jobs.health.rows import audio as audio_rows
from jobs.health.rows import network as network_rows
from jobs.health.rows import screen as screen_rows
from jobs.health.rules import BY_CODE, BY_WORD, FAULTS, RULES, WEIGHT

# chosen: the agent checks every 3 s, so this is a fresh look at everything at least twice after the act's own dust.
GOOD_REPORTS = 3
GOOD_SECONDS = 5.0

# chosen: one look may fall into a restart; what is there at the last two is there.
WORSE_LOOKS = 2

# Faults that keep a guest from being seen or heard: what an attempt doesn't answer, it needn't show either.
_STILL = frozenset(rule.code for rule in screen_rows.ROWS)
_SILENT = frozenset(rule.code for rule in audio_rows.ROWS)

_LINKS = frozenset(rule.code for rule in network_rows.ROWS)

# What the act itself brings about, and nobody should take for a fault.
_WANTED: dict[Action, frozenset[str]] = {
    Action.RESTART_QEMU: frozenset({"QemuRestarted", "AudioRestarted"}),
    Action.RESET_AUDIO: frozenset({"AudioRestarted"}),
    Action.DELETE_POD: frozenset({"QemuRestarted", "AudioRestarted"}),
}

# A guest that boots is busy: what takes many ticks to tell, degrades at most and has no remedy speaks against no act.
_SLOW = frozenset(
    rule.code for rule in RULES if rule.needs and rule.severity is Severity.DEGRADED and rule.code not in REMEDIES
)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at an instance from outside. at_seconds: on the run's monotonic clock.

    instance: as which pod it was looked at. report: of this look, None where none came.
    """

    at_seconds: float
    instance: Instance
    assessment: Assessment
    report: HealthReport | None = None

    @property
    def faults(self) -> frozenset[str]:
        """Return the faults that hold or are suspected."""
        return FAULTS.intersection([*(one.code for one in self.assessment.reasons), *self.assessment.suspected])

    @property
    def unseen(self) -> frozenset[str]:
        """Return the faults that may hold all the same where they aren't seen: nothing that tells them was measured."""
        if self.report is None or any(BY_CODE[one.code].is_final for one in self.assessment.reasons):
            return FAULTS
        return _LINKS if any(True for _ in network_rows.unmeasured(self.report.network)) else frozenset()

    @property
    def people(self) -> int | None:
        """Return how many people are connected, None where nobody can tell."""
        return connected(self.report)

    @property
    def round(self) -> tuple[str, int] | None:
        """Return which round of which agent process the report is of."""
        agent = self.report.agent if self.report else None
        return (agent.boot_id, agent.sequence) if agent else None


class Verification:
    """What the looks after an act add up to. before: the last look before it. acted_at_seconds: when it was done."""

    def __init__(self, attempt: Attempt, before: Look, *, acted_at_seconds: float) -> None:
        self.lost = SessionLoss(before.people, acted_at_seconds)
        self._attempt = attempt
        self._before = before
        self._acted_at = acted_at_seconds
        self._answered = frozenset(attempt.codes)
        self._borne = before.faults - self._answered
        # What browsers post speaks against no act but one on their stream: anybody may, and a restart cuts them off.
        said = frozenset() if attempt.action in STREAM_ACTS else BY_WORD - self._answered
        self._wanted = _WANTED.get(attempt.action, frozenset()) | said
        self._round = before.round
        self._good_at: list[float] = []
        self._wrong: list[frozenset[str]] = []
        self._missing = "no report has come"
        self._unshown = ""

    def see(self, look: Look) -> bool:
        """Take one look; returns whether the instance is well now."""
        self.lost.see(look.people, look.at_seconds)
        wrong = self._wrong_at(look)
        self._wrong = [*self._wrong[1 - WORSE_LOOKS :], wrong]
        self._missing = self._missing_at(look, wrong)
        if self._missing:
            self._good_at.clear()
        elif look.round != self._round:
            self._good_at.append(look.at_seconds)
        self._round = look.round
        self._unshown = self._unshown_at(look) if self._good_at else ""
        return self.is_well

    @property
    def is_well(self) -> bool:
        """Tell whether enough good reports came in a row."""
        good = self._good_at
        return len(good) >= GOOD_REPORTS and good[-1] - good[0] >= GOOD_SECONDS and not self._unshown

    def end(self, at_seconds: float) -> tuple[AttemptOutcome, str]:
        """Return what it came to, as outcome and one clause."""
        seconds = f"{at_seconds - self._acted_at:.0f} s after the act"
        if self.is_well:
            return AttemptOutcome.HEALED, f"well {seconds}"
        worse = self._worse()
        if worse:
            return AttemptOutcome.WORSE, f"{', '.join(worse)} came with it and holds {seconds}"
        return AttemptOutcome.NO_EFFECT, f"{self._missing or self._unshown or 'not well for long enough'} {seconds}"

    def _wrong_at(self, look: Look) -> frozenset[str]:
        """Return the faults that must be gone: what the attempt answers, and what wasn't there before it."""
        return look.faults - self._borne - self._wanted - (_SLOW - self._answered)

    def _missing_at(self, look: Look, wrong: Iterable[str]) -> str:
        """Say what keeps this look from being a good one, empty where nothing does."""
        if self._attempt.action is Action.DELETE_POD and look.instance.uid in (None, self._attempt.uid):
            return "the new pod isn't there"
        if wrong:
            return f"{', '.join(sorted(wrong))} holds"
        if look.report is None:
            return "no report came"
        unseen = look.unseen & self._answered
        return f"{', '.join(sorted(unseen))} can't be seen" if unseen else ""

    def _unshown_at(self, look: Look) -> str:
        """Say what is expected of the guest and hasn't been seen since the first good look, empty where nothing is.

        Only within a run of good reports: an agent that has just started knows of no stillness before it.
        """
        seconds = look.at_seconds - self._good_at[0]
        screen, audio = (look.report.screen, look.report.audio) if look.report else (None, None)
        for expected, last_seconds, faults, clause in (
            (
                look.instance.expect_motion_seconds,
                screen.still_seconds if screen else None,
                _STILL,
                "the screen hasn't moved yet",
            ),
            (
                look.instance.expect_sound_seconds,
                audio.silent_seconds if audio else None,
                _SILENT,
                "no sound has come yet",
            ),
        ):
            is_missing = last_seconds is None or last_seconds >= seconds
            if expected is not None and is_missing and self._borne.isdisjoint(faults):
                return clause
        return ""

    def _worse(self) -> list[str]:
        """Return the faults that came with the act, are worse than any before or in another layer, and stay."""
        if len(self._wrong) < WORSE_LOOKS:
            return []
        new = frozenset.intersection(*self._wrong) - self._before.faults - self._answered
        reasons = self._before.assessment.reasons
        heaviest = max((WEIGHT[one.severity] for one in reasons), default=-1)
        classes = {one.failure_class for one in reasons} | {FailureClass.NONE}
        return sorted(
            code
            for code in new
            if WEIGHT[BY_CODE[code].severity] > heaviest or BY_CODE[code].failure_class not in classes
        )


class SessionLoss:
    """Session-seconds of people who were cut off: each missing one counts until it is back or the watching ends."""

    def __init__(self, count: int | None, at_seconds: float) -> None:
        self._count = count
        self._seen_at = at_seconds
        self._missing: int | None = None
        self._seconds = 0.0

    def see(self, count: int | None, at_seconds: float) -> None:
        """Take one count; what can't be counted now is taken to be as it was, so its time comes with the next."""
        if self._count is None or count is None:
            return
        missing = max(0, self._count - count)
        # Between two counts it isn't known when they left; until the first one all are taken to be as it says.
        self._seconds += (missing if self._missing is None else max(self._missing, missing)) * (
            at_seconds - self._seen_at
        )
        self._missing, self._seen_at = missing, at_seconds

    @property
    def seconds(self) -> float | None:
        """Return what was lost, None where it was never counted."""
        return None if self._missing is None else round(self._seconds, 1)
