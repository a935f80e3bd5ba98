"""The viewer's half of the remote framebuffer protocol (RFC 6143), without I/O: bytes in, bytes out.

`Handshake` goes as far as ServerInit and is always shared, so that it throws nobody out.
`Updates` then counts what the server paints, in bounded memory: pixels are skipped as they stream by.
Both take messages in pieces of any size. Neither ever starts an authentication.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum

# chosen: a sentence of a server fits; what doesn't is noise in logs and tables.
MAX_DETAIL_CHARS = 200

# chosen: a large clipboard; a server that pushes more than this at a viewer who asked for nothing isn't worth a burst.
MAX_CUT_TEXT_BYTES = 1024 * 1024

# RFC 6143 section 7.2: security types 0 (invalid) and 1 (none).
_INVALID, _NONE = 0, 1
# RFC 6143 sections 7.7.1 and 7.8.2: Raw and the DesktopSize pseudo-encoding.
_RAW, _DESKTOP_SIZE = 0, -223
# RFC 6143 section 7.1.2; 2 is not in the RFC but in the community's list: "too many attempts".
_RESULT_OK, _RESULT_TOO_MANY = 0, 2

_SHARED = b"\x01"

Script = Generator[int, bytes, None]
"""Yields n to be sent the next n bytes, -n to have n bytes thrown away (it is then sent b"")."""


class Failure(StrEnum):
    """Why a handshake can't be completed."""

    NOT_RFB = "not-rfb"
    DENIED = "denied"
    TOO_MANY = "too-many"


@dataclass(frozen=True, slots=True)
class ServerInit:
    """What the server shows: size in pixels, its name (at most 200 characters), its native pixel format."""

    width: int
    height: int
    name: str
    bits_per_pixel: int
    depth: int
    is_big_endian: bool
    is_true_colour: bool


class Handshake:
    """One handshake: feed it what arrives, send what it returns, until `is_over`.

    waiting_for: the message that the server owes next, for a caller whose deadline passes or whose peer hangs up.
    failure, detail: set as soon as there is a failure; detail, clean text of at most 200 characters, is whole when
    `is_over`.
    server_init: set when `is_done`. rest: bytes that came after ServerInit, for `Updates`.
    """

    def __init__(self) -> None:
        self.waiting_for = "version"
        self.failure: Failure | None = None
        self.detail = ""
        self.server_init: ServerInit | None = None
        self._out = b""
        self._stream = _Stream(self._script())

    @property
    def is_done(self) -> bool:
        """Tell whether ServerInit has arrived."""
        return self.server_init is not None

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more is to be read: ServerInit is there, or a failure and the server's words for it."""
        return self._stream.is_over

    @property
    def rest(self) -> bytes:
        """Return what arrived after ServerInit."""
        return bytes(self._stream.buffer)

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the server and return the bytes to send now, often none."""
        self._stream.feed(data)
        out, self._out = self._out, b""
        return out

    def _script(self) -> Script:
        minor = yield from self._agree_on_version()
        if minor is None:
            return
        self.waiting_for = "security types"
        agreed = yield from (self._accept_security() if minor == 3 else self._choose_security())
        if not agreed:
            return
        if minor == 8:
            self.waiting_for = "security result"
            result = int.from_bytes((yield 4), "big")
            if result != _RESULT_OK:
                yield from self._deny("security result", is_too_many=result == _RESULT_TOO_MANY)
                return
        self._out += _SHARED
        self.waiting_for = "server init"
        self.server_init = yield from self._server_init()

    def _agree_on_version(self) -> Generator[int, bytes, int | None]:
        """Answer the server's version with the highest of 3.3, 3.7 and 3.8 that it speaks; return the minor number."""
        head = yield 4  # a talker of another protocol may never send twelve bytes
        banner = head + ((yield 8) if head == b"RFB " else b"")
        match = re.fullmatch(rb"RFB (\d{3})\.(\d{3})\n", banner)
        version = (int(match[1]), int(match[2])) if match else (0, 0)
        if version < (3, 3):
            self._fail(Failure.NOT_RFB, f"the server says {_clean(banner)!r}, not an RFB version from 3.3 on")
            return None
        # RFC 6143 section 7.1.1: unknown numbers below 3.7 are to be taken as 3.3.
        minor = 8 if version >= (3, 8) else 7 if version == (3, 7) else 3
        self._out += b"RFB 003.%03d\n" % minor
        return minor

    def _accept_security(self) -> Generator[int, bytes, bool]:
        """Read the one security type that a 3.3 server dictates; tell whether it is none."""
        kind = int.from_bytes((yield 4), "big")
        if kind == _INVALID:
            yield from self._deny("security type")
        elif kind != _NONE:
            self._fail(Failure.DENIED, f"the server wants authentication (security type {kind})")
        return kind == _NONE

    def _choose_security(self) -> Generator[int, bytes, bool]:
        """Read the offered security types and choose none; tell whether it was offered."""
        (count,) = yield 1
        if count == 0:
            yield from self._deny("security types")
            return False
        kinds = yield count
        if _NONE not in kinds:
            offered = ", ".join(str(kind) for kind in kinds)
            self._fail(Failure.DENIED, f"the server wants authentication (security types {offered})")
            return False
        self._out += bytes([_NONE])
        return True

    def _deny(self, where: str, *, is_too_many: bool = False) -> Script:
        """Read the reason that follows a refusal, and fail with it."""
        failure = Failure.TOO_MANY if is_too_many else Failure.DENIED
        self._fail(failure, f"refused at {where}")  # stands if the server hangs up before its reason
        reason = yield from _text()
        if "too many" in reason.lower():
            failure = Failure.TOO_MANY
        self._fail(failure, f"refused at {where}: {reason}")

    def _server_init(self) -> Generator[int, bytes, ServerInit | None]:
        width, height, bits, depth, big, true = struct.unpack(">HHBBBB12x", (yield 20))
        if bits not in {8, 16, 32}:  # RFC 6143 section 7.4
            self._fail(Failure.NOT_RFB, f"pixels of {bits} bits, RFB has 8, 16 and 32")
            return None
        name = yield from _text()
        return ServerInit(width, height, name, bits, depth, bool(big), bool(true))

    def _fail(self, failure: Failure, detail: str) -> None:
        self.failure, self.detail = failure, detail[:MAX_DETAIL_CHARS]


class Updates:
    """Count the framebuffer updates that follow a handshake.

    count: completed updates that carried pixels. width, height: follow DesktopSize.
    detail: set when the server sent what can't be followed; no byte is read after that.
    """

    def __init__(self, server_init: ServerInit) -> None:
        self.count = 0
        self.width, self.height = server_init.width, server_init.height
        self.detail = ""
        self._completed = 0
        self._bytes_per_pixel = server_init.bits_per_pixel // 8
        self._stream = _Stream(self._script())

    def feed(self, data: bytes | memoryview) -> int:
        """Take bytes from the server and return how many updates they completed, pixels or not: ask again after one."""
        before = self._completed
        self._stream.feed(data)
        return self._completed - before

    def _script(self) -> Script:
        while not self.detail:
            (kind,) = yield 1
            if kind == 0:
                yield from self._framebuffer_update()
            elif kind == 1:
                (entries,) = struct.unpack(">3xH", (yield 5))
                yield -6 * entries
            elif kind == 3:
                yield from self._cut_text()
            elif kind != 2:  # 2 is the bell, a message of one byte
                self.detail = f"server message {kind} is not followed"

    def _framebuffer_update(self) -> Script:
        has_pixels = False
        (rectangles,) = struct.unpack(">xH", (yield 3))
        for _ in range(rectangles):
            width, height, encoding = struct.unpack(">4xHHi", (yield 12))
            if encoding == _RAW:
                has_pixels = True
                yield -width * height * self._bytes_per_pixel
            elif encoding == _DESKTOP_SIZE:
                self.width, self.height = width, height
            else:
                self.detail = f"encoding {encoding} is not followed"
                return
        self._completed += 1
        self.count += has_pixels

    def _cut_text(self) -> Script:
        (length,) = struct.unpack(">3xI", (yield 7))
        if length > MAX_CUT_TEXT_BYTES:
            self.detail = f"cut text of {length} bytes, at most {MAX_CUT_TEXT_BYTES} are skipped"
        else:
            yield -length


def set_encodings() -> bytes:
    """Return the message that limits the server to what `Updates` follows."""
    return struct.pack(">BxHii", 2, 2, _RAW, _DESKTOP_SIZE)


def request_update(width: int, height: int) -> bytes:
    """Return the message that asks for what changes from now on in the whole picture."""
    is_incremental = 1
    return struct.pack(">BBHHHH", 3, is_incremental, 0, 0, width, height)


class _Stream:
    """Drive a script with bytes that come in pieces, holding back only what it can't use yet."""

    def __init__(self, script: Script) -> None:
        self.buffer = bytearray()
        self._script = script
        self._wanted = next(script)
        self.is_over = False

    def feed(self, data: bytes | memoryview) -> None:
        if self.is_over:
            return
        if not self.buffer:
            data = data[self._unwanted(len(data)) :]  # pixels go by without being copied
        self.buffer += data
        while self._wanted < 0 or len(self.buffer) >= self._wanted:
            if self._wanted < 0:
                del self.buffer[: self._unwanted(len(self.buffer))]
                if self._wanted:
                    return
            piece = bytes(self.buffer[: self._wanted])
            del self.buffer[: self._wanted]
            try:
                self._wanted = self._script.send(piece)
            except StopIteration:
                self.is_over = True
                return

    def _unwanted(self, length: int) -> int:
        """Return how many of the next `length` bytes are to be thrown away, and count them as such."""
        unwanted = min(max(-self._wanted, 0), length)
        self._wanted += unwanted
        return unwanted


def _text() -> Generator[int, bytes, str]:
    """Read a length and as much text; keep what fits a detail."""
    length = int.from_bytes((yield 4), "big")
    kept = yield min(length, MAX_DETAIL_CHARS)
    yield len(kept) - length
    return _clean(kept)


def _clean(data: bytes) -> str:
    """Return bytes of a stranger as printable text of at most 200 characters."""
    text = data.decode("utf-8", "replace")[:MAX_DETAIL_CHARS]
    return "".join(character if character.isprintable() else " " for character in text).strip()
