"""`python -m api`: serve what the store knows."""

from __future__ import annotations

from typing import NoReturn

from agent.commandline import run
from api.server import serve


def main() -> NoReturn:
    """Run the API's command line."""
    run(serve, "loco-api")


if __name__ == "__main__":
    main()
