"""A real Prometheus over a real API, and our rules as Prometheus reads them."""

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from debian import tool
from stack import free_port

ROOT = Path(__file__).parents[2]
RULES = ROOT / "kustomize/components/prometheus/rules.yaml"


def groups() -> list[dict]:
    """Return the groups of our PrometheusRule."""
    return yaml.safe_load(RULES.read_text())["spec"]["groups"]


def rules() -> dict[str, dict]:
    """Return our alerts by name."""
    return {rule["alert"]: rule for group in groups() for rule in group["rules"]}


class Prometheus:
    """A running Prometheus, asked over HTTP."""

    def __init__(self, port: int, log: Path) -> None:
        self.url, self.log = f"http://127.0.0.1:{port}", log

    def get(self, path: str, **values: str):
        """Return the data of an answer; what Prometheus refuses fails the test with its words."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(values)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict]:
        """Return the samples of an instant query."""
        return self.get("query", query=expression)["result"]

    def rules(self) -> dict[str, dict]:
        """Return every alert as Prometheus last evaluated it: its state, health and error."""
        return {rule["name"]: rule for group in self.get("rules")["groups"] for rule in group["rules"]}

    def wait(self, test, what: str, *, seconds: float = 60, told=str):
        """Return the first true answer of `test`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if answer := test():
                    return answer
            except OSError:  # it is only just starting
                pass
            time.sleep(0.1)
        raise AssertionError(f"waited {seconds} s for {what}\n{told()}\n{self.log.read_text()[-2000:]}")


@contextmanager
def a_prometheus(folder: Path, *, target: int, rule_groups: list[dict]) -> Iterator[Prometheus]:
    """Yield a Prometheus that scrapes an API of ours every second, as the PodMonitor would, and has scraped it once."""
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": rule_groups}))
    scrape = {
        "job_name": "loco-health",
        "honor_labels": True,
        "static_configs": [{"targets": [f"127.0.0.1:{target}"], "labels": {"namespace": "loco-health"}}],
    }
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config = {"global": every, "rule_files": ["rules.yaml"], "scrape_configs": [scrape]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port, log = free_port(), folder / "prometheus.log"
    command = [
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        prometheus = Prometheus(port, log)
        prometheus.wait(lambda: prometheus.query("loco_build_info"), "the first scrape")
        prometheus.wait(
            lambda: all(rule["lastEvaluation"][:4] != "0001" for rule in prometheus.rules().values()),
            "the first evaluation",
        )
        yield prometheus
    finally:
        process.terminate()
        process.wait(20)
