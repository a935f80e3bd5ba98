"""A PNG on a terminal: as it is where the terminal can show pictures, else in blocks of text. Pure.

Sources: PNG specification (W3C, third edition), sections 7, 9 and 11; kitty's terminal graphics protocol; iTerm2's
inline images protocol.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

# Of the darkest to the brightest.
_SHADES = " \u2591\u2592\u2593\u2588"

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# The agent sends 256 pixels in width; what is far larger is no screen of ours, and may be a bomb.
_MAX_SIDE = 4096

# kitty takes a payload in pieces of so many bytes.
_PIECE = 4096


class PictureInvalid(ValueError):
    """Bytes that are no PNG as the agent makes them, as one clause."""


class Means(StrEnum):
    """How a terminal shows a picture."""

    KITTY = "kitty"
    ITERM = "iterm"
    BLOCKS = "blocks"


@dataclass(frozen=True, slots=True)
class Pixels:
    """Rows of three-byte colours, the topmost first."""

    width: int
    rows: list[bytes]


def means_of(environ: Mapping[str, str]) -> Means:
    """Return how the terminal shows pictures; under tmux or screen only text comes through."""
    program, kind = environ.get("TERM_PROGRAM", ""), environ.get("TERM", "")
    if environ.get("TMUX") or kind.startswith(("tmux", "screen")):
        return Means.BLOCKS
    if environ.get("KITTY_WINDOW_ID") or kind in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return Means.KITTY
    return Means.ITERM if program in ("iTerm.app", "WezTerm") else Means.BLOCKS


def as_kitty(png: bytes) -> str:
    """Return what makes kitty show a picture."""
    payload = base64.b64encode(png).decode()
    pieces = [payload[start : start + _PIECE] for start in range(0, len(payload), _PIECE)]
    more = [1] * (len(pieces) - 1) + [0]
    keys = ["a=T,f=100,", *[""] * (len(pieces) - 1)]
    parts = zip(keys, more, pieces, strict=True)
    return "".join(f"\x1b_G{key}m={goes_on};{piece}\x1b\\" for key, goes_on, piece in parts) + "\n"


def as_iterm(png: bytes) -> str:
    """Return what makes iTerm2 show a picture."""
    return f"\x1b]1337;File=inline=1;size={len(png)}:{base64.b64encode(png).decode()}\a\n"


def as_blocks(pixels: Pixels, columns: int) -> Iterator[str]:
    """Yield lines of half blocks, each two pixels above each other, at most `columns` wide."""
    step = -(-pixels.width // columns)
    rows = pixels.rows[::step]
    for above, below in zip(rows[::2], [*rows[1::2], rows[-1]], strict=False):
        places = range(0, 3 * pixels.width, 3 * step)
        yield "".join(_block(above[at : at + 3], below[at : at + 3]) for at in places) + "\x1b[0m"


def as_shades(pixels: Pixels, columns: int) -> Iterator[str]:
    """Yield lines without a colour, brighter where the picture is, at most `columns` wide."""
    step = -(-pixels.width // columns)
    for row in pixels.rows[:: 2 * step]:  # a cell is twice as high as it is wide
        yield "".join(_shade(row[at : at + 3]) for at in range(0, 3 * pixels.width, 3 * step))


def decode_png(data: bytes) -> Pixels:
    """Return the pixels of a PNG of 8-bit RGB without interlace, which is what the agent makes.

    Raises: PictureInvalid.
    """
    chunks = list(_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise PictureInvalid("it doesn't begin as a PNG does")
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[0][1])
    if kind != [8, 2, 0, 0, 0]:
        raise PictureInvalid(f"it is a PNG of another kind than 8-bit RGB: {kind}")
    if not 0 < width <= _MAX_SIDE or not 0 < height <= _MAX_SIDE:
        raise PictureInvalid(f"it is {width}x{height} pixels large, at most {_MAX_SIDE} each way are shown")
    stride = 3 * width
    raw = _inflate(b"".join(body for name, body in chunks if name == b"IDAT"), (stride + 1) * height)
    rows, above = [], bytes(stride)
    for start in range(0, len(raw), stride + 1):
        above = _unfilter(raw[start], bytearray(raw[start + 1 : start + 1 + stride]), above)
        rows.append(above)
    return Pixels(width, rows)


def _block(above: bytes, below: bytes) -> str:
    return f"\x1b[38;2;{above[0]};{above[1]};{above[2]};48;2;{below[0]};{below[1]};{below[2]}m\u2580"


def _shade(pixel: bytes) -> str:
    """Return a character as bright as a pixel is. Source: ITU-R BT.601, luma."""
    red, green, blue = pixel
    return _SHADES[(299 * red + 587 * green + 114 * blue) * len(_SHADES) // 256_000]


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks as (name, body). Raises: PictureInvalid."""
    if not data.startswith(SIGNATURE):
        raise PictureInvalid("it is no PNG")
    at = len(SIGNATURE)
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at) if len(data) - at >= 12 else (0, b"")
        end = at + 12 + length
        if not name or end > len(data):
            raise PictureInvalid("it is cut off")
        body = data[at + 8 : end - 4]
        if zlib.crc32(name + body) != struct.unpack_from(">I", data, end - 4)[0]:
            raise PictureInvalid("a checksum in it is wrong")
        yield name, body
        at = end


def _inflate(packed: bytes, length: int) -> bytes:
    """Return exactly `length` bytes. Raises: PictureInvalid."""
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(packed, length)
    except zlib.error as error:
        raise PictureInvalid(f"its pixels can't be unpacked: {error}") from error
    if len(raw) != length:
        raise PictureInvalid("it has fewer pixels than it says")
    return raw


def _unfilter(kind: int, row: bytearray, above: bytes) -> bytes:
    """Return a row as it was before it was filtered. Raises: PictureInvalid."""
    if kind > 4:
        raise PictureInvalid(f"a row of it has the filter {kind}, there are 0 to 4")
    if kind == 0:
        return bytes(row)
    for at, value in enumerate(row):
        left, corner = (row[at - 3], above[at - 3]) if at >= 3 else (0, 0)
        guesses = (0, left, above[at], (left + above[at]) // 2, _paeth(left, above[at], corner))
        row[at] = (value + guesses[kind]) & 0xFF
    return bytes(row)


def _paeth(left: int, above: int, corner: int) -> int:
    """Return which of the three is nearest to left + above - corner."""
    guess = left + above - corner
    distances = abs(guess - left), abs(guess - above), abs(guess - corner)
    return (left, above, corner)[distances.index(min(distances))]
