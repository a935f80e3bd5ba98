"""What the annotations of a pod ask for; pure.

A value that can't be taken is said in a sentence and the default is used; an opt-out that isn't whole is none, because
an instance that nobody watches must be somebody's decision. What is said about recovery and can't be taken stops acts:
who wrote it wanted fewer of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from jobs.cluster.fields import MAX_SENTENCE_CHARACTERS, at, parse_instant_ms, printable, text

MOTION = "loco-health/expect-motion-seconds"
SOUND = "loco-health/expect-sound-seconds"
MONITORING = "loco-health/monitoring"
REASON = "loco-health/monitoring-reason"
UNTIL = "loco-health/monitoring-until"
RECOVERY = "loco-health/recovery"
MAINTENANCE = "loco-health/maintenance-until"

_PREFIX = "loco-health/"
_KNOWN = frozenset({MOTION, SOUND, MONITORING, REASON, UNTIL, RECOVERY, MAINTENANCE})

# As in jobs.inventory: a day.
MAX_EXPECTED_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Wishes:
    """off_reason, off_until_ms: both or neither. notes: one sentence for each annotation that wasn't taken.

    is_recovery_off, maintenance_until_ms: watched and not acted on, for good or until then.
    """

    expect_motion_seconds: float | None
    expect_sound_seconds: float | None
    off_reason: str | None
    off_until_ms: int | None
    is_recovery_off: bool
    maintenance_until_ms: int | None
    notes: tuple[str, ...]


def wishes_of(pod: object) -> Wishes:
    """Return what any pod's annotations ask for."""
    notes: list[str] = []
    motion, sound = _seconds(pod, MOTION, notes), _seconds(pod, SOUND, notes)
    reason, until_ms = _opt_out(pod, notes)
    is_off, maintenance_ms = _recovery(pod, notes)
    return Wishes(motion, sound, reason, until_ms, is_off, maintenance_ms, tuple(notes))


def _seconds(pod: object, name: str, notes: list[str]) -> float | None:
    line = at(pod, "metadata", "annotations", name)
    if line is None:
        return None
    try:
        seconds = float(line) if isinstance(line, str) else math.nan
    except ValueError:
        seconds = math.nan
    if 0 < seconds <= MAX_EXPECTED_SECONDS:
        return seconds
    allowed = f"a number of seconds above 0 and up to {MAX_EXPECTED_SECONDS} is allowed"
    notes.append(f"annotation {name} is {_shown(line)}, {allowed}; nothing is expected")
    return None


def _opt_out(pod: object, notes: list[str]) -> tuple[str, int] | tuple[None, None]:
    line = at(pod, "metadata", "annotations", MONITORING)
    if line in (None, "on"):
        return None, None
    if line != "off":
        notes.append(f'annotation {MONITORING} is {_shown(line)}, "on" or "off" is allowed; the pod is watched')
        return None, None
    reason = text(pod, "metadata", "annotations", REASON, most=MAX_SENTENCE_CHARACTERS)
    until = at(pod, "metadata", "annotations", UNTIL)
    until_ms = parse_instant_ms(until) if isinstance(until, str) else None
    if not reason:
        notes.append(f'annotation {MONITORING} is "off" but {REASON} says no reason; the pod is watched')
    if until_ms is None:
        wanted = "an instant such as 2026-12-01T00:00:00Z is needed"
        notes.append(f'annotation {MONITORING} is "off" but {UNTIL} is {_shown(until)}, {wanted}; the pod is watched')
    return (reason, until_ms) if reason and until_ms is not None else (None, None)


def _recovery(pod: object, notes: list[str]) -> tuple[bool, int | None]:
    """Return whether acts are off for good, and until when they are for maintenance."""
    line = at(pod, "metadata", "annotations", RECOVERY)
    is_off = line not in (None, "on")
    if is_off and line != "off":
        notes.append(f'annotation {RECOVERY} is {_shown(line)}, "on" or "off" is allowed; nothing is done to the pod')
    until = at(pod, "metadata", "annotations", MAINTENANCE)
    until_ms = parse_instant_ms(until) if isinstance(until, str) else None
    if until is not None and until_ms is None:
        wanted = "an instant such as 2026-12-01T00:00:00Z is needed"
        notes.append(f"annotation {MAINTENANCE} is {_shown(until)}, {wanted}; nothing is done to the pod")
        is_off = True
    strange = _strange(pod)
    if strange:
        notes.append(f"annotation {printable(strange, 60)} isn't known; nothing is done to the pod")
        is_off = True
    return is_off, until_ms


def _strange(pod: object) -> str | None:
    """Return the first annotation of ours that there is not, such as a misspelt one that was to stop acts."""
    found = at(pod, "metadata", "annotations")
    names = [str(name) for name in found] if isinstance(found, dict) else []
    return min((name for name in names if name.startswith(_PREFIX) and name not in _KNOWN), default=None)


def _shown(value: object) -> str:
    return "missing" if value is None else repr(printable(str(value), 60))
