"""Secrets of the receivers, each a file that is read at the start; no error says what is in one."""

from __future__ import annotations

import base64
import binascii
import ssl
from pathlib import Path

from jobs.errors import ConfigError

# Standard Webhooks, "Signature scheme": a secret is 24 to 64 bytes, base64, behind this prefix.
KEY_PREFIX = "whsec_"
MIN_KEY_BYTES = 24
MAX_KEY_BYTES = 64

# chosen: while a receiver is told the new key, messages are signed with both.
MAX_KEYS = 2

_MAX_FILE_BYTES = 16 * 1024


def read_keys(setting: str, path: Path) -> tuple[bytes, ...]:
    """Return the keys of a file, one a line. Raises: ConfigError."""
    lines = _text(setting, path).split()
    if not 1 <= len(lines) <= MAX_KEYS:
        raise ConfigError(
            f"{setting}: {path} holds {len(lines)} keys, allowed are 1 to {MAX_KEYS}; nothing was started"
        )
    return tuple(_key(setting, path, line) for line in lines)


def read_token(setting: str, path: Path | None) -> str | None:
    """Return the bearer token of a file, None without one. Raises: ConfigError."""
    if path is None or not _is_there(setting, path):
        return None
    words = _text(setting, path).split()
    if len(words) != 1 or not (words[0].isascii() and words[0].isprintable()):
        raise ConfigError(f"{setting}: {path} doesn't hold one word of ASCII, which a token is; nothing was started")
    return words[0]


def checked_ca(setting: str, path: Path | None) -> Path | None:
    """Return a file that holds certificates, None without one. Raises: ConfigError."""
    if path is None or not _is_there(setting, path):
        return None
    try:
        ssl.create_default_context(cafile=str(path))
    except OSError as error:  # what ssl raises is of this kind too
        raise ConfigError(f"{setting}: {path} holds no certificate that can be read; nothing was started") from error
    return path


def _is_there(setting: str, path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise ConfigError(f"{setting}: {path} can't be read: {error.strerror}; nothing was started") from error


def _text(setting: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{setting}: {path} can't be read: {error.strerror}; nothing was started") from error
    if len(data) > _MAX_FILE_BYTES:
        raise ConfigError(f"{setting}: {path} has over {_MAX_FILE_BYTES} bytes; nothing was started")
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise ConfigError(f"{setting}: {path} isn't ASCII; nothing was started") from None


def _key(setting: str, path: Path, line: str) -> bytes:
    try:
        key = base64.b64decode(line.removeprefix(KEY_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not line.startswith(KEY_PREFIX) or not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ConfigError(
            f"{setting}: a line of {path} isn't {KEY_PREFIX} with {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes in base64 "
            "behind it; nothing was started"
        )
    return key
