"""CPU of fetching and decoding one report: 1,000 loopback agents behind one nginx, connections kept."""

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from full_report import a_full_report

from agent.report import encode
from jobs.health.model import Instance, InstanceKey, ProbeOutcome
from jobs.probe.answers import probe_result, report_request
from jobs.probe.reports import Fetcher

AGENTS = 1000
ROUNDS = 10
FIRST_PORT = 20_000

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_timeout 120; keepalive_requests 100000;
  types {{ application/json json; }} default_type application/json;
  server {{ {listens} location = /health {{ alias {folder}/report.json; }} }}
}}
"""


def instances() -> list[Instance]:
    """Return one instance a port."""
    return [
        Instance(InstanceKey(f"static/a-{n}"), f"a-{n}", f"a-{n}", f"http://127.0.0.1:{FIRST_PORT + n}/health")
        for n in range(AGENTS)
    ]


def cpu_seconds() -> float:
    """Return the CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def fetch(fetcher: Fetcher, fleet: list[Instance]) -> int:
    """Fetch and decode a round; return how many reports were good."""
    by_key = {instance.key: instance for instance in fleet}
    fetcher.ask(report_request(instance) for instance in fleet)
    results = [probe_result(by_key[answer.request.key], answer) for answer in fetcher.gather(10)]
    return sum(result.outcome is ProbeOutcome.OK for result in results)


def main() -> None:
    """Print one row of a table."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    folder = tempfile.mkdtemp()
    listens = "".join(f"listen 127.0.0.1:{FIRST_PORT + n};" for n in range(AGENTS))
    Path(folder, "nginx.conf").write_text(NGINX.format(folder=folder, listens=listens))
    Path(folder, "report.json").write_bytes(encode(a_full_report()))
    nginx = subprocess.Popen(["nginx", "-p", folder, "-c", f"{folder}/nginx.conf"])
    fetcher = Fetcher(clock=lambda: time.time_ns() // 1_000_000)
    try:
        fleet = instances()
        deadline = time.monotonic() + 10
        while fetch(fetcher, fleet) < AGENTS:
            if time.monotonic() > deadline:
                sys.exit("nginx did not answer for every agent within 10 s")
        before, began = cpu_seconds(), time.monotonic()
        good = sum(fetch(fetcher, fleet) for _ in range(ROUNDS))
        micros = (cpu_seconds() - before) / (ROUNDS * AGENTS) * 1e6
        seconds = (time.monotonic() - began) / ROUNDS
        print(f"| fetch and decode one report, of {AGENTS} agents | {micros:.0f} us CPU |", end="")
        print(f" round {seconds:.2f} s, {good} of {ROUNDS * AGENTS} good |")
    finally:
        fetcher.close()
        nginx.terminate()
        nginx.wait(10)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
