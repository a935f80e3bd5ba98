"""The alerts: what they say, that promtool and a real Prometheus take them, that each fires, stays silent, resolves."""

import re
import shutil
import subprocess
import time
from copy import deepcopy

import pytest
import yaml
from api_process import an_api
from debian import tool
from kustomizations import ROOT, composed, copied, fill_site, find, rendered
from metric_names import labels_of, metrics_of
from prometheus import RULES, a_prometheus, groups, rules
from sick_store import DEAD, LOST, a_sick_fleet

from jobs.clock import Clock
from jobs.collector import REPORTS
from jobs.health.brake import COMMON_CAUSE, FLEET_BRAKE
from jobs.health.model import Verdict
from jobs.health.recovery import AttemptOutcome, Hold
from jobs.store import ledger, writer
from jobs.store.connection import transaction
from jobs.store.ledger import Ending
from jobs.store.snapshot import MAX_BYTES

CASES = ROOT / "tests/fixtures/prometheus"
PAGE = (ROOT / "docs/alerts.md").read_text()
LABELS = {f"app.kubernetes.io/{name}" for name in ("name", "instance", "version", "component", "part-of", "managed-by")}
COMMANDS = {"collect", "discover", "dispatch", "compact"}
WORDS = {
    "verdict": set(Verdict),
    "hold": set(Hold),
    "outcome": set(AttemptOutcome),
    "brake": {COMMON_CAUSE, FLEET_BRAKE},
    "command": COMMANDS,
}


@pytest.mark.parametrize("name", sorted(rules()))
def test_an_alert_says_how_bad_how_long_what_and_where_to_read_on(name):
    rule = rules()[name]

    assert re.fullmatch(r"Loco([A-Z][a-z]+)+", name)
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert {"summary", "description", "runbook_url"} == set(rule["annotations"])
    assert all(text.rstrip().endswith(".") for key, text in rule["annotations"].items() if key != "runbook_url")
    assert f"docs/runbooks/{name}.md" == rule["annotations"]["runbook_url"]


def test_every_alert_has_its_row_its_runbook_and_its_case():
    rows = re.findall(r"^\| \[`(\w+)`\]\(runbooks/\1\.md\) \| (\w+) \| .+ \| (\w+) \|$", PAGE, re.MULTILINE)

    assert [(name, rule["labels"]["severity"], rule["for"]) for name, rule in rules().items()] == rows
    assert set(rules()) == {path.stem for path in CASES.glob("*.yaml")}
    assert set(rules()) <= {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")}


@pytest.mark.parametrize("name", sorted(rules()))
def test_an_alert_uses_metrics_and_words_that_exist(name):
    expression = rules()[name]["expr"]

    assert set(metrics_of(expression)) <= exported() | {"ALERTS"}
    for label, words in labels_of(expression):
        assert set(words) <= WORDS[label], (label, words)


def exported():
    """Return the name of every metric that docs/metrics.md lists, which a test compares with the exposition."""
    return set(re.findall(r"^\| `((?:loco|process)_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))


def test_limits_are_those_of_the_program():
    expressions = {name: rule["expr"] for name, rule in rules().items()}

    assert f"> {3 * REPORTS.seconds:g}\n" in expressions["LocoCollectorStale"]
    assert 2**20 == MAX_BYTES
    assert "> 0.8 * 2 ^ 20" in expressions["LocoSnapshotNearLimit"]


def test_promtool_takes_the_rules(tmp_path):
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups()}))
    done = promtool(tmp_path, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")

    assert (0, f"SUCCESS: {len(rules())} rules found") == (done.returncode, done.stdout.split("\n")[1].strip())


def test_each_alert_fires_stays_silent_and_resolves(tmp_path):
    """Its case is tests/fixtures/prometheus/ALERT.yaml."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups()}))
    for case in CASES.glob("*.yaml"):
        shutil.copy(case, tmp_path)
    done = promtool(tmp_path, "test", "rules", *sorted(path.name for path in CASES.glob("*.yaml")))

    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(rules()))
def test_the_case_of_an_alert_has_it_fire_then_resolve_and_another_time_stay_silent(name):
    timelines = [
        "".join("F" if check["exp_samples"] else "-" for check in one["promql_expr_test"])
        for one in yaml.safe_load((CASES / f"{name}.yaml").read_text())["tests"]
    ]

    assert any(re.fullmatch(r"-+F+-+", line) for line in timelines)
    assert any(set(line) == {"-"} for line in timelines)


def test_the_counters_of_the_cases_begin_as_those_of_an_api_do():
    """At 0, which tests/unit/test_api_metrics.py has the API tell of each action with each outcome."""
    begins = {
        series["series"]: series["values"][0]
        for path in CASES.glob("*.yaml")
        for case in yaml.safe_load(path.read_text())["tests"]
        for series in case["input_series"]
        if "_total{" in series["series"]
    }

    assert {"0"} == set(begins.values())


def promtool(folder, *words):
    return subprocess.run([tool("promtool"), *words], cwd=folder, capture_output=True, text=True, check=False)


def test_a_real_prometheus_evaluates_every_alert_over_a_real_api(tmp_path):
    at_once = deepcopy(groups())
    for group in at_once:
        for rule in group["rules"]:
            rule["for"] = "0s"
    for_a_while = next(rule for group in at_once for rule in group["rules"] if rule["alert"] == "LocoCollectorStale")
    for_a_while["for"] = "2s"
    with (
        a_sick_fleet(tmp_path) as fleet,
        an_api(tmp_path / "loco.db", LOCO_SNAPSHOT=str(tmp_path / "snapshot")) as api,
        a_prometheus(tmp_path, target=api.port, rule_groups=at_once) as prometheus,
    ):
        expected = {
            "LocoInstanceUnhealthy": {LOST, DEAD},
            "LocoRecoveryExhausted": {DEAD},
            "LocoFleetBrake": {"loco-health/"},
        }
        prometheus.wait(
            lambda: firing(prometheus) == expected, str(expected), told=lambda: firing(prometheus), seconds=30
        )
        found = prometheus.rules()
        assert dict.fromkeys(rules(), "ok") == {name: rule["health"] for name, rule in found.items()}
        assert [f"Recovery can't help {DEAD}, a person is needed."] == [
            one["annotations"]["summary"] for one in found["LocoRecoveryExhausted"]["alerts"]
        ]

        refuse(fleet)
        prometheus.wait(lambda: prometheus.rules()["LocoJobsRefused"]["state"] == "firing", "the first refusal to tell")

        # The collector's last tick is moved two minutes back: nothing else tells whether it is alive.
        age(fleet, seconds=120)
        prometheus.wait(lambda: prometheus.rules()["LocoCollectorStale"]["state"] == "firing", "the alert to fire")
        assert prometheus.query('count_over_time(ALERTS{alertname="LocoCollectorStale", alertstate="pending"}[1m])')
        fleet.ticks(1)
        age(fleet, seconds=0)
        prometheus.wait(lambda: prometheus.rules()["LocoCollectorStale"]["state"] == "inactive", "it to resolve")


def firing(prometheus):
    """Return what each alert that fires is about."""
    return {
        name: {f"{one['labels'].get('namespace')}/{one['labels'].get('pod', '')}" for one in rule["alerts"]}
        for name, rule in prometheus.rules().items()
        if rule["state"] == "firing"
    }


def refuse(fleet):
    """End the attempt that is under way as Kubernetes' first no to a Job."""
    (attempt,) = ledger.open_attempts(fleet.connection)
    with transaction(fleet.connection):
        assert ledger.end(
            fleet.connection, attempt.id, Ending(AttemptOutcome.NOT_CREATED, "forbidden"), now=Clock().moment()
        )


def age(fleet, *, seconds):
    """Have the store say that collect's last tick was so long ago."""
    at_ms = int(time.time() * 1000) - seconds * 1000
    with transaction(fleet.connection):
        writer.tick_run(fleet.connection, "run-1", at_ms=at_ms, instances=3, duration_seconds=0.2, problem=None)


def test_the_component_lets_prometheus_in_where_a_policy_stands_in_its_way(tmp_path):
    items = composed(tmp_path / "with", "network-policy", "prometheus")
    _, scrape = find(items, "NetworkPolicy loco-health/loco-api")["spec"]["ingress"]
    alone = composed(tmp_path / "without", "prometheus")

    assert {"kubernetes.io/metadata.name": "monitoring"} == scrape["from"][0]["namespaceSelector"]["matchLabels"]
    assert [{"protocol": "TCP", "port": 3000}] == scrape["ports"]
    assert [] == [one for one in alone if one["kind"] == "NetworkPolicy"]


def test_the_monitor_asks_the_api_and_keeps_its_labels(tmp_path):
    items = composed(tmp_path, "prometheus")
    ours = [item["metadata"]["labels"] for item in items if item["apiVersion"].startswith("monitoring.coreos.com/")]
    assert [LABELS, LABELS] == [{one for one in labels if one.startswith("app.kubernetes.io/")} for labels in ours]
    spec = find(items, "PodMonitor loco-health/loco-api")["spec"]
    api = find(items, "Deployment loco-health/loco-api")["spec"]["template"]
    (endpoint,) = spec["podMetricsEndpoints"]
    ports = {port["name"] for container in api["spec"]["containers"] for port in container["ports"]}

    assert spec["selector"]["matchLabels"].items() <= api["metadata"]["labels"].items()
    assert ({"http"}, True, "/metrics") == (ports, endpoint["honorLabels"], endpoint["path"])


def test_the_docs_overlay_says_where_runbooks_are_read_and_who_scrapes(tmp_path):
    copied(tmp_path)
    fill_site(tmp_path)
    for path, text in re.findall(
        r"^```yaml\n# kustomize/overlays/(watched/[\w.-]+)[^\n]*\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL
    ):
        (tmp_path / "kustomize/overlays" / path).parent.mkdir(exist_ok=True)
        (tmp_path / "kustomize/overlays" / path).write_text(text)
    items = rendered(tmp_path / "kustomize/overlays/watched")
    rule, monitor = (
        find(items, "PrometheusRule loco-health/loco-health"),
        find(items, "PodMonitor loco-health/loco-api"),
    )
    _, scrape = find(items, "NetworkPolicy loco-health/loco-api")["spec"]["ingress"]
    urls = [one["annotations"]["runbook_url"] for group in rule["spec"]["groups"] for one in group["rules"]]

    assert "https://git.example/loco-health/-/blob/main/docs/runbooks/LocoApiDown.md" == urls[0]
    assert {"observability"} == {one["metadata"]["labels"]["release"] for one in (rule, monitor)}
    assert {"kubernetes.io/metadata.name": "observability"} == scrape["from"][0]["namespaceSelector"]["matchLabels"]


def test_the_rules_are_one_object_with_nothing_to_fill_in():
    assert 1 == len(list(yaml.safe_load_all(RULES.read_text())))
