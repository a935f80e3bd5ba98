"""`kubectl loco wait NAME`: until an instance has a verdict."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import click

from api.kubectl.errors import AskFailed, NoSuchThing, TimedOut
from api.kubectl.names import PREFIX, ask_about, name_argument
from api.kubectl.options import duration, source_options
from api.kubectl.printing import plain, show
from api.kubectl.source import Source
from jobs.health.model import Verdict

_EVERY_SECONDS = 1.0


def _condition(_context: click.Context, _option: click.Parameter, text: str) -> Verdict:
    """Return the verdict of `verdict=healthy`, the only kind of condition there is."""
    what, _, verdict = text.partition("=")
    if what != "verdict" or verdict not in list(Verdict):
        allowed = ", ".join(f"verdict={one}" for one in Verdict)
        raise click.BadParameter(f"{text!r} is no condition, {allowed} are; nothing was waited for")
    return Verdict(verdict)


@dataclass
class _Look:
    """The instance as it was seen last, and why that isn't of now, empty where it is."""

    one: dict[str, Any]
    trouble: str = ""

    def __str__(self) -> str:
        codes = ", ".join(reason["code"] for reason in self.one["reasons"])
        seen = f"{self.one['verdict']}{f' ({codes})' if codes else ''}"
        return f"{seen}, and now {self.trouble}" if self.trouble else seen


@click.command("wait", short_help="Wait until an instance has a verdict.")
@name_argument()
@click.option(
    "--for", "verdict", callback=_condition, required=True, metavar="CONDITION", help="Such as verdict=healthy."
)
@click.option("--timeout", "timeout_seconds", callback=duration, default="60s", metavar="SPAN", help="0s looks once.")
@source_options
def wait(*, name: str, verdict: Verdict, timeout_seconds: int, source: Source) -> None:
    """Wait for instance NAME: exit code 0 once the condition is met, 1 where that takes longer than --timeout.

    An API that stops answering meanwhile is asked again until then.

    Example: kubectl loco wait instance-3 --for=verdict=healthy --timeout 5m
    """
    until = time.monotonic() + timeout_seconds
    path = "/api/quality/deep-health/{id}"
    look = _Look(ask_about(source, name, path))
    while look.one["verdict"] != verdict:
        left = until - time.monotonic()
        _progress(f"{look.one['instanceId']} is {look}, {max(left, 0):.0f} s left")
        if left <= 0:
            _progress("")
            raise TimedOut(f"timed out after {timeout_seconds} s waiting for verdict={verdict} of {name}; it is {look}")
        time.sleep(min(_EVERY_SECONDS, left))
        try:
            look = _Look(ask_about(source, name, path))
        except (AskFailed, NoSuchThing) as error:
            look = _Look(look.one, str(error))
    _progress("")
    show([f"{PREFIX}{look.one['instanceId']} condition met"])


def _progress(text: str) -> None:
    """Write over the line of before, where somebody looks on."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[2K{plain(text)}", err=True, nl=False)
