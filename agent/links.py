"""Changes to network interfaces of our namespace, by rtnetlink(7); each needs CAP_NET_ADMIN and can be done twice."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys

from agent.netlink import (
    ADDRESS,
    HEADER,
    IFA_ADDRESS,
    IFA_LOCAL,
    IFF_UP,
    IFLA_IFNAME,
    IFLA_MASTER,
    LINK,
    NLM_F_REQUEST,
    ask,
    attribute,
    message,
)

# linux/netlink.h, linux/rtnetlink.h, linux/if_link.h
_NLM_F_ACK, _NLM_F_EXCL, _NLM_F_CREATE = 4, 0x200, 0x400
_RTM_NEWLINK, _RTM_NEWADDR = 16, 20
_IFLA_LINKINFO, _IFLA_INFO_KIND = 18, 1


def set_up(index: int, *, is_up: bool) -> None:
    """Take an interface up or down. Raises: OSError."""
    _change(_RTM_NEWLINK, 0, LINK.pack(socket.AF_UNSPEC, 0, index, IFF_UP if is_up else 0, IFF_UP))


def join(index: int, *, bridge: int) -> None:
    """Put an interface into a bridge. Raises: OSError."""
    head = LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0)
    _change(_RTM_NEWLINK, 0, head + attribute(IFLA_MASTER, bridge.to_bytes(4, sys.byteorder)))


def make_bridge(name: str) -> None:
    """Make a bridge. Raises: OSError."""
    kind = attribute(_IFLA_LINKINFO, attribute(_IFLA_INFO_KIND, b"bridge\0"))
    body = LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute(IFLA_IFNAME, name.encode() + b"\0") + kind
    _change(_RTM_NEWLINK, _NLM_F_CREATE | _NLM_F_EXCL, body)


def add_address(index: int, address: str) -> None:
    """Give an interface an address such as `192.0.2.1/24`; one that it has is left. Raises: OSError."""
    interface = ipaddress.ip_interface(address)
    family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
    packed = interface.ip.packed
    body = ADDRESS.pack(family, interface.network.prefixlen, 0, 0, index)
    try:
        _change(_RTM_NEWADDR, _NLM_F_CREATE, body + attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed))
    except FileExistsError:
        return


def _change(kind: int, flags: int, body: bytes) -> None:
    """Have the kernel do one thing. Raises: OSError with its reason."""
    with ask(message(kind, NLM_F_REQUEST | _NLM_F_ACK | flags, body)) as kernel:
        answer = kernel.recv(65536)
    (code,) = struct.unpack_from("=i", answer, HEADER.size)
    if code:
        raise OSError(-code, os.strerror(-code))
