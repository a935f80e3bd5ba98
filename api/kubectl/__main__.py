"""`kubectl loco`, or `python -m api.kubectl`: kubectl finds it as `kubectl-loco` on PATH."""

from __future__ import annotations

from typing import NoReturn

from agent.commandline import LazyGroup, run

group = LazyGroup(
    "kubectl loco",
    {"recover": "api.kubectl.recover:recover"},
    help="Ask the fleet's monitor for something, with your own rights.",
)


def main() -> NoReturn:
    """Run the plugin's command line."""
    run(group, "kubectl loco")


if __name__ == "__main__":
    main()
