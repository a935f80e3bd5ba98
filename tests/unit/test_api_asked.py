"""The body of a POST: any bytes are a wish or a problem of one sentence, and nothing else."""

import io
import re

from hypothesis import example, given
from hypothesis import strategies as st
from snapshots import a_fleet_now

from api.asked import Asked, Wish
from api.auth import bearer
from api.fleet import see
from api.problem import Problem, ProblemReason
from jobs.template import instance_of_job


def asked(body=b"", *, content_type="application/json", fleet=None):
    """Return a POST for the only instance of a fleet."""
    environ = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": content_type}
    return Asked(fleet or a_fleet_now(), None, None, "instance-0", environ)


def outcome(act):
    """Return what an act returns, or the problem that it raises."""
    try:
        return act()
    except Problem as problem:
        return problem


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
@example(b'{"forceRecovery": true}')
@example(b'{"forceRecovery": null}')
@example(b"[" * 5000)
@example(b'{"\\ud800": 1}')
@example(b'{"a\\u0000b": 1}')
def test_any_body_is_a_wish_or_a_problem_of_one_short_sentence(body):
    found = outcome(lambda: asked(body).body(Wish))

    if isinstance(found, Problem):
        assert ProblemReason.BAD_BODY is found.reason
        assert (True, True) == (found.detail.isprintable(), len(found.detail) < 300)
    else:
        assert isinstance(found.forceRecovery, bool)


def test_a_charset_beside_the_type_is_fine():
    assert asked(b'{"forceRecovery": true}', content_type="Application/JSON; charset=utf-8").body(Wish).forceRecovery


def test_no_body_is_no_force_whatever_the_type_says():
    assert not asked(b"", content_type="application/x-www-form-urlencoded").body(Wish).forceRecovery


def test_before_the_store_was_read_nobody_knows_the_instance():
    fleet = see(None, "store x isn't there yet", 0)

    assert ProblemReason.STORE_UNREADABLE is outcome(lambda: asked(fleet=fleet).standing).reason


@given(st.text(max_size=60))
@example("Bearer a\r\nX: y")
def test_whatever_stands_in_authorization_only_a_bearer_token_gets_through(line):
    found = outcome(lambda: bearer({"HTTP_AUTHORIZATION": line}, how="so and so"))

    if isinstance(found, Problem):
        assert (401, (("WWW-Authenticate", "Bearer"),)) == (found.status, found.headers)
    else:
        assert line.lower().strip().startswith("bearer ")
        assert re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", found, re.ASCII)


def test_the_job_of_a_request_names_its_instance_to_whoever_reads_no_annotation():
    assert "instance-1" == instance_of_job("recover-instance-1-bcdfgh", ["instance-1", "instance-10", "instance"])
