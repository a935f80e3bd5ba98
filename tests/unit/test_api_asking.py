"""How often something may be asked for, on a clock of the test's own."""

import pytest

from api.asking import MAX_CALLERS, OF_ALL, OF_ONE, OF_STRANGERS, Asking, Bucket, Rate


def taken(asking, caller, count, *, now=0.0):
    """Ask so often; return how many were let through."""
    return sum(asking.take(caller, now=now) <= 0 for _ in range(count))


def known(asking, caller, *, now=-1e6):
    """Let a caller be known for long."""
    asking.know(caller, now=now)
    return caller


def test_a_bucket_gives_its_burst_and_then_one_at_a_time():
    bucket, given = Bucket(Rate(3, 10)), []
    for second in range(40):
        while bucket.wait(second) <= 0:
            bucket.take(second)
            given.append(second)

    assert [0, 0, 0, 10, 20, 30] == given


def test_a_bucket_says_how_long_to_wait_and_is_full_again_after_a_while():
    bucket = Bucket(Rate(2, 10))
    bucket.take(5)
    bucket.take(5)

    assert (10, 4, 0, 0) == tuple(bucket.wait(now) for now in (5, 11, 15, 1000))
    bucket.take(1000)
    bucket.take(1000)
    assert 10 == bucket.wait(1000)


@pytest.mark.parametrize(("now", "expected"), [(0.0, OF_ONE.burst), (1e6, OF_ONE.burst), (-1e5, OF_ONE.burst)])
def test_one_caller_has_its_burst_whatever_the_clock_began_with(now, expected):
    asking = Asking()
    caller = known(asking, "Bearer a")

    assert expected == taken(asking, caller, 100, now=now)
    assert (0, 1) == (
        taken(asking, caller, 1, now=now + OF_ONE.seconds - 1),
        taken(asking, caller, 2, now=now + OF_ONE.seconds),
    )


def test_one_callers_greed_leaves_the_others_theirs():
    asking = Asking()
    first, second = (known(asking, name) for name in ("Bearer a", "Bearer b"))
    taken(asking, first, 100)

    assert OF_ONE.burst == taken(asking, second, 100)


def test_all_callers_together_have_a_bound_too():
    asking = Asking()
    callers = [known(asking, f"Bearer {n}") for n in range(10)]

    assert OF_ALL.burst == sum(taken(asking, caller, 100) for caller in callers)


def test_a_flood_of_made_up_tokens_has_one_bound_and_crowds_no_known_caller_out():
    asking = Asking()
    caller = known(asking, "Bearer good")

    assert OF_STRANGERS.burst == sum(taken(asking, f"Bearer {n}", 1) for n in range(10_000))
    assert OF_STRANGERS.seconds == asking.take("Bearer new", now=0.0)
    assert OF_ONE.burst == taken(asking, caller, 100)
    assert 1 == len(asking._known)


def test_the_request_that_makes_a_caller_known_is_its_first():
    asking = Asking()
    asking.take("Bearer a", now=0.0)
    asking.know("Bearer a", now=0.0)
    asking.know("Bearer a", now=0.0)

    assert OF_ONE.burst - 1 == taken(asking, "Bearer a", 100)


def test_as_many_callers_are_remembered_as_may_be_the_latest():
    asking = Asking()
    for n in range(MAX_CALLERS + 50):
        known(asking, f"Bearer {n}")

    assert MAX_CALLERS == len(asking._known)
    taken(asking, "Bearer nobody", 100)
    assert (0, 1) == (taken(asking, "Bearer 0", 1), taken(asking, f"Bearer {MAX_CALLERS + 49}", 1))


def test_no_token_is_kept():
    asking = Asking()
    known(asking, "Bearer canary")

    assert "canary" not in repr(vars(asking))
