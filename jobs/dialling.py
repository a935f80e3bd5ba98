"""Where a single request goes, and how much of its answer is read.

A name is looked up once, and leads nowhere that is never an instance or a receiver of ours.
"""

from __future__ import annotations

import socket
import time
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from jobs.health.addresses import refusal_of_literal


class NotDialled(Exception):
    """A URL leads nowhere, or where nothing is ever dialled; the text is one clause."""


class Cut(Exception):
    """An answer that is too long, or takes too long; the text is one clause."""


class Body(Protocol):
    """What urllib3 has of an answer's body."""

    def read1(self, amt: int, *, decode_content: bool) -> bytes:
        """Return what is there, at most `amt` bytes, empty at the end."""


def read_whole(body: Body, *, max_bytes: int, ends_at: float) -> bytes:
    """Return a body as it came. ends_at: monotonic. Raises: Cut, urllib3's HTTPError.

    Piece by piece as they come: `iter_content` waits for a whole one, and so for ever while an answer drips.
    """
    whole = b""
    while piece := body.read1(16_384, decode_content=False):
        whole += piece
        if len(whole) > max_bytes:
            raise Cut(f"an answer of more than {max_bytes} bytes")
        if time.monotonic() > ends_at:
            raise Cut("an answer that didn't end in its time")
    return whole


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
    except UnicodeError as error:  # a label that is empty or longer than 63 characters
        raise NotDialled(f"{host} is no name that can be looked up") from error
    addresses = [str(one[4][0]) for one in found]
    refusal = next((said for said in map(refusal_of_literal, addresses) if said), "")
    if refusal:
        raise NotDialled(refusal)
    if parts.scheme == "https":
        return url, parts.netloc
    address = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    return urlunsplit(parts._replace(netloc=f"{address}:{port}")), parts.netloc
