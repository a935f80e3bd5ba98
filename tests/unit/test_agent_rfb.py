import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.rfb import (
    MAX_CUT_TEXT_BYTES,
    Failure,
    Handshake,
    ServerInit,
    Updates,
    request_update,
    set_encodings,
)

PIXEL_FORMAT = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
SERVER_INIT = struct.pack(">HH", 640, 480) + PIXEL_FORMAT + struct.pack(">I", 4) + b"QEMU"
TALK_38 = b"RFB 003.008\n" + b"\x02\x02\x01" + bytes(4) + SERVER_INIT
SEEN = ServerInit(640, 480, "QEMU", 32, 24, is_big_endian=False, is_true_colour=True)


def say(data, *, piece_bytes=None):
    """Feed a whole conversation; return the handshake and all it sent."""
    handshake = Handshake()
    step = piece_bytes or len(data)
    sent = b"".join(handshake.feed(data[start : start + step]) for start in range(0, len(data), step))
    return handshake, sent


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 5, None])
def test_a_handshake_in_pieces_of_any_size_ends_shared(piece_bytes):
    handshake, sent = say(TALK_38, piece_bytes=piece_bytes)

    assert SEEN == handshake.server_init
    assert b"RFB 003.008\n" + b"\x01" + b"\x01" == sent


@pytest.mark.parametrize(
    ("banner", "answer", "talk"),
    [
        (b"RFB 003.003\n", b"RFB 003.003\n\x01", struct.pack(">I", 1)),
        (b"RFB 003.005\n", b"RFB 003.003\n\x01", struct.pack(">I", 1)),
        (b"RFB 003.007\n", b"RFB 003.007\n\x01\x01", b"\x01\x01"),
        (b"RFB 003.889\n", b"RFB 003.008\n\x01\x01", b"\x01\x01" + bytes(4)),
        (b"RFB 005.000\n", b"RFB 003.008\n\x01\x01", b"\x01\x01" + bytes(4)),
    ],
)
def test_older_and_odd_versions_are_spoken(banner, answer, talk):
    handshake, sent = say(banner + talk + SERVER_INIT)

    assert handshake.is_done
    assert answer == sent


def test_what_follows_the_handshake_is_handed_on():
    handshake, _ = say(TALK_38 + b"\x02\x02")

    assert b"\x02\x02" == handshake.rest


@pytest.mark.parametrize(
    ("talk", "failure", "detail"),
    [
        (b"SSH-2.0-OpenSSH", Failure.NOT_RFB, "the server says 'SSH-', not an RFB version from 3.3 on"),
        (b"RFB 000.000\n", Failure.NOT_RFB, "the server says 'RFB 000.000', not an RFB version from 3.3 on"),
        (
            b"RFB 003.008\n\x02\x02\x13",
            Failure.DENIED,
            "the server wants authentication (security types 2, 19)",
        ),
        (
            b"RFB 003.003\n" + struct.pack(">I", 2),
            Failure.DENIED,
            "the server wants authentication (security type 2)",
        ),
        (
            b"RFB 003.003\n" + struct.pack(">II", 0, 26) + b"Too many security failures",
            Failure.TOO_MANY,
            "refused at security type: Too many security failures",
        ),
        (
            b"RFB 003.008\n\x00" + struct.pack(">I", 26) + b"Too many security failures",
            Failure.TOO_MANY,
            "refused at security types: Too many security failures",
        ),
        (b"RFB 003.008\n\x00", Failure.DENIED, "refused at security types"),
        (
            b"RFB 003.008\n\x01\x01" + struct.pack(">II", 1, 4) + b"n\x1b\no",
            Failure.DENIED,
            "refused at security result: n  o",
        ),
        (
            b"RFB 003.008\n\x01\x01" + struct.pack(">I", 2),
            Failure.TOO_MANY,
            "refused at security result",
        ),
        (
            b"RFB 003.008\n\x01\x01" + bytes(4) + SERVER_INIT[:4] + b"\x0d" + SERVER_INIT[5:],
            Failure.NOT_RFB,
            "pixels of 13 bits, RFB has 8, 16 and 32",
        ),
    ],
)
def test_a_refusal_has_its_own_cause(talk, failure, detail):
    handshake, _ = say(talk, piece_bytes=1)

    assert (failure, detail) == (handshake.failure, handshake.detail)
    assert not handshake.is_done


def test_an_authentication_is_never_started():
    _, sent = say(b"RFB 003.008\n\x01\x02")

    assert b"RFB 003.008\n" == sent


def test_a_huge_reason_is_capped_and_held_nowhere():
    talk = b"RFB 003.008\n\x00" + struct.pack(">I", 10_000_000) + b"x" * 10_000_000
    handshake, _ = say(talk, piece_bytes=65536)

    assert 200 == len(handshake.detail)
    assert b"" == handshake.rest


def test_a_caller_can_say_what_a_mute_server_owes():
    seen = []
    handshake = Handshake()
    for piece in (b"RFB 003.008\n", b"\x01\x01", bytes(4)):
        seen.append(handshake.waiting_for)
        handshake.feed(piece)

    assert ["version", "security types", "security result"] == seen
    assert "server init" == handshake.waiting_for


@given(st.binary(max_size=400), st.integers(min_value=1, max_value=16))
def test_no_server_can_make_a_handshake_raise(noise, piece_bytes):
    handshake, _ = say(b"RFB 003.008\n" + noise, piece_bytes=piece_bytes)

    assert not (handshake.is_done and handshake.failure)


def an_update(*rectangles):
    """Return a FramebufferUpdate of (width, height, encoding) rectangles, raw ones with their pixels."""
    body = b"".join(
        struct.pack(">HHHHi", 0, 0, width, height, encoding) + (bytes(width * height * 4) if encoding == 0 else b"")
        for width, height, encoding in rectangles
    )
    return struct.pack(">BxH", 0, len(rectangles)) + body


@pytest.mark.parametrize("piece_bytes", [1, 7, 4096])
def test_updates_are_counted_among_bells_cut_text_and_colour_maps(piece_bytes):
    talk = (
        an_update((16, 16, 0))
        + b"\x02"
        + struct.pack(">BxHH", 1, 0, 2)
        + bytes(12)
        + struct.pack(">B3xI", 3, 5)
        + b"hello"
        + an_update((2, 2, 0), (3, 3, 0))
    )
    updates = Updates(SEEN)
    completed = sum(updates.feed(talk[start : start + piece_bytes]) for start in range(0, len(talk), piece_bytes))

    assert 2 == completed == updates.count
    assert "" == updates.detail


def test_a_resize_carries_no_pixels_and_is_followed():
    updates = Updates(SEEN)
    completed = updates.feed(an_update((320, 200, -223)))

    assert (1, 0) == (completed, updates.count)
    assert (320, 200) == (updates.width, updates.height)


@pytest.mark.parametrize(
    ("talk", "detail"),
    [
        (b"\xf8", "server message 248 is not followed"),
        (an_update((1, 1, 16)), "encoding 16 is not followed"),
        (
            struct.pack(">B3xI", 3, MAX_CUT_TEXT_BYTES + 1),
            "cut text of 1048577 bytes, at most 1048576 are skipped",
        ),
    ],
)
def test_what_cannot_be_followed_ends_the_burst(talk, detail):
    updates = Updates(SEEN)
    updates.feed(talk + an_update((1, 1, 0)))

    assert (detail, 0) == (updates.detail, updates.count)


def test_pixels_are_not_kept():
    updates = Updates(SEEN)
    updates.feed(an_update((640, 480, 0))[: 640 * 480 * 4])

    assert 0 == len(updates._stream.buffer)


@given(st.binary(max_size=400), st.integers(min_value=1, max_value=16))
def test_no_server_can_make_the_count_raise(noise, piece_bytes):
    updates = Updates(SEEN)
    for start in range(0, len(noise), piece_bytes):
        updates.feed(noise[start : start + piece_bytes])


def test_requests_are_the_bytes_of_the_rfc():
    assert bytes.fromhex("02000002 00000000 ffffff21") == set_encodings()
    assert bytes.fromhex("0301 0000 0000 0280 01e0") == request_update(640, 480)
