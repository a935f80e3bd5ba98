"""Evidence bundles as they were kept: seen before an act, and after it."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

import msgspec

from jobs.health.recovery import Attempt
from jobs.store.evidence import read_bundle

GONE = "it was deleted: bundles are kept for 7 days, and 256 MiB of them"

# PNG specification, section 5.2
_PNG = b"\x89PNG\r\n\x1a\n"

_any = msgspec.json.Decoder(msgspec.Raw)


class Screen(msgspec.Struct, frozen=True):
    """One picture, or why there is none. png: base64."""

    png: str | None = None
    takenAt: str | None = None  # noqa: N815 - the bundle's name
    error: str | None = None

    @property
    def picture(self) -> bytes | None:
        """Return the picture, None where there is none or what is there isn't one."""
        try:
            found = base64.b64decode(self.png or "", validate=True)
        except (ValueError, binascii.Error):
            return None
        return found if found.startswith(_PNG) else None


class After(msgspec.Struct, frozen=True):
    """What the last look after an act saw."""

    collectedAt: str | None = None  # noqa: N815 - the bundle's name
    verdict: str | None = None
    reasons: list[Any] = []
    screen: Screen = Screen()


class Bundle(msgspec.Struct, frozen=True):
    """A bundle's parts that a page shows. Everything may be missing: another version may have kept it."""

    collectedAt: str | None = None  # noqa: N815 - the bundle's name
    verdict: str | None = None
    reasons: list[Any] = []
    screens: list[Screen] | None = None
    report: Any = None
    agent: Any = None
    pod: Any = None
    node: Any = None
    signals: list[Any] | None = None
    leftOut: list[str] = []  # noqa: N815 - the bundle's name
    after: After | None = None

    @property
    def before(self) -> Screen:
        """Return the picture of right before the act, the one that was kept earlier where there is none."""
        screens = self.screens or []
        return next((one for one in reversed(screens) if one.png), screens[-1] if screens else Screen())


_bundle = msgspec.json.Decoder(Bundle)


def bundle(attempt: Attempt, store: Path) -> dict[str, Any]:
    """Return one attempt's bundle; null with the problem when it can't be told any more."""
    found, problem = _read(attempt, store)
    return {"attempt": attempt.id, "action": attempt.action, "bundle": found, "problem": problem}


def kept(attempt: Attempt, store: Path) -> Bundle | str:
    """Return one attempt's bundle by its parts, or why it can't be told."""
    found, problem = _read(attempt, store)
    if found is None:
        return problem or GONE
    try:
        return _bundle.decode(found)
    except (msgspec.MsgspecError, RecursionError):
        return "it is of a version that this page can't show"


def _read(attempt: Attempt, store: Path) -> tuple[msgspec.Raw | None, str | None]:
    """Return a bundle as its text, or why there is none."""
    if not attempt.has_evidence:
        return None, "none was kept"
    try:
        body = read_bundle(store, attempt.id)
        if body is None:
            return None, GONE
        return _any.decode(body.decode()), None  # msgspec doesn't look into the strings
    except OSError as error:
        return None, f"it can't be read: {error.strerror or error}"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, "it is damaged"
