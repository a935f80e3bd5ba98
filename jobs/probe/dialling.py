"""Where a single request to an agent goes: a name is looked up once, and leads nowhere that is never an instance."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit, urlunsplit

from jobs.health.addresses import refusal_of_literal


class NotDialled(Exception):
    """A URL leads nowhere, or where nothing is ever dialled; the text is one clause."""


def dialled(url: str) -> tuple[str, str]:
    """Return the URL with an address that may be dialled in place of its host, and the host for its header.

    Names are looked up here and nowhere else, so that a second answer can't lead elsewhere. Under TLS the name stays:
    there the certificate says who answers. Raises: NotDialled.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotDialled(f"{host or url}: {error.strerror or error}") from error
    addresses = [str(one[4][0]) for one in found]
    refusal = next((said for said in map(refusal_of_literal, addresses) if said), "")
    if refusal:
        raise NotDialled(refusal)
    if parts.scheme == "https":
        return url, parts.netloc
    address = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    return urlunsplit(parts._replace(netloc=f"{address}:{port}")), parts.netloc
