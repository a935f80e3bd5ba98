"""The screen check against a monitor whose dumps are dear."""

import os
import time

import msgspec
import pytest

from agent.checks.screen import ScreenCheck


class Monitor:
    """A monitor that writes a picture of one pixel, slowly; `dumps` counts."""

    connections = 1
    dumps = 0
    is_open = True

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
    check = ScreenCheck(monitor, pause_ratio=300)
    first = check.measure()
    time.sleep(0.002)
    second = check.measure()

    assert 1 == monitor.dumps
    assert first.checked_at is not None
    assert msgspec.structs.asdict(first) == msgspec.structs.asdict(second)


@pytest.mark.parametrize("change", [{"is_open": False}, {"connections": 2}])
def test_a_qemu_that_has_gone_or_come_is_asked_at_once(change):
    monitor = Monitor()
    check = ScreenCheck(monitor, pause_ratio=300)
    check.measure()
    for name, value in change.items():
        setattr(monitor, name, value)
    check.measure()

    assert 2 == monitor.dumps
