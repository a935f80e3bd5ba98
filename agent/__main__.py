"""`python -m agent`: serve the report, print it, test the instance, or run a decoy."""

from __future__ import annotations

from typing import NoReturn

from agent.commandline import LazyGroup, run

group = LazyGroup(
    "loco-agent",
    {
        "serve": "agent.commands:serve",
        "report": "agent.show:report",
        "test": "agent.show:test",
        "decoy": "agent.decoy.commands:decoy",
    },
    help="Measure one QEMU instance and report its health on :8080.",
)


def main() -> NoReturn:
    """Run the agent's command line."""
    run(group, "loco-agent")


if __name__ == "__main__":
    main()
