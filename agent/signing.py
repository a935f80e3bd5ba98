"""Who may have the agent act: one key per instance, and a signature over a challenge of the agent's own; pure.

The master key stays with the recovery Jobs. Each instance has a key derived from it, so that what leaks from one
instance opens no other. The agent hands out a challenge, so no clock of the sender is involved; see agent.actions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# RFC 5869 section 2.2: a fixed salt keeps keys of this purpose apart from others of the same master.
_SALT = b"loco-health action key 1"

# What is signed begins with the scheme's name, so that no other message can be mistaken for one.
SCHEME = "LOCO-HMAC-SHA256"

KEY_BYTES = 32

_AUTHORIZATION = re.compile(rf'{SCHEME} challenge="([\x21\x23-\x5b\x5d-\x7e]{{1,200}})", signature="([0-9a-f]{{64}})"')


def derive_key(master: bytes, namespace: str, pod: str) -> bytes:
    """Return the 32 byte key of one instance."""
    return hkdf(master, salt=_SALT, info=f"{namespace}/{pod}".encode())


def hkdf(secret: bytes, *, salt: bytes, info: bytes) -> bytes:
    """Return the first block, 32 bytes, of HKDF with SHA-256. Source: RFC 5869, sections 2.2 and 2.3."""
    return mac(mac(salt, secret), info + b"\x01")


@dataclass(frozen=True, slots=True)
class Signable:
    """What a signature covers: one request, the challenge it answers, and the pod that it is meant for."""

    challenge: str
    method: str
    path: str
    body: bytes
    pod_uid: str


def sign(key: bytes, request: Signable) -> str:
    """Return the signature of one request as 64 hexadecimal digits."""
    import hashlib  # noqa: PLC0415 - see mac

    digest = hashlib.sha256(request.body).hexdigest()
    lines = (SCHEME, request.challenge, request.method, request.path, digest, request.pod_uid)
    return mac(key, "\n".join(lines).encode()).hex()


def is_signed(keys: Iterable[bytes], signature: str, request: Signable) -> bool:
    """Tell whether one of the keys made the signature; a second key is the one before a rotation."""
    return any(is_same(sign(key, request), signature) for key in keys)


def mac(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA256 of a message (RFC 2104)."""
    import hmac  # noqa: PLC0415 - OpenSSL is 3.6 MiB that an agent whom nobody asks need not pay

    return hmac.digest(key, message, "sha256")


def is_same(one: str, other: str) -> bool:
    """Compare two texts in a time that tells nothing about where they differ."""
    import hmac  # noqa: PLC0415 - see mac

    return hmac.compare_digest(one.encode(), other.encode())


def authorization(challenge: str, signature: str) -> str:
    """Return the value of the Authorization header."""
    return f'{SCHEME} challenge="{challenge}", signature="{signature}"'


def parse_authorization(value: str) -> tuple[str, str] | None:
    """Return (challenge, signature) of an Authorization header, None for anything else."""
    match = _AUTHORIZATION.fullmatch(value)
    return (match[1], match[2]) if match else None


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Return the keys of a key file: one a line as 64 hexadecimal digits, the newest first, at most two.

    Raises: ValueError with one clause about the line.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not 1 <= len(lines) <= 2:
        raise ValueError(f"{len(lines)} keys, one or two are allowed")
    for number, line in enumerate(lines, start=1):
        if not re.fullmatch(rf"[0-9a-f]{{{2 * KEY_BYTES}}}", line):
            raise ValueError(f"line {number} isn't {2 * KEY_BYTES} hexadecimal digits")
    return tuple(bytes.fromhex(line) for line in lines)
