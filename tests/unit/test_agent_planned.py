import pytest

from agent.planned import Planned


class Clock:
    """Monotonic seconds that a test moves."""

    now = 100.0

    def __call__(self):
        """Return them."""
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def planned(clock):
    planned = Planned(clock)
    planned.expect("qemu", "audio")
    return planned


def test_nothing_is_expected_before_an_act(clock):
    assert not Planned(clock).take("qemu")


def test_one_restart_of_each_is_expected(planned):
    assert [True, True, False, False] == [planned.take(subject) for subject in ("qemu", "audio", "qemu", "audio")]


def test_a_container_in_back_off_is_still_expected_and_a_death_long_after_is_not(planned, clock):
    clock.now += 329.0
    assert planned.take("qemu")

    planned.expect("qemu")
    clock.now += 330.0
    assert not planned.take("qemu")


def test_a_sound_server_that_restarts_long_after_its_qemu_did_so_by_itself(planned, clock):
    planned.take("qemu")
    clock.now += 10.0

    assert not planned.take("audio")
