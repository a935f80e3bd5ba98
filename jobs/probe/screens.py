"""Pictures of the instances' screens: fetched when a report says that the screen's hash has moved, the latest only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

from jobs.health.model import InstanceKey, ProbeOutcome
from jobs.health.watched import Watched
from jobs.probe.answers import Answer, Request

# architecture section 7
MAX_SCREEN_BYTES = 16 * 1024

# PNG specification, third edition, section 5.2
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A picture that was asked for: the hash by which the report told it, and at which tick."""

    hash: str
    tick: int


class Pictures:
    """Which picture is there of each instance, and which is under way. kept: hashes, by key."""

    def __init__(self, kept: Mapping[InstanceKey, str]) -> None:
        self._kept = dict(kept)
        self._asked: dict[InstanceKey, _Asked] = {}

    def follow(self, kept: Mapping[InstanceKey, str]) -> None:
        """Take over which pictures the store keeps: one goes with its instance."""
        self._kept = dict(kept)

    def requests(self, fleet: Iterable[Watched]) -> list[Request]:
        """Return what to ask for: of each instance the picture that is not there yet, once a tick at most."""
        due = []
        for watched in fleet:
            key, report = watched.instance.key, watched.probe and watched.probe.report
            moved = report.screen.hash if report and report.screen else None
            asked = self._asked.get(key)
            if moved and moved != self._kept.get(key) and not (asked and asked.tick == watched.tick):
                self._asked[key] = _Asked(moved, watched.tick)
                url = urljoin(watched.instance.health_url, "screen.png")
                due.append(Request(key, url, MAX_SCREEN_BYTES))
        return due

    def take(self, answer: Answer) -> str | None:
        """Return the hash of the picture that an answer's body holds, or None where it holds none."""
        asked = self._asked.get(answer.request.key)
        if asked is None or not _is_png(answer):
            return None
        self._kept[answer.request.key] = asked.hash
        return asked.hash


def _is_png(answer: Answer) -> bool:
    """Tell whether it is a whole answer with a picture."""
    is_whole = answer.outcome is ProbeOutcome.OK and answer.status == 200
    return is_whole and answer.content_type == "image/png" and answer.body.startswith(_PNG_SIGNATURE)
