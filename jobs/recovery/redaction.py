"""Taking out of any JSON what nobody should keep: whatever is called a secret, and whatever looks like one; pure."""

from __future__ import annotations

import re
from typing import Any

REDACTED = "(redacted)"

# chosen: deeper than any object of Kubernetes; what lies below is left out.
_MAX_DEPTH = 32

# A name that says so, whatever stands before or after it.
_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?$|passwd|password|secret|token|credential|authorization|cookie|api[-_]?key"
    r"|private[-_]?key|access[-_]?key|signature|challenge|^key$|[-_.]key$|^env$|^envfrom$",
    re.IGNORECASE,
)

# Source of each: RFC 9110 section 11.4 (credentials), RFC 7519 section 3 (a JWT begins with `{"` in base64url),
# RFC 7468 (PEM), RFC 3986 section 3.2.1 (userinfo), agent.signing (a key or a signature is 64 hexadecimal digits; the
# same of an image or a container is told by what stands before it).
_SECRET_TEXT = re.compile(
    r"(?i:\b(?:bearer|basic|digest|negotiate)\s+[\w.~+/=-]{6,})"
    r"|(?i:\bauthorization\s*[:=]\s*[^\r\n]+)"
    r"|LOCO-HMAC-SHA256[^\r\n]*"
    r"|\beyJ[\w-]{5,4096}\.[\w-]+\.?[\w-]*"
    r"|-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)"
    r"|(?<=://)[^/\s@]+(?=@)"
    r"|(?i:(?:password|passwd|secret|token|api[-_]?key|access[-_]?key)[\"']?\s*[:=]\s*[^\s,;&]+)"
    r"|(?<!sha256:)(?<!containerd://)(?<!docker://)(?<!cri-o://)\b[0-9a-f]{64}\b",
    re.DOTALL,
)


def redact(value: Any, *, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
    """Return the same JSON without secrets."""
    if depth > _MAX_DEPTH:
        return REDACTED
    if isinstance(value, dict):
        return {
            redact_text(str(name)): REDACTED
            if _SECRET_NAME.search(str(name)) and _says_something(one)
            else redact(one, depth=depth + 1)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(one, depth=depth + 1) for one in value]
    return redact_text(value) if isinstance(value, str) else value


def redact_text(text: str) -> str:
    """Return a text without what looks like a secret."""
    return _SECRET_TEXT.sub(REDACTED, text)


def _says_something(value: object) -> bool:
    """Tell whether a value could be a secret: nothing, truth values and counts aren't."""
    return not (value is None or isinstance(value, bool | int | float))
