"""The fleet's switches, as ConfigMap `loco-control` or a folder of files of the same names says them; pure.

Keys: `recovery` ("on", "off": the kill switch), `pause-until` (an instant), `pause-reason`. A value or a key that can't
be taken stops all acts: acts fail closed, and whoever misspelt a switch wanted fewer of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from jobs.health.recovery import Hold

RECOVERY = "recovery"
PAUSE_UNTIL = "pause-until"
PAUSE_REASON = "pause-reason"
SWITCHES = (RECOVERY, PAUSE_UNTIL, PAUSE_REASON)

# chosen: enough to recognise what was written; a plan carries the sentence for each sick instance.
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Stop:
    """Why no act is allowed now. until_ms: wall clock, None where somebody has to lift it."""

    hold: Hold
    detail: str
    until_ms: int | None = None


def stop_of(data: Mapping[str, str], now_ms: int) -> Stop | None:
    """Return what the switches forbid now, None when they forbid nothing."""
    switch = data.get(RECOVERY, "on").strip()
    if switch != "on":
        refused = f"{RECOVERY} is {switch[:_SHOWN_CHARACTERS]!r}, on or off is allowed"
        why = "recovery is switched off" if switch == "off" else refused
        return Stop(Hold.KILL_SWITCH, f"{why} in loco-control")
    strange = min(data.keys() - set(SWITCHES), default=None)
    if strange is not None:
        allowed = ", ".join(SWITCHES)
        return Stop(Hold.KILL_SWITCH, f"{strange[:_SHOWN_CHARACTERS]!r} is no switch of loco-control, it has {allowed}")
    line = data.get(PAUSE_UNTIL, "").strip()
    if not line:
        return None
    until_ms = _instant_ms(line)
    if until_ms is None:
        wanted = "an instant such as 2026-12-01T00:00:00Z is needed"
        return Stop(Hold.PAUSED, f"{PAUSE_UNTIL} is {line[:_SHOWN_CHARACTERS]!r} in loco-control, {wanted}")
    if now_ms >= until_ms:
        return None
    reason = data.get(PAUSE_REASON, "").strip()[:200] or "no reason given"
    return Stop(Hold.PAUSED, f"paused until {line}: {reason}", until_ms)


def _instant_ms(line: str) -> int | None:
    try:
        at = datetime.fromisoformat(line)
    except ValueError:
        return None
    return round(at.timestamp() * 1000) if at.tzinfo else None
