"""`python -m jobs`: the scheduled commands, and what a person runs beside them."""

from __future__ import annotations

from typing import NoReturn

from agent.commandline import LazyGroup, run

group = LazyGroup(
    "loco-jobs",
    {
        "discover": "jobs.commands.discover:discover",
        "collect": "jobs.commands.collect:collect",
        "dispatch": "jobs.commands.dispatch:dispatch",
        "compact": "jobs.commands.compact:compact",
        "local": "jobs.commands.local:local",
        "replay": "jobs.commands.replay:replay",
        "recover": "jobs.commands.recover:recover",
        "keys": "jobs.commands.keys:keys",
        "notify": "jobs.commands.notify:notify",
        "audit": "jobs.commands.audit:audit",
    },
    help="Discover instances, collect their health, classify it, keep it.",
)


def main() -> NoReturn:
    """Run the jobs' command line."""
    run(group, "loco-jobs")


if __name__ == "__main__":
    main()
