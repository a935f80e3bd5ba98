"""`python -m agent` in short rounds, for tests that wait for many."""

import functools

from agent import commands
from agent.__main__ import main
from agent.collect import Pace, Rounds

commands.Rounds = functools.partial(Rounds, pace=Pace(round_seconds=0.5, burst_pause_seconds=2.0, dump_pause_ratio=50))  # type: ignore[misc]
main()
