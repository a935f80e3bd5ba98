from jobs.baton import Silence
from jobs.store.lease import Lease


def a_lease(token=1, renewals=0, tick=0) -> Lease:
    return Lease("collect", "demo:1:1", token, renewals, tick, None, None, None)


def test_silence_counts_from_the_first_look():
    assert 0.0 == Silence().seconds(a_lease(), 1000.0)


def test_silence_grows_while_the_lease_shows_no_new_sign():
    silence = Silence()
    silence.seconds(a_lease(), 1000.0)

    assert 12.5 == silence.seconds(a_lease(), 1012.5)


def test_a_renewal_or_a_new_token_ends_the_silence():
    silence = Silence()
    silence.seconds(a_lease(), 1000.0)
    renewed = silence.seconds(a_lease(renewals=1), 1010.0)
    taken = silence.seconds(a_lease(token=2, renewals=1), 1020.0)

    assert (0.0, 0.0) == (renewed, taken)
