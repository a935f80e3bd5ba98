"""A picture from QEMU (PPM) made small, measured and written as PNG, by slices of bytes and zlib alone."""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections import Counter
from dataclasses import dataclass

# architecture, section 7: a screen is kept as at most 256 px and 16 KiB.
MAX_WIDTH = 256
MAX_BYTES = 16 * 1024

# chosen: a million samples would cost 100 ms; every n-th pixel of a screen tells its commonest colour as well.
_MAX_SAMPLES = 20_000


_PPM_HEADER = re.compile(rb"P6\n(\d{1,5}) (\d{1,5})\n255\n")


class PictureInvalid(ValueError):
    """The bytes aren't a binary PPM of 8-bit colours."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Rows of three-byte pixels, top left first."""

    width: int
    height: int
    pixels: memoryview


def parse_ppm(data: memoryview) -> Picture:
    """Return the picture of a binary PPM file as QEMU writes it.

    Raises: PictureInvalid. Source: netpbm, ppm(5).
    """
    header = _PPM_HEADER.match(data)
    if header is None:
        raise PictureInvalid(f"no PPM header in the first bytes {bytes(data[:20])!r}")
    width, height, pixels = int(header[1]), int(header[2]), data[header.end() :]
    if len(pixels) != 3 * width * height or not pixels:
        raise PictureInvalid(f"PPM of {width}x{height} with {len(pixels)} bytes of pixels")
    return Picture(width, height, pixels)


def picture_hash(picture: Picture) -> str:
    """Return 16 hexadecimal digits that differ when a pixel differs, but for one chance in four billion."""
    return f"{zlib.crc32(picture.pixels):08x}{zlib.adler32(picture.pixels):08x}"


def single_colour(picture: Picture) -> bytes | None:
    """Return the colour of a picture that has only one, or None; it then equals itself moved by a pixel."""
    pixels = picture.pixels
    return bytes(pixels[:3]) if pixels[3:] == pixels[:-3] else None


def largest_colour_ratio(picture: Picture) -> float:
    """Return the share of the commonest colour, 0-1, from evenly spread samples."""
    step = picture.width * picture.height // _MAX_SAMPLES + 1
    while math.gcd(step, 30 * picture.width) != 1:  # else samples would stand in columns, or in step with a pattern
        step += 1
    red, green, blue = (picture.pixels[channel :: 3 * step] for channel in range(3))
    ((_, count),) = Counter(zip(red, green, blue, strict=True)).most_common(1)
    return round(count / len(red), 4)


def shrink(picture: Picture, factor: int) -> Picture:
    """Return every `factor`-th pixel of every `factor`-th row."""
    width = -(-picture.width // factor)
    rows = range(0, picture.height, factor)
    small = bytearray(3 * width * len(rows))
    for number, row in enumerate(rows):
        start = 3 * row * picture.width
        line = picture.pixels[start : start + 3 * picture.width]
        place = 3 * width * number
        for channel in range(3):
            small[place + channel : place + 3 * width : 3] = line[channel :: 3 * factor]
    return Picture(width, len(rows), memoryview(small))


def fit(picture: Picture) -> Picture:
    """Return a copy of the picture, at most 256 px wide."""
    return shrink(picture, -(-picture.width // MAX_WIDTH))


def thumbnail(picture: Picture) -> bytes:
    """Return a PNG at most 256 px wide and 16 KiB long, halved until it fits."""
    small = fit(picture)
    while len(png := encode_png(small)) > MAX_BYTES:
        small = shrink(small, 2)
    return png


def encode_png(picture: Picture) -> bytes:
    """Return the picture as an RGB PNG.

    Source: PNG specification (W3C, third edition), sections 5 and 11.
    """
    stride = 3 * picture.width
    rows = b"".join(
        b"\0" + bytes(picture.pixels[start : start + stride]) for start in range(0, len(picture.pixels), stride)
    )  # filter type 0: none
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 2, 0, 0, 0)  # 8 bits, truecolour
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
