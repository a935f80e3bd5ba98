"""`kubectl loco`, or `python -m api.kubectl`: kubectl finds it as `kubectl-loco` on PATH."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from agent.commandline import LazyGroup, run
from api.kubectl.leading import behind_the_command

PROGRAM = "kubectl-loco"

# What click's completion scripts set; the name in usage, with its blank, makes none.
COMPLETE = "_KUBECTL_LOCO_COMPLETE"

COMMANDS = {
    "get": "api.kubectl.get:get",
    "describe": "api.kubectl.describe:describe",
    "why": "api.kubectl.why:why",
    "top": "api.kubectl.top:top",
    "screen": "api.kubectl.screen:screen",
    "incidents": "api.kubectl.incidents:incidents",
    "runs": "api.kubectl.runs:runs",
    "explain": "api.kubectl.explain:explain",
    "wait": "api.kubectl.wait:wait",
    "recover": "api.kubectl.recover:recover",
    "pause": "api.kubectl.switches:pause",
    "resume": "api.kubectl.switches:resume",
    "completion": "api.kubectl.completion:completion",
}


class Plugin(LazyGroup):
    """The commands; their options about where to ask may stand before the command too, as kubectl's own do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line. Raises: click.UsageError."""
        return super().parse_args(ctx, behind_the_command(args, is_completed=ctx.resilient_parsing))


group = Plugin("kubectl loco", COMMANDS, help="Ask the fleet's monitor for something, with your own rights.")


def main() -> NoReturn:
    """Run the plugin's command line, or answer a shell that completes it."""
    if COMPLETE in os.environ:
        from click.shell_completion import shell_complete  # noqa: PLC0415 - only a shell asks for it

        sys.exit(shell_complete(group, {}, PROGRAM, COMPLETE, os.environ[COMPLETE]))
    run(group, "kubectl loco")


if __name__ == "__main__":
    main()
