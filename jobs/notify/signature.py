"""Signatures of the webhook, as Standard Webhooks 1.0 has them, so that its libraries verify them; pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable


def sign(keys: Iterable[bytes], *, delivery: str, at_seconds: int, body: bytes) -> dict[str, str]:
    """Return the three headers of a message. delivery: its id, without a full stop."""
    signed = f"{delivery}.{at_seconds}.".encode() + body
    signatures = (base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys)
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(at_seconds),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
