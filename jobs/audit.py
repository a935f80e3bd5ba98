"""The proof of the ledger's promises from its own rows; it trusts no check that was made when they were written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from jobs.health.model import InstanceKey
from jobs.health.recovery import Attempt, AttemptOutcome, AttemptState, Origin

# architecture section 6: at most 3 attempts per instance in any 60 minutes.
WINDOW_MS = 60 * 60 * 1000
MOST_ATTEMPTS = 3


class Promise(StrEnum):
    """What is proven, by the name of its breach."""

    TOO_MANY = "TooManyActs"
    OVERLAP = "Overlap"
    NO_IDENTITY = "ActWithoutUid"
    NOT_CLAIMED = "ActWithoutRunner"
    NO_OUTCOME = "EndWithoutOutcome"
    OUT_OF_ORDER = "TimesOutOfOrder"


@dataclass(frozen=True, slots=True)
class Breach:
    """One promise that the rows don't keep. attempts: the ids of the rows, oldest first; detail: one clause."""

    promise: Promise
    key: InstanceKey
    attempts: tuple[int, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What a ledger's rows come to.

    static: acts on instances that a file names. adopted: made under an earlier store, so when they acted is not known.
    """

    attempts: int
    instances: int
    acts: int
    static: int
    ended: int
    open: int
    adopted: int
    breaches: tuple[Breach, ...]


def audit(attempts: Sequence[Attempt]) -> Audit:
    """Return what the rows of a whole ledger, oldest first, prove."""
    by_key: dict[InstanceKey, list[Attempt]] = {}
    for attempt in attempts:
        by_key.setdefault(attempt.key, []).append(attempt)
    breaches = [breach for rows in by_key.values() for breach in (*_too_many(rows), *_overlaps(rows))]
    breaches += [breach for attempt in attempts for breach in _of_one(attempt)]
    return Audit(
        attempts=len(attempts),
        instances=len(by_key),
        acts=sum(attempt.acted_ms is not None for attempt in attempts),
        static=sum(attempt.acted_ms is not None and _is_static(attempt) for attempt in attempts),
        ended=sum(attempt.state is AttemptState.ENDED for attempt in attempts),
        open=sum(attempt.state is not AttemptState.ENDED for attempt in attempts),
        adopted=sum(attempt.origin is Origin.ADOPTED for attempt in attempts),
        breaches=tuple(breaches),
    )


def _is_static(attempt: Attempt) -> bool:
    """Tell whether a file names the instance: there is no pod then, and the agent's own word is its identity."""
    return attempt.key.startswith("static/")


def _may_have_acted(attempt: Attempt) -> bool:
    return attempt.acted_ms is not None or attempt.outcome is AttemptOutcome.UNKNOWN


def _earliest_ms(attempt: Attempt) -> int:
    """Return the first moment at which it may have acted."""
    return attempt.booked_ms if attempt.acted_ms is None else attempt.acted_ms


def _too_many(rows: Sequence[Attempt]) -> Iterator[Breach]:
    """Yield each act that some window of 60 minutes may hold together with three others before it."""
    acts = sorted(filter(_may_have_acted, rows), key=_earliest_ms)
    for number, act in enumerate(acts):
        since_ms = _earliest_ms(act) - WINDOW_MS
        near = [other.id for other in acts[:number] if other.spent_ms > since_ms]
        if len(near) >= MOST_ATTEMPTS and act.origin is not Origin.ADOPTED:
            detail = f"{len(near) + 1} may have acted within 60 minutes, at most {MOST_ATTEMPTS} are allowed"
            yield Breach(Promise.TOO_MANY, act.key, (*near, act.id), detail)


def _overlaps(rows: Sequence[Attempt]) -> Iterator[Breach]:
    """Yield each attempt that was booked before the one before it that can act longest could act no more."""
    earlier: Attempt | None = None
    for later in rows:
        if earlier and later.origin is not Origin.ADOPTED and later.booked_ms < _last_ms(earlier):
            yield Breach(Promise.OVERLAP, later.key, (earlier.id, later.id), _overlap(earlier, later))
        if earlier is None or _last_ms(later) > _last_ms(earlier):
            earlier = later


def _last_ms(attempt: Attempt) -> float:
    """Return the last moment at which it may act."""
    return attempt.spent_ms if attempt.state is AttemptState.ENDED else inf


def _overlap(earlier: Attempt, later: Attempt) -> str:
    if earlier.state is not AttemptState.ENDED:
        return f"{later.id} was booked while {earlier.id} is {earlier.state}"
    early_seconds = (earlier.spent_ms - later.booked_ms) / 1000
    return f"{later.id} was booked {early_seconds:.3f} s before {earlier.id} could act no more"


def _of_one(attempt: Attempt) -> Iterator[Breach]:
    """Yield what one row breaks by itself."""
    for promise, detail in _faults(attempt):
        yield Breach(promise, attempt.key, (attempt.id,), detail)


def _faults(attempt: Attempt) -> Iterator[tuple[Promise, str]]:
    has_acted = attempt.acted_ms is not None
    if has_acted and attempt.uid is None and not _is_static(attempt):
        yield Promise.NO_IDENTITY, "it acted on a pod without the pod's uid"
    if has_acted and attempt.runner is None:
        yield Promise.NOT_CLAIMED, "it acted though no pod had claimed it"
    is_ended = attempt.state is AttemptState.ENDED
    if is_ended and (attempt.outcome is None or attempt.ended_ms is None):
        yield Promise.NO_OUTCOME, "it ended without an outcome or a time"
    if not is_ended and attempt.outcome is not None:
        yield Promise.NO_OUTCOME, f"it is {attempt.state} and has an outcome"
    times_ms: Iterable[int | None] = (attempt.booked_ms, attempt.acted_ms, attempt.spent_ms)
    known_ms = [one for one in times_ms if one is not None]
    if known_ms != sorted(known_ms) or (attempt.ended_ms or attempt.booked_ms) > attempt.spent_ms:
        yield Promise.OUT_OF_ORDER, "it was booked, acted and ended in no such order"
