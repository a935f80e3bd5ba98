"""The dashboards: a model that Grafana takes, and queries that a real Prometheus answers."""

import json
import re

import pytest
import yaml
from api_process import an_api
from kustomizations import ROOT, composed, find
from metric_names import metrics_of
from prometheus import a_prometheus
from sick_store import DEAD, LOST, WELL, a_sick_fleet

FOLDER = ROOT / "kustomize/components/grafana/dashboards"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
DS = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {"short", "s", "bytes", "percentunit"}  # of Grafana's own list (getValueFormats)


def panels(board):
    """Return the panels that show something."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries():
    """Yield (board, panel, expression) of every query."""
    for name, board in BOARDS.items():
        for panel in panels(board):
            for target in panel["targets"]:
                yield name, panel["title"], target["expr"]


def test_there_are_two():
    assert ["fleet", "instance"] == list(BOARDS)
    assert {"loco-fleet", "loco-instance"} == {board["uid"] for board in BOARDS.values()}


@pytest.mark.parametrize("name", BOARDS)
def test_a_model_is_one_that_grafana_takes(name):
    board = BOARDS[name]
    ids = [panel["id"] for panel in board["panels"]]

    assert 39 <= board["schemaVersion"]
    assert sorted(set(ids)) == sorted(ids)
    assert {"datasource"} <= {variable["name"] for variable in board["templating"]["list"]}
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert all(DS == one["datasource"] for one in (panel, *panel["targets"]))
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert ["A", "B", "C"][: len(panel["targets"])] == [target["refId"] for target in panel["targets"]]


@pytest.mark.parametrize("name", BOARDS)
def test_no_panel_lies_on_another_or_off_the_grid(name):
    cells = [
        (x, y)
        for panel in BOARDS[name]["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(set(cells)) == len(cells)
    assert 23 == max(x for x, _ in cells)


def test_the_first_row_answers_whether_anything_is_sick_and_the_monitor_alive():
    first, *_ = (panel for panel in BOARDS["fleet"]["panels"] if panel["type"] == "row")
    shown = [panel["title"] for panel in panels(BOARDS["fleet"]) if panel["gridPos"]["y"] == 1]

    assert "Is anything sick, and is the monitor alive?" == first["title"]
    assert ["Sick", "Degraded", "Unknown", "Healthy", "Last report tick", "Alerts", "Acts are stopped by"] == shown


def test_every_metric_of_a_query_exists():
    exported = set(re.findall(r"^\| `((?:loco|process)_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))

    assert {metric for *_, expression in queries() for metric in metrics_of(expression)} <= exported | {"ALERTS"}


def test_every_query_is_answered_with_data_by_a_real_prometheus(tmp_path):
    settings = {"LOCO_SNAPSHOT": str(tmp_path / "snapshot"), "LOCO_DRY_RUN": "true"}
    with (
        a_sick_fleet(tmp_path),
        an_api(tmp_path / "loco.db", **settings) as api,
        a_prometheus(tmp_path, target=api.port, rule_groups=[]) as prometheus,
    ):
        twice = 'count_over_time(loco_recovery_attempts_total{outcome="no-effect"}[1m]) > 1'
        prometheus.wait(lambda: prometheus.query(twice), "a second scrape, which a rate needs")
        empty = [one for one in queries() if not any(prometheus.query(asked) for asked in of_somebody(one[-1]))]

    assert [] == empty


def of_somebody(expression):
    """Return a query for each instance of the fleet."""
    for key in (WELL, LOST, DEAD):
        namespace, _, pod = key.partition("/")
        yield expression.replace("$namespace", namespace).replace("$pod", pod)


def test_the_component_brings_them_for_the_sidecar(tmp_path):
    items = composed(tmp_path, "grafana")
    brought = find(items, "ConfigMap loco-health/loco-grafana")

    assert "1" == brought["metadata"]["labels"]["grafana_dashboard"]
    assert {"fleet.json", "instance.json"} == set(brought["data"])
    assert BOARDS == {name.removesuffix(".json"): json.loads(text) for name, text in brought["data"].items()}
    assert len(yaml.safe_dump(brought)) < 200_000
