"""`python -m jobs dispatch`: tell Kubernetes what incidents open and close."""

from __future__ import annotations

from contextlib import closing

import click

from jobs.commands.options import window_options
from jobs.dispatcher import Dispatcher
from jobs.schedule import WindowSettings
from jobs.window import run_window


@click.command(short_help="Send incidents as Events.")
@window_options
def dispatch(*, settings: WindowSettings) -> int:
    """Send an Event on the pod within seconds of an incident's opening and end.

    What can't be sent is tried again for a day.

    Example: python -m jobs dispatch --store loco.db --window 300
    """
    with closing(Dispatcher(clock=settings.clock.wall_ms)) as dispatcher:
        return run_window(dispatcher, settings)
