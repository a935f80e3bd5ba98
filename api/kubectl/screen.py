"""`kubectl loco screen NAME`: the latest screen picture, in a file or on the terminal."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from urllib.parse import quote

import click

from api.kubectl import picture
from api.kubectl.errors import ApiFailed, AskFailed, NoSuchThing, WrongUse
from api.kubectl.names import find, name_argument
from api.kubectl.options import source_options
from api.kubectl.printing import talk, wants_colour
from api.kubectl.source import Source


@click.command(short_help="Save or show the latest screen picture.")
@name_argument()
@click.option("-o", "--output", "file", metavar="FILE", help="Save the PNG there; - is stdout.")
@source_options
def screen(*, name: str, file: str | None, source: Source) -> None:
    """Show the latest picture of instance NAME on the terminal, or save it as PNG, at most 256 pixels wide.

    kitty, ghostty, iTerm2 and WezTerm show the picture itself, every other terminal half blocks in 24-bit colours,
    or with NO_COLOR in shades.

    Example: kubectl loco screen instance-3 -o screen.png
    """
    is_terminal = sys.stdout.isatty()
    if file is None and not is_terminal:
        raise WrongUse("a picture is shown on a terminal only, and stdout is none; save it with -o FILE")
    if file == "-" and is_terminal:
        raise WrongUse("stdout is a terminal, which a PNG would confuse; leave -o out to see the picture")
    png = _picture(source, name)
    if file is None:
        _show(png)
    elif file == "-":
        sys.stdout.buffer.write(png)
        sys.stdout.buffer.flush()
    else:
        _save(png, Path(file))


def _picture(source: Source, name: str) -> bytes:
    """Return the PNG. Raises: AskFailed, NoSuchThing, WrongUse."""
    path = "/api/instances/{}/screen.png"
    try:
        png = source.ask(path.format(quote(name, safe="")))
    except AskFailed as error:
        if not error.is_not_found:
            raise
        found = find(source, name)
        if found == name:  # it is there, so what there isn't is the picture
            raise NoSuchThing(f"no picture of {name} was ever taken") from None
        return _picture(source, found)
    if not png.startswith(picture.SIGNATURE):
        raise ApiFailed(f"what was answered for {name} is no PNG; nothing was saved")
    return png


def _save(png: bytes, file: Path) -> None:
    try:
        file.write_bytes(png)
    except OSError as error:
        raise WrongUse(f"{file} can't be written: {error.strerror or error}") from error
    talk(f"{len(png)} bytes saved as {file}")


def _show(png: bytes) -> None:
    means = picture.means_of(os.environ)
    if means is picture.Means.KITTY:
        click.echo(picture.as_kitty(png), nl=False)
    elif means is picture.Means.ITERM:
        click.echo(picture.as_iterm(png), nl=False)
    else:
        try:
            draw = picture.as_blocks if wants_colour() else picture.as_shades
            lines = list(draw(picture.decode_png(png), shutil.get_terminal_size().columns))
        except picture.PictureInvalid as error:
            raise WrongUse(f"the picture can't be shown: {error}; save it with -o FILE") from error
        click.echo("\n".join(lines))
