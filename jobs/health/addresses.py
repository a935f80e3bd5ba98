"""Which addresses are never an instance, so that nobody can make the probes dial where they shouldn't; pure.

Source: OWASP, Server-Side Request Forgery Prevention Cheat Sheet (2025): cloud metadata lives on link-local addresses.
"""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# Amazon EC2's and Google's metadata service on IPv6 isn't link-local (EC2 user guide, "Use the Instance Metadata
# Service"; it is a unique local address, as those of pods may be).
_METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("fd20:ce::254")})


def parse_address(host: str) -> Address | None:
    """Return a literal address without its zone, an IPv4 one that IPv6 wraps as itself; None for a name."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def refusal_of_literal(host: str) -> str:
    """Say why a literal address is never dialled, with the address; empty where it may be."""
    address = parse_address(host)
    refusal = refusal_of(address) if address else "that is no address"
    return f"{host}: {refusal}" if refusal else ""


def refusal_of(address: Address) -> str:
    """Say why an address is never dialled, empty where it may be."""
    if address in _METADATA:
        return "the address of a cloud's metadata service is never dialled"
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return "a link-local, multicast or unspecified address is never dialled"
    return ""
