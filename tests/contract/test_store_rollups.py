"""What SQL adds up is what jobs.health.rollup merges."""

from contextlib import closing
from dataclasses import replace
from functools import reduce

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.health.model import InstanceKey
from jobs.health.rollup import MINUTE_MS, Rollup, merge
from jobs.store.connection import open_store, transaction
from jobs.store.rollups import add_to_minutes, minutes_between, of_instance, put_hours

KEY = InstanceKey("static/instance-0")
OTHER = InstanceKey("static/instance-1")

_counts = st.integers(0, 4)
# Multiples of 1/8 add up exactly in any order.
_values = st.integers(0, 800).map(lambda number: number / 8)
_rollups = st.builds(
    Rollup,
    st.just(0),
    *[_counts] * 5,
    codes=st.sets(st.sampled_from(["QemuDead", "QemuRestarted", "Qemu", "TapDown"])).map(
        lambda found: tuple(sorted(found))
    ),
    frame_rate_sum=_values,
    frame_rate_count=_counts,
    level_max=st.none() | _values,
    qemu_cpu_sum=_values,
    qemu_cpu_count=_counts,
    latency_sum=_values,
    latency_count=_counts,
)


@pytest.fixture
def connection(tmp_path):
    with closing(open_store(tmp_path / "loco.db")) as connection:
        yield connection


@given(st.lists(_rollups, min_size=1, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
def test_a_minute_holds_what_merging_its_ticks_gives(connection, rollups):
    with transaction(connection):
        connection.execute("DELETE FROM minutes")
        for rollup in rollups:
            add_to_minutes(connection, [(KEY, rollup)])

    assert [reduce(merge, rollups)] == of_instance(connection, "minutes", KEY, 0)


def test_an_instances_minutes_are_found_among_everybodys_over_gaps(connection):
    starts = [MINUTE_MS * number for number in (1, 2, 3, 50, 51, 90_000)]
    with transaction(connection):
        add_to_minutes(connection, [(OTHER, Rollup(start, unhealthy=1)) for start in [*starts, MINUTE_MS * 7]])
        add_to_minutes(connection, [(KEY, Rollup(start, healthy=1)) for start in starts])

    assert [Rollup(start, healthy=1) for start in starts[2:]] == of_instance(connection, "minutes", KEY, starts[2])
    assert [] == of_instance(connection, "minutes", KEY, starts[-1] + 1)
    assert [(KEY, starts[1]), (OTHER, starts[1])] == sorted(
        (key, minute.start_at_ms) for key, minute in minutes_between(connection, starts[1], starts[2])
    )


def test_an_hour_written_again_replaces_itself(connection):
    hour = Rollup(0, healthy=240, codes=("Booting",), level_max=0.5)
    with transaction(connection):
        put_hours(connection, [(KEY, replace(hour, healthy=239))])
        put_hours(connection, [(KEY, hour)])

    assert [hour] == of_instance(connection, "hours", KEY, 0)
