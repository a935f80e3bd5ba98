"""What the three command lines share: commands loaded on call, one sentence an error, JSON log lines."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import time
from typing import TYPE_CHECKING, NoReturn

import click

from agent.environment import unknown_setting

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100}


log_level_option = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    envvar="LOCO_LOG_LEVEL",
    show_envvar=True,
    default="info",
    help="Least level that is logged, as JSON lines on stderr.",
)


class LazyGroup(click.Group):
    """A group whose commands are `module:attribute` strings, imported only when called or asked for help."""

    def __init__(self, name: str, commands: Mapping[str, str], **attrs: object) -> None:
        super().__init__(name=name, context_settings=CONTEXT_SETTINGS, **attrs)  # type: ignore[arg-type]
        self._places = commands

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order given."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command, or None for an unknown name."""
        if cmd_name not in self._places:
            return None
        module, attribute = self._places[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


def run(group: click.Command, program: str) -> NoReturn:
    """Run a command line and exit: 0 done, 2 bad setting, an error's own `exit_code`, 1 with a traceback for a bug."""
    sentence = unknown_setting(os.environ)
    if sentence:
        _fail(program, sentence, 2)
    try:
        result = group.main(prog_name=program, standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _fail(program, _sentence(error), error.exit_code)
    except Exception as error:
        exit_code = getattr(error, "exit_code", None)
        if exit_code is None:
            raise
        _fail(program, str(error), exit_code)
    sys.exit(result if isinstance(result, int) else 0)


def start_logging(level: str) -> None:
    """Log one JSON object a line to stderr: `ts`, `level`, `logger`, `msg`, and the fields given as `extra`."""
    from pythonjsonlogger.json import JsonFormatter  # noqa: PLC0415 - 5 ms that `--help` need not pay

    formatter = JsonFormatter(
        "{asctime}{levelname}{name}{message}",
        style="{",
        rename_fields={"asctime": "ts", "levelname": "level", "name": "logger", "message": "msg"},
    )
    formatter.converter = time.gmtime
    formatter.default_time_format, formatter.default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _sentence(error: click.ClickException) -> str:
    """Return click's message with what happens next, where it doesn't say so itself."""
    message = error.format_message().rstrip(".")
    ends_it = isinstance(error, click.UsageError) and "nothing was" not in message
    return f"{message}; nothing was started" if ends_it else message


def _fail(program: str, sentence: str, exit_code: int) -> NoReturn:
    """Print one sentence and exit."""
    click.echo(f"{program}: {sentence}", err=True)
    sys.exit(exit_code)
