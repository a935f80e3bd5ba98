"""`kubectl loco screen` on real terminals of every kind, and its pictures beside a reader of another make."""

import base64
import io
import os
import re
import subprocess
import sys

import pytest
from PIL import Image
from typing_loco import a_png, a_served_fleet, freshen, png_of, typed

from agent.png import Picture, encode_png
from api.kubectl.picture import PictureInvalid, as_blocks, decode_png


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with a_served_fleet(tmp_path_factory.mktemp("store") / "loco.db") as served:
        yield served


@pytest.fixture
def url(served):
    """Where an API with fresh news is."""
    freshen(served[0])
    return served[1]


def on_a_terminal(*words, **settings):
    """Return the exit code of a command whose stdout is a terminal, and what that got."""
    master, slave = os.openpty()
    kept = {
        name: value for name, value in os.environ.items() if name not in ("TMUX", "KITTY_WINDOW_ID", "TERM_PROGRAM")
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "api.kubectl", *words],
        env={**kept, "TERM": "xterm-256color", **settings},
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    seen = b""
    with os.fdopen(master, "rb", buffering=0) as terminal:
        while piece := read(terminal):
            seen += piece
    return process.wait(60), seen.decode().replace("\r\n", "\n")


def read(terminal):
    try:
        return terminal.read(65536)
    except OSError:  # what Linux says at a terminal's end
        return b""


def test_any_terminal_shows_half_blocks_in_the_pictures_colours(url):
    code, seen = on_a_terminal("screen", "instance-0", "--url", url)

    red, blue = (f"\x1b[38;2;{c};48;2;{c}m\u2580" * 4 + "\x1b[0m\n" for c in ("255;0;0", "0;0;255"))
    assert (0, red + blue) == (code, seen)


@pytest.mark.parametrize("settings", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colours_shows_shades(url, settings):
    code, seen = on_a_terminal("screen", "instance-0", "--url", url, **settings)

    assert (0, "\u2591\u2591\u2591\u2591\n    \n") == (code, seen)


@pytest.mark.parametrize("settings", [{"KITTY_WINDOW_ID": "1"}, {"TERM": "xterm-ghostty"}])
def test_kitty_gets_the_picture_itself(url, settings):
    code, seen = on_a_terminal("screen", "instance-0", "--url", url, **settings)

    (payload,) = re.findall(r"\A\x1b_Ga=T,f=100,m=0;([^\x1b]+)\x1b\\\n\Z", seen)
    assert (0, a_png()) == (code, base64.b64decode(payload))


def test_iterm_gets_the_picture_itself(url):
    code, seen = on_a_terminal("screen", "instance-0", "--url", url, TERM_PROGRAM="iTerm.app")

    (payload,) = re.findall(rf"\A\x1b\]1337;File=inline=1;size={len(a_png())}:(.+)\a\n\Z", seen)
    assert (0, a_png()) == (code, base64.b64decode(payload))


def test_under_tmux_only_text_comes_through(url):
    _, seen = on_a_terminal("screen", "instance-0", "--url", url, KITTY_WINDOW_ID="1", TMUX="/tmp/tmux-0/default")

    assert seen.startswith("\x1b[38;2;255;0;0")


def test_a_terminal_is_never_sent_the_bytes(url):
    code, seen = on_a_terminal("screen", "instance-0", "-o", "-", "--url", url)

    assert (2, "kubectl loco: stdout is a terminal, which a PNG would confuse; leave -o out to see the picture\n") == (
        code,
        seen,
    )


def test_without_a_terminal_it_wants_a_file(url, tmp_path):
    done = typed("screen", "instance-0", "--url", url)
    saved = typed("screen", "instance-0", "-o", str(tmp_path / "a.png"), "--url", url)
    nowhere = typed("screen", "instance-0", "-o", str(tmp_path / "no" / "a.png"), "--url", url)

    assert (2, "") == (done.code, done.out)
    assert "a picture is shown on a terminal only, and stdout is none; save it with -o FILE" in done.err
    assert (0, "", a_png()) == (saved.code, saved.out, (tmp_path / "a.png").read_bytes())
    assert (2, True) == (nowhere.code, "can't be written: No such file or directory" in nowhere.err)


def test_verdicts_have_colours_on_a_terminal_and_stay_aligned(url):
    _, seen = on_a_terminal("get", "--url", url)
    _, without = on_a_terminal("get", "--url", url, NO_COLOR="1")

    assert "\x1b[35munreachable\x1b[0m   network" in seen
    assert "\x1b" not in without
    assert without.split("SINCE")[0] == re.sub(r"\x1b\[\d+m", "", seen).split("SINCE")[0]


@pytest.mark.parametrize("kind", range(5))
def test_every_filter_of_png_is_undone(kind):
    image = Image.radial_gradient("L").convert("RGB").resize((37, 23))
    pixels = decode_png(filtered(image, kind))

    assert image.tobytes() == b"".join(pixels.rows)


def test_the_agents_own_pictures_are_read():
    raw = bytes(range(240))
    pixels = decode_png(encode_png(Picture(10, 8, memoryview(raw))))

    assert (10, raw) == (pixels.width, b"".join(pixels.rows))


def test_pillow_writes_what_is_read():
    image, file = Image.radial_gradient("L").convert("RGB"), io.BytesIO()
    image.save(file, "PNG")

    assert image.tobytes() == b"".join(decode_png(file.getvalue()).rows)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GIF89a", "it is no PNG"),
        (a_png()[:-20], "it is cut off"),
        (a_png().replace(b"IHDR", b"IHDX"), "a checksum in it is wrong"),
        (a_png(5000, 1), "it is 5000x1 pixels large, at most 4096 each way are shown"),
        (a_png()[:8], "it doesn't begin as a PNG does"),
    ],
)
def test_what_is_no_picture_of_ours_is_refused(data, expected):
    with pytest.raises(PictureInvalid, match=f"^{expected}$"):
        decode_png(data)


def test_a_picture_that_unpacks_to_more_than_it_says_is_cut_at_its_size():
    head, tail = a_png(4, 4), a_png(4, 4000)
    bomb = head[:33] + tail[33:]  # the small head before the large pixels

    assert 4 == len(decode_png(bomb).rows)


def test_a_picture_wider_than_the_terminal_is_made_to_fit():
    lines = list(as_blocks(decode_png(a_png(256, 200)), 80))

    assert (64, 25) == (lines[0].count("\u2580"), len(lines))


def filtered(image, kind):
    """Return a PNG whose every row has that filter, by the specification's formulas."""
    stride, data = 3 * image.width, image.tobytes()
    above, rows = bytes(stride), b""
    for y in range(image.height):
        row = data[y * stride : (y + 1) * stride]
        left = bytes(3) + row[:-3]
        corner = bytes(3) + above[:-3]
        rows += bytes(
            [kind, *((x - guess(kind, a, b, c)) % 256 for x, a, b, c in zip(row, left, above, corner, strict=True))]
        )
        above = row
    return png_of(image.width, image.height, rows)


def guess(kind, left, above, corner):
    """Return what a filter takes from a byte."""
    nearest = min((left, above, corner), key=lambda one: abs(left + above - corner - one))
    return (0, left, above, (left + above) // 2, nearest)[kind]
