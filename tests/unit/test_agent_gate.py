import pytest

from agent.actions import gate
from agent.actions.gate import Busy, Challenges, NotAccepted, QuotaSpent, Turnstile


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        """Return them."""
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def challenges(clock):
    return Challenges("b007", clock)


def reason_of(challenges, challenge):
    """Return why a challenge isn't accepted."""
    with pytest.raises(NotAccepted) as raised:
        challenges.check(challenge)
    return raised.value.reason


def test_a_challenge_is_good_for_half_a_minute_and_not_a_moment_longer(challenges, clock):
    challenge = challenges.issue()
    clock.now += 29.9
    challenges.check(challenge)
    clock.now += 0.1

    assert "challenge-expired" == reason_of(challenges, challenge)


def test_a_challenge_is_good_once(challenges):
    challenge = challenges.issue()
    challenges.check(challenge)
    challenges.use(challenge)

    assert "challenge-used" == reason_of(challenges, challenge)
    with pytest.raises(NotAccepted):
        challenges.use(challenge)


def test_two_challenges_of_one_moment_differ(challenges):
    assert challenges.issue() != challenges.issue()


@pytest.mark.parametrize(
    "forge",
    [
        lambda challenge: challenge[:0],
        lambda challenge: challenge[:1],
        lambda challenge: challenge[:-1],
        lambda challenge: challenge.replace(".1000000.", ".9000000."),
        lambda challenge: challenge.replace("b007", "b008"),
        lambda challenge: challenge + "0",
        lambda challenge: "ü" + challenge,
    ],
)
def test_a_forged_challenge_is_unknown(challenges, forge):
    assert "challenge-unknown" == reason_of(challenges, forge(challenges.issue()))


def test_the_challenge_of_another_process_is_unknown(challenges, clock):
    assert "challenge-unknown" == reason_of(challenges, Challenges("b007", clock).issue())


def test_a_flood_of_askers_evicts_nobodys_challenge_and_stores_nothing(challenges):
    mine = challenges.issue()
    for _ in range(10_000):
        challenges.issue()

    challenges.check(mine)
    assert {} == challenges._used


def test_a_used_challenge_is_forgotten_once_it_has_expired(challenges, clock):
    challenges.use(challenges.issue())
    clock.now += gate.CHALLENGE_SECONDS
    later = challenges.issue()
    challenges.use(later)

    assert {later} == set(challenges._used)


def enter(turnstile):
    """Begin and end one act."""
    with turnstile.enter():
        pass


def test_a_fourth_act_within_an_hour_has_to_wait_for_the_first_to_be_an_hour_old(clock):
    turnstile = Turnstile(clock)
    for _ in range(3):
        enter(turnstile)
        clock.now += 60.0

    with pytest.raises(QuotaSpent) as raised:
        enter(turnstile)
    assert 3600.0 - 180.0 == raised.value.wait_seconds

    clock.now += 3600.0 - 180.0
    enter(turnstile)
    with pytest.raises(QuotaSpent):
        enter(turnstile)


def test_an_act_that_did_nothing_gives_its_share_back(clock):
    turnstile = Turnstile(clock)
    for _ in range(10):
        with turnstile.enter() as give_back:
            give_back()
    enter(turnstile)
    enter(turnstile)
    with turnstile.enter() as give_back:
        give_back()
    enter(turnstile)

    with pytest.raises(QuotaSpent):
        enter(turnstile)


def test_one_act_at_a_time_and_the_one_turned_away_costs_nothing(clock):
    turnstile = Turnstile(clock)
    with turnstile.enter(), pytest.raises(Busy):
        enter(turnstile)

    assert 1 == len(turnstile._begun)


def test_an_act_that_fails_leaves_the_place_free_and_counts(clock):
    turnstile = Turnstile(clock)
    with pytest.raises(OSError, match="broken"), turnstile.enter():
        raise OSError("broken")

    enter(turnstile)
    assert 2 == len(turnstile._begun)
