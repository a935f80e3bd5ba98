"""What the kernel says of one network interface, asked by rtnetlink(7).

/sys/class/net shows whatever namespace was current when it was mounted; a netlink socket always answers for ours.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from dataclasses import dataclass

# linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if.h
_NLMSG_ERROR, _RTM_GETLINK = 2, 18
_NLM_F_REQUEST = 1
_IFLA_IFNAME, _IFLA_MASTER, _IFLA_STATS64, _IFLA_CARRIER = 3, 10, 23, 33
_IFF_UP = 1

_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_INFO = struct.Struct("=BxHiII")  # ifinfomsg
_ATTRIBUTE = struct.Struct("=HH")  # rtattr
_STATS = struct.Struct("=8Q")  # the first eight of rtnl_link_stats64


@dataclass(frozen=True, slots=True)
class Link:
    """One interface: its index, the index of the bridge it belongs to (or None), and totals since it was made."""

    index: int
    is_up: bool
    has_carrier: bool | None
    master: int | None
    rx_packets: int
    tx_packets: int
    rx_errors: int
    tx_errors: int
    rx_dropped: int
    tx_dropped: int


def read_link(name: str) -> Link | None:
    """Return the interface of that name in our network namespace, or None where there is none.

    Raises: OSError when the kernel refuses the question. Cost: one message each way, 30 us.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(1.0)
        kernel.send(_question(name))
        return parse_link(kernel.recv(65536))


def parse_link(answer: bytes) -> Link | None:
    """Return the interface that an RTM_NEWLINK message describes, or None for "no such device"."""
    _, kind, _, _, _ = _HEADER.unpack_from(answer)
    if kind == _NLMSG_ERROR:
        (code,) = struct.unpack_from("=i", answer, _HEADER.size)
        if -code == errno.ENODEV:
            return None
        raise OSError(-code, os.strerror(-code))
    _, _, index, flags, _ = _INFO.unpack_from(answer, _HEADER.size)
    attributes = _attributes(answer, _HEADER.size + _INFO.size)
    stats = attributes[_IFLA_STATS64]
    rx_packets, tx_packets, _, _, rx_errors, tx_errors, rx_dropped, tx_dropped = _STATS.unpack_from(stats)
    carrier = attributes.get(_IFLA_CARRIER)
    master = attributes.get(_IFLA_MASTER)
    return Link(
        index=index,
        is_up=bool(flags & _IFF_UP),
        has_carrier=None if carrier is None else bool(carrier[0]),
        master=None if master is None else int.from_bytes(master, sys.byteorder),
        rx_packets=rx_packets,
        tx_packets=tx_packets,
        rx_errors=rx_errors,
        tx_errors=tx_errors,
        rx_dropped=rx_dropped,
        tx_dropped=tx_dropped,
    )


def _question(name: str) -> bytes:
    """Return RTM_GETLINK for one name."""
    text = name.encode() + b"\0"
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(text), _IFLA_IFNAME) + text + bytes(-len(text) % 4)
    body = _INFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute
    return _HEADER.pack(_HEADER.size + len(body), _RTM_GETLINK, _NLM_F_REQUEST, 1, 0) + body


def _attributes(message: bytes, start: int) -> dict[int, bytes]:
    """Return the attributes from `start` on, by their type."""
    found = {}
    while start + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, start)
        if length < _ATTRIBUTE.size:
            break
        found[kind] = message[start + _ATTRIBUTE.size : start + length]
        start += length + -length % 4
    return found
