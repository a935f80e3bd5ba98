"""Words that may come next: `kubectl loco completion SHELL`, and `kubectl_complete-loco`, which kubectl calls."""

from __future__ import annotations

import sys
from typing import NoReturn

import click
from click.shell_completion import ShellComplete, get_completion_class

# Cobra's directives, which kubectl's completion reads from the last line: offer files too, or these words alone.
_FILES = ":0"
_NO_FILES = ":4"


@click.command(short_help="Print a shell's completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(*, shell: str) -> None:
    """Print what SHELL is to source, so that kubectl-loco completes; `kubectl loco` completes by kubectl's own script.

    Example: source <(kubectl loco completion bash)
    """
    from api.kubectl.__main__ import COMPLETE, PROGRAM, group  # noqa: PLC0415 - it imports this module when asked

    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"this version of click completes nothing for {shell}")
    click.echo(made(group, {}, PROGRAM, COMPLETE).source())


def complete() -> NoReturn:
    """Print what may be the last word of the arguments, and kubectl's directive. It is `kubectl_complete-loco`."""
    from api.kubectl.__main__ import COMPLETE, group  # noqa: PLC0415

    *words, begun = sys.argv[1:] or [""]
    items = ShellComplete(group, {}, "kubectl loco", COMPLETE).get_completions(words, begun)
    files = any(item.type in ("file", "dir") for item in items)
    for item in items:
        if item.type == "plain":
            print(f"{item.value}\t{item.help}" if item.help else item.value)  # noqa: T201 - the protocol's own lines
    print(_FILES if files else _NO_FILES)  # noqa: T201
    sys.exit(0)
