"""`/metrics` of a real API: before, with and without its store, and what is measured beside it."""

import os
import time
from collections import Counter

import pytest
from api_process import an_api
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_plain
from sick_store import DEAD, LOST, a_sick_fleet
from store_load import Load

from api.volume import Volume, measure
from jobs.store.connection import open_store

OPEN_METRICS = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}


def scrape(api, **headers):
    """Return {metric: [sample, ...]} of a strict parse, and the content type."""
    reply = api.ask("/metrics", headers=headers)
    kind = reply.headers["content-type"]
    parse = parse_open_metrics if "openmetrics" in kind else parse_plain
    assert 200 == reply.status, reply
    return {family.name: family.samples for family in parse(reply.body.decode())}, kind


def value(found, name):
    """Return the value of a metric without labels."""
    (sample,) = found[name]
    return sample.value


@pytest.fixture
def sick(tmp_path):
    """Yield a fleet that is ill, and an API over its store and its ConfigMap."""
    with (
        a_sick_fleet(tmp_path) as fleet,
        an_api(tmp_path / "loco.db", LOCO_SNAPSHOT=str(tmp_path / "snapshot")) as api,
    ):
        yield fleet, api


def test_both_formats_are_strictly_right_and_say_the_same(sick):
    _, api = sick
    plain, plain_kind = scrape(api)
    found, kind = scrape(api, **OPEN_METRICS)

    assert ("text/plain; version=0.0.4; charset=utf-8", True) == (plain_kind, "openmetrics-text; version=1.0.0" in kind)
    assert {name: len(samples) for name, samples in plain.items()} == {
        name: len(samples) for name, samples in found.items()
    }


def test_every_metric_tells_something_of_a_fleet_that_is_ill(sick):
    found, _ = scrape(sick[1])

    assert [] == [name for name, samples in found.items() if not samples]
    assert {LOST, DEAD} == {
        f"{one.labels['namespace']}/{one.labels['pod']}"
        for one in found["loco_instance_verdict"]
        if one.value and one.labels["verdict"] in ("unhealthy", "unreachable")
    }
    brakes = {one.labels["brake"]: one.value for one in found["loco_brake_instances"]}
    assert {"FleetBrake": 2, "CommonCause": 0} == brakes
    waiting = {one.labels["destination"]: one.value for one in found["loco_notifications_waiting"]}
    assert {"events", "webhook"} == {name for name, count in waiting.items() if count}


def test_it_answers_before_there_is_a_store_and_after_it_was_lost(tmp_path):
    store = tmp_path / "loco.db"
    with an_api(store) as api:
        early, _ = scrape(api)
        with a_sick_fleet(tmp_path):
            there, _ = scrape(api)
        store.rename(tmp_path / "elsewhere.db")
        lost, _ = scrape(api)

    assert [0, 1, 0] == [value(found, "loco_store_readable") for found in (early, there, lost)]
    assert ([], 3, 3) == (early["loco_instance_info"], *(len(one["loco_instance_info"]) for one in (there, lost)))


def test_the_snapshot_has_the_size_that_kubernetes_counts_and_says_whether_it_was_trimmed(tmp_path):
    with a_sick_fleet(tmp_path):
        folder = tmp_path / "snapshot"
        bytes_of_all = sum(len(file.name) + len(file.read_bytes()) for file in folder.iterdir())
        whole = measure(tmp_path / "loco.db", folder / "snapshot.json")
        text = (folder / "snapshot.json").read_text()
        (folder / "snapshot.json").write_text(text[: text.rindex("}")] + ',"trimmed":["no evidence"]}')
        (folder / "..data").mkdir()  # the kubelet's own
        trimmed = measure(tmp_path / "loco.db", folder / "snapshot.json")

    assert (bytes_of_all, False, True) == (
        whole.snapshot_bytes,
        whole.is_snapshot_trimmed,
        trimmed.is_snapshot_trimmed,
    )
    assert 0 < whole.free_bytes <= os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize


@pytest.mark.parametrize("text", ["", "[]", '{"trimmed": 7}', "\udcff"])
def test_a_snapshot_that_is_none_has_no_size(tmp_path, text):
    file = tmp_path / "snapshot.json"
    file.write_text(text, errors="surrogateescape")

    assert (None, None) == (measure(tmp_path / "loco.db", file).snapshot_bytes, measure(file, file).is_snapshot_trimmed)


def test_what_can_not_be_measured_is_left_out(tmp_path):
    gone = tmp_path / "gone"

    assert Volume() == measure(gone / "loco.db", None) == measure(gone / "loco.db", gone / "snapshot.json")


def test_a_thousand_instances_have_below_twenty_series_each_at_every_fifth_sick(tmp_path):
    load, store = Load(1000), tmp_path / "loco.db"
    connection = open_store(store)
    load.start(connection)
    load.tick(connection, 1, int(time.time() * 1000), sick=range(0, 1000, 5))
    connection.close()
    with an_api(store) as api:
        found, _ = scrape(api, **OPEN_METRICS)
    series = Counter(one.labels.get("pod") for samples in found.values() for one in samples)
    del series[None]

    assert 1000 == len(series)
    assert 20 > max(series.values())
    assert 20 * 1000 > sum(len(samples) for samples in found.values())
