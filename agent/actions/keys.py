"""The key file, read at each use, so that a rotated key works without a restart."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from agent.settings import Settings
from agent.signing import parse_keys

# chosen: two keys and their line ends are 130 bytes.
_MAX_BYTES = 1024


class KeysMissing(Exception):
    """No key can be had, so all acts are off; the text is one clause and never part of a key."""


def read_keys(settings: Settings) -> tuple[bytes, ...]:
    """Return the keys whose signatures count, the newest first. Raises: KeysMissing."""
    if not settings.pod_uid:
        raise KeysMissing("the pod's uid isn't known (LOCO_POD_UID), so no request can be told to be for it")
    if not settings.action_key_file:
        raise KeysMissing("no key file is set (LOCO_ACTION_KEY_FILE)")
    path = Path(settings.action_key_file)
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        # Kubernetes mounts an empty directory for a Secret's entry that isn't there.
        why = "there is no key for this instance" if error.errno == errno.EISDIR else os.strerror(error.errno or 0)
        raise KeysMissing(f"key file {path}: {why}") from error
    if not text.strip():
        raise KeysMissing(f"key file {path} is empty")
    if len(text) > _MAX_BYTES:
        raise KeysMissing(f"key file {path} is larger than {_MAX_BYTES} bytes")
    try:
        return parse_keys(text.decode("ascii", errors="replace"))
    except ValueError as error:
        raise KeysMissing(f"key file {path}: {error}") from error


def why_off(settings: Settings) -> str | None:
    """Return why no act is done here, None when keys are there."""
    try:
        read_keys(settings)
    except KeysMissing as error:
        return f"acts are off: {error}"
    return None
