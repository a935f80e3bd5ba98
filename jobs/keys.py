"""The master key and what is made of it: one key an instance, the newest first and one before it; pure.

A key file has one key a line as 64 hexadecimal digits, see agent.signing.
"""

from __future__ import annotations

import secrets

from agent.signing import KEY_BYTES, derive_key, parse_keys
from jobs.errors import ConfigError
from jobs.health.model import InstanceKey


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
