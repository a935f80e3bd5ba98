"""A VNC server's half of the RFB handshake (RFC 6143), for scripts of `servers.serving`."""

import socket
import struct

VERSION = b"RFB 003.008\n"
SERVER_INIT = struct.pack(">HHBBBBHHHBBB3x", 320, 200, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0) + b"\0\0\0\4QEMU"


def exactly(connection: socket.socket, count: int) -> bytes:
    """Return the next `count` bytes."""
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ConnectionResetError
        data += piece
    return data


def shake_hands(connection: socket.socket, *, piece_bytes: int = 4096, then: bytes = b"") -> bytes:
    """Be a server without a password, and return the client's ClientInit."""

    def say(data):
        for start in range(0, len(data), piece_bytes):
            connection.sendall(data[start : start + piece_bytes])

    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    say(VERSION)
    assert VERSION == exactly(connection, 12)
    say(b"\1\1")
    assert b"\1" == exactly(connection, 1)
    say(b"\0\0\0\0")
    client_init = exactly(connection, 1)
    say(SERVER_INIT + then)
    return client_init
