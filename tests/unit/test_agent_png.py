import contextlib
import random
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.png import (
    MAX_BYTES,
    MAX_WIDTH,
    Picture,
    PictureInvalid,
    encode_png,
    largest_colour_ratio,
    parse_ppm,
    picture_hash,
    shrink,
    single_colour,
    thumbnail,
)

RED, BLACK = b"\xff\0\0", b"\0\0\0"


def a_picture(width, height, *colours):
    """Return a picture whose pixels repeat the colours in turn."""
    pixels = b"".join(colours) * (width * height // len(colours) + 1)
    return Picture(width, height, memoryview(pixels[: 3 * width * height]))


def decode_png(data):
    """Return (width, height, rows of pixel bytes) of an RGB PNG without filters, every checksum verified."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, place = {}, 8
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length) == (zlib.crc32(kind + body),)
        chunks[kind] = body
        place += 12 + length
    width, height, depth, colours, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colours, rest) == (8, 2, [0, 0, 0])
    rows = zlib.decompress(chunks[b"IDAT"])
    stride = 3 * width + 1
    assert len(rows) == stride * height
    return width, height, [rows[start + 1 : start + stride] for start in range(0, len(rows), stride)]


def test_a_ppm_of_qemu_is_read():
    picture = parse_ppm(memoryview(b"P6\n2 1\n255\n" + RED + BLACK))

    assert (2, 1, RED + BLACK) == (picture.width, picture.height, bytes(picture.pixels))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"P5\n1 1\n255\nx",
        b"P6\n1 1\n65535\n" + bytes(6),
        b"P6\n2 1\n255\n" + RED,
        b"P6\n0 0\n255\n",
        b"P6\n1 1\n255\n",
    ],
)
def test_half_a_dump_is_refused(data):
    with pytest.raises(PictureInvalid):
        parse_ppm(memoryview(data))


@given(st.binary(max_size=64))
def test_no_dump_makes_the_reader_raise_anything_else(data):
    with contextlib.suppress(PictureInvalid):
        parse_ppm(memoryview(b"P6\n" + data))


def test_one_changed_pixel_changes_the_hash():
    before = a_picture(640, 400, RED)
    pixels = bytearray(before.pixels)
    pixels[-1] = 1

    assert picture_hash(Picture(640, 400, memoryview(pixels))) != picture_hash(before)
    assert picture_hash(a_picture(640, 400, RED)) == picture_hash(before)


def test_one_colour_is_told_from_nearly_one():
    nearly = bytearray(a_picture(64, 64, RED).pixels)
    nearly[-1] = 1

    assert RED == single_colour(a_picture(64, 64, RED))
    assert None is single_colour(Picture(64, 64, memoryview(nearly)))


@pytest.mark.parametrize("size", [(8, 8), (640, 400), (639, 400), (1024, 768)])
def test_the_commonest_colour_is_found_in_samples(size):
    ratio = largest_colour_ratio(a_picture(*size, RED, RED, BLACK, RED))

    assert pytest.approx(0.75, abs=0.01) == ratio


def test_shrinking_keeps_every_nth_pixel_of_every_nth_row():
    pixels = b"".join(bytes([row, column, 0]) for row in range(4) for column in range(5))
    small = shrink(Picture(5, 4, memoryview(pixels)), 2)

    assert (3, 2) == (small.width, small.height)
    assert b"".join(bytes([row, column, 0]) for row in (0, 2) for column in (0, 2, 4)) == bytes(small.pixels)


def test_a_png_holds_the_pixels_it_was_given():
    assert (2, 2, [RED + BLACK, RED + BLACK]) == decode_png(encode_png(a_picture(2, 2, RED, BLACK)))


@pytest.mark.parametrize("size", [(1, 1), (256, 192), (640, 400), (1024, 768), (3, 2000)])
def test_a_thumbnail_of_noise_fits_all_the_same(size):
    pixels = random.Random(1).randbytes(3 * size[0] * size[1])
    png = thumbnail(Picture(*size, memoryview(pixels)))
    width, _, _ = decode_png(png)

    assert width <= MAX_WIDTH
    assert len(png) <= MAX_BYTES
