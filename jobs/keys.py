"""The master key and what is made of it: one key an instance, the newest first and one before it.

A key file has one key a line as 64 hexadecimal digits, see agent.signing.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from agent.signing import KEY_BYTES, derive_key, parse_keys
from jobs.errors import ConfigError
from jobs.health.model import InstanceKey

# chosen: two keys and their line ends are 130 bytes.
_MAX_FILE_BYTES = 1024


class MasterMissing(Exception):
    """There is no master key, so nothing can be signed; the text is one clause and never part of a key."""


def new_master() -> str:
    """Return the text of a key file with one new key."""
    return render((secrets.token_bytes(KEY_BYTES),))


def rotate(text: str) -> str:
    """Return the text of a key file with a new key before the newest of `text`; one before that goes."""
    return render((secrets.token_bytes(KEY_BYTES), parse_keys(text)[0]))


def instance_keys(masters: tuple[bytes, ...], key: InstanceKey) -> tuple[bytes, ...]:
    """Return an instance's own keys, the newest first."""
    namespace, _, pod = key.partition("/")
    return tuple(derive_key(master, namespace, pod) for master in masters)


def render(keys: tuple[bytes, ...]) -> str:
    """Return the text of a key file."""
    return "".join(f"{key.hex()}\n" for key in keys)


def parse_master(text: str, where: str) -> tuple[bytes, ...]:
    """Return the master keys of a file or Secret. Raises: ConfigError, which never shows a key."""
    try:
        return parse_keys(text)
    except ValueError as error:
        raise ConfigError(f"master key {where}: {error}; nothing was written") from error


def read_master(path: Path | None) -> tuple[bytes, ...]:
    """Return the master keys of a file, the newest first. Raises: MasterMissing."""
    if path is None:
        raise MasterMissing("no master key is given (LOCO_MASTER_KEY_FILE), so no act can be signed")
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE_BYTES).decode("ascii", errors="replace")
        return parse_keys(text)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise MasterMissing(f"master key {path}: {why}, so no act can be signed") from error
