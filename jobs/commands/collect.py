"""`python -m jobs collect`: probe every instance, classify what was seen, plan what is to be done, keep it all."""

from __future__ import annotations

import resource
from contextlib import closing

import click

from jobs.collector import Collector
from jobs.commands.options import recovery_options, window_options
from jobs.planner import Recovery
from jobs.schedule import WindowSettings
from jobs.window import run_window

# chosen: 4,096 kept connections and what is open beside them; more than the usual soft limit of 1,024.
_FILES = 8192


@click.command(short_help="Collect and classify the instances' health; plan recovery.")
@recovery_options
@window_options
def collect(*, recovery: Recovery, settings: WindowSettings) -> int:
    """Fetch every instance's report each 15 s, shake hands with its VNC server each 5 s, keep verdicts and plans.

    Example: python -m jobs collect --store loco.db --window 300
    """
    _allow_many_files()
    with closing(Collector(recovery, clock=settings.clock)) as collector:
        return run_window(collector, settings)


def _allow_many_files() -> None:
    """Raise the limit of open files as far as this process may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
