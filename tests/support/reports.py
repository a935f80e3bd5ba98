"""Any report that the wire can carry, for property tests; words that rules look at come up often."""

import types
from typing import Any, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from agent.report import HealthReport

WORDS = {
    "schema_version": [None, 1],
    "process_state": [None, "R", "S", "T", "t", "D", "Z", "X", "?"],
    "run_state": [None, "running", "paused", "suspended", "shutdown", "guest-panicked", "inmigrate", "colo", ""],
    "qmp_error": [None, "timeout: no answer in 2 s", "nobody listens on qmp"],
    "verdict": [None, "moving", "still", "blank", "single-colour", "striped"],
    "scope": [None, "host", "cgroup-v1", "cgroup-v2"],
    "overall_status": ["healthy", "degraded", "unhealthy", "unknown", "fine"],
}

SCALARS = {
    str: st.text(max_size=8),
    int: st.integers(-(2**40), 2**40),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
    Any: st.none(),
}


def reports() -> st.SearchStrategy[HealthReport]:
    """Return a strategy for whole reports."""
    return _struct(HealthReport)


def _struct(kind) -> st.SearchStrategy:
    return st.builds(
        kind,
        **{
            one.name: st.sampled_from(WORDS[one.name]) if one.name in WORDS else _value(one.type)
            for one in msgspec.structs.fields(kind)
        },
    )


def _value(kind) -> st.SearchStrategy:
    if kind in SCALARS:
        return SCALARS[kind]
    if get_origin(kind) in (Union, types.UnionType):
        return st.one_of(*(_value(one) for one in get_args(kind)))
    if get_origin(kind) is list:
        return st.lists(_value(get_args(kind)[0]), max_size=3)
    if get_origin(kind) is dict:
        return st.dictionaries(*(_value(one) for one in get_args(kind)), max_size=3)
    return _struct(kind)
