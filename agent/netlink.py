"""What the kernel says of network interfaces, asked by rtnetlink(7).

/sys/class/net shows whatever namespace was current when it was mounted; a netlink socket always answers for ours.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

# linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/if.h
NLMSG_ERROR, _NLMSG_DONE = 2, 3
NLM_F_REQUEST, _NLM_F_DUMP = 1, 0x300
_RTM_GETLINK, _RTM_GETADDR = 18, 22
IFLA_IFNAME, IFLA_MASTER, _IFLA_STATS64, _IFLA_CARRIER = 3, 10, 23, 33
IFA_ADDRESS, IFA_LOCAL = 1, 2
IFF_UP = 1

HEADER = struct.Struct("=IHHII")  # nlmsghdr
LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
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
    question = LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute(IFLA_IFNAME, name.encode() + b"\0")
    with ask(message(_RTM_GETLINK, NLM_F_REQUEST, question)) as kernel:
        return parse_link(kernel.recv(65536))


def read_links() -> dict[str, Link]:
    """Return all interfaces of our network namespace by name. Raises: OSError."""
    answers = _dump(_RTM_GETLINK, LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
    return {_name(answer): link for answer in answers if (link := parse_link(answer))}


def read_addresses(index: int) -> list[str]:
    """Return the addresses of one interface with their prefix, as in `192.0.2.1/24`. Raises: OSError."""
    found = []
    for answer in _dump(_RTM_GETADDR, ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
        _, prefix, _, _, of_index = ADDRESS.unpack_from(answer, HEADER.size)
        attributes = _attributes(answer, HEADER.size + ADDRESS.size)
        packed = attributes.get(IFA_LOCAL) or attributes.get(IFA_ADDRESS)
        if of_index == index and packed:
            found.append(f"{ipaddress.ip_address(packed)}/{prefix}")
    return found


def parse_link(answer: bytes) -> Link | None:
    """Return the interface that an RTM_NEWLINK message describes, or None for "no such device"."""
    _, kind, _, _, _ = HEADER.unpack_from(answer)
    if kind == NLMSG_ERROR:
        (code,) = struct.unpack_from("=i", answer, HEADER.size)
        if -code == errno.ENODEV:
            return None
        raise OSError(-code, os.strerror(-code))
    _, _, index, flags, _ = LINK.unpack_from(answer, HEADER.size)
    attributes = _attributes(answer, HEADER.size + LINK.size)
    stats = attributes[_IFLA_STATS64]
    rx_packets, tx_packets, _, _, rx_errors, tx_errors, rx_dropped, tx_dropped = _STATS.unpack_from(stats)
    carrier = attributes.get(_IFLA_CARRIER)
    master = attributes.get(IFLA_MASTER)
    return Link(
        index=index,
        is_up=bool(flags & IFF_UP),
        has_carrier=None if carrier is None else bool(carrier[0]),
        master=None if master is None else int.from_bytes(master, sys.byteorder),
        rx_packets=rx_packets,
        tx_packets=tx_packets,
        rx_errors=rx_errors,
        tx_errors=tx_errors,
        rx_dropped=rx_dropped,
        tx_dropped=tx_dropped,
    )


def ask(question: bytes) -> socket.socket:
    """Return a socket on which the kernel's answer waits. Raises: OSError."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    try:
        kernel.settimeout(1.0)
        kernel.send(question)
    except OSError:
        kernel.close()
        raise
    return kernel


def message(kind: int, flags: int, body: bytes) -> bytes:
    """Return one netlink message."""
    return HEADER.pack(HEADER.size + len(body), kind, flags, 1, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute, padded to its alignment."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _dump(kind: int, body: bytes) -> Iterator[bytes]:
    """Yield the messages of an answer that comes in several. Raises: OSError."""
    with ask(message(kind, NLM_F_REQUEST | _NLM_F_DUMP, body)) as kernel:
        while True:
            data = kernel.recv(1 << 18)
            while data:
                length, answer, _, _, _ = HEADER.unpack_from(data)
                if answer == _NLMSG_DONE:
                    return
                yield data[:length]
                data = data[length + -length % 4 :]


def _name(answer: bytes) -> str:
    """Return the name in an RTM_NEWLINK message."""
    return _attributes(answer, HEADER.size + LINK.size)[IFLA_IFNAME].rstrip(b"\0").decode(errors="replace")


def _attributes(answer: bytes, start: int) -> dict[int, bytes]:
    """Return the attributes from `start` on, by their type."""
    found = {}
    while start + _ATTRIBUTE.size <= len(answer):
        length, kind = _ATTRIBUTE.unpack_from(answer, start)
        if length < _ATTRIBUTE.size:
            break
        found[kind] = answer[start + _ATTRIBUTE.size : start + length]
        start += length + -length % 4
    return found
