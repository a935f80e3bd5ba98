"""Who asks: bearer tokens, and where a request may come from when this machine is the whole cluster.

A token is handed on or compared, and stands in no log, answer or error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from api.problem import ProblemReason, echo, forbidden, unauthorized

# RFC 6750 section 2.1
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)")

# RFC 9110 section 4.2.3: the port is left out where it is the scheme's own
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(:[0-9]{1,5})?")


def bearer(environ: Mapping[str, Any], *, how: str) -> str:
    """Return the caller's token. how: one clause that says where to get one.

    Raises: Problem (401).
    """
    line = environ.get("HTTP_AUTHORIZATION", "")
    if not line:
        raise unauthorized(ProblemReason.CREDENTIALS_MISSING, f"no Authorization came with the request; {how}")
    match = _BEARER.fullmatch(line.strip())
    if match is None:
        raise unauthorized(ProblemReason.CREDENTIALS_REFUSED, f"Authorization is no single bearer token; {how}")
    return match[1]


def refuse_foreign(environ: Mapping[str, Any]) -> None:
    """Let only requests through that were sent to this machine by name and by no other site's page.

    Against DNS rebinding the Host must be a loopback name; a browser's page must be of the same origin.
    Raises: Problem (403).
    """
    host = environ.get("HTTP_HOST", "")
    if not is_loopback(host):
        raise forbidden(
            ProblemReason.FOREIGN_ORIGIN,
            f"Host is {echo(host)}, a loopback name such as localhost is allowed; nothing was started",
        )
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and origin.partition("://")[2] != host:
        raise forbidden(
            ProblemReason.FOREIGN_ORIGIN, f"Origin is {echo(origin)}, this API's own is allowed; nothing was started"
        )
    site = environ.get("HTTP_SEC_FETCH_SITE", "none")
    if site not in ("none", "same-origin"):
        raise forbidden(
            ProblemReason.FOREIGN_ORIGIN,
            f"Sec-Fetch-Site is {echo(site)}, same-origin or none is allowed; nothing was started",
        )


def is_loopback(host: str) -> bool:
    """Tell whether a Host header, or a listening address, names this machine alone."""
    match = _HOST.fullmatch(host)
    name = match[1].strip("[]") if match else ""
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
