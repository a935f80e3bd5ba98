"""The screen check against a monitor whose dumps are dear."""

import os
import time

import msgspec

from agent.checks.screen import ScreenCheck


class Monitor:
    """A monitor that writes a picture of one pixel, slowly; `dumps` counts."""

    connections = 1
    dumps = 0

    def execute(self, command, _arguments=None, *, fds=()):
        """Keep the descriptor, or write into it."""
        if command == "add-fd":
            (self.descriptor,) = fds
            return {"fdset-id": 0}
        if command == "screendump":
            self.dumps += 1
            time.sleep(0.01)
            os.write(self.descriptor, b"P6\n1 1\n255\nabc")
        return []


def test_a_block_shown_again_carries_the_time_of_its_dump():
    monitor = Monitor()
    check = ScreenCheck(monitor)
    first = check.measure()
    time.sleep(0.002)
    second = check.measure()

    assert 1 == monitor.dumps
    assert first.checked_at is not None
    assert msgspec.structs.asdict(first) == msgspec.structs.asdict(second)
