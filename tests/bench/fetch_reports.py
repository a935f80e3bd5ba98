"""CPU of the collector for one report: 1,000 loopback agents behind one nginx, connections kept between rounds."""

import json
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from agents import nginx_agents

from jobs.collector import REPORTS, Collector
from jobs.health.model import Instance, ProbeOutcome
from jobs.health.policy import Policy
from jobs.probe.answers import probe_result, report_request
from jobs.probe.reports import Fetcher
from jobs.store.connection import open_store, transaction
from jobs.store.writer import record_inventory

AGENTS = 1000
ROUNDS = 10


def now_ms() -> int:
    """Return Unix milliseconds."""
    return time.time_ns() // 1_000_000


def cpu_seconds() -> float:
    """Return the CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(what: str, one_round: Callable[[], int]) -> None:
    """Print the row of a round that returns how many of the reports were good."""
    deadline = time.monotonic() + 10
    while one_round() < AGENTS:
        if time.monotonic() > deadline:
            sys.exit(f"{what}: not every agent answered within 10 s")
    cpu_before, began = cpu_seconds(), time.monotonic()
    good = sum(one_round() for _ in range(ROUNDS))
    micros = (cpu_seconds() - cpu_before) / (ROUNDS * AGENTS) * 1e6
    seconds = (time.monotonic() - began) / ROUNDS
    print(
        f"| {what} | {micros:.0f} us CPU | {AGENTS} agents, a round {seconds:.2f} s, {good} of {ROUNDS * AGENTS} good |"
    )


def fetching(fleet: list[Instance], fetcher: Fetcher) -> Callable[[], int]:
    """Return a round that fetches and decodes."""
    by_key = {instance.key: instance for instance in fleet}

    def one_round() -> int:
        fetcher.ask(map(report_request, fleet))
        results = [probe_result(by_key[answer.request.key], answer) for answer in fetcher.gather(10)]
        return sum(result.outcome is ProbeOutcome.OK for result in results)

    return one_round


def ticking(collector: Collector, connection: sqlite3.Connection) -> Callable[[], int]:
    """Return a round that is one whole tick."""
    ticks = count(1)

    def one_round() -> int:
        tick = next(ticks)
        observed = collector.observe(REPORTS, tick)
        with transaction(connection):
            observed.write(connection)
        (good,) = connection.execute(
            "SELECT count(*) FROM assessments WHERE tick = ? AND outcome = 'ok'", (tick,)
        ).fetchone()
        return good

    return one_round


def peering(fleet: Sequence[Instance], kept: ExitStack) -> Callable[[], int]:
    """Return a round of the standard library's client and decoder, one kept connection an agent: the plain way."""
    links = [kept.enter_context(closing(HTTPConnection(urlsplit(one.health_url).netloc))) for one in fleet]

    def one_round() -> int:
        for link in links:
            link.request("GET", "/health")
        return sum("video" in json.loads(link.getresponse().read()) for link in links)

    return one_round


def main() -> None:
    """Print one row for fetching alone, one for a peer beside it, and one for the whole tick."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    with nginx_agents(AGENTS) as fleet:
        with closing(Fetcher(clock=now_ms)) as fetcher:
            measure("fetch and decode one report", fetching(fleet, fetcher))
        with ExitStack() as kept:
            measure("the same by the standard library's `http.client` and `json`, a peer", peering(fleet, kept))
        with tempfile.TemporaryDirectory() as folder, closing(open_store(Path(folder, "loco.db"))) as connection:
            with transaction(connection):
                record_inventory(connection, fleet, at_ms=now_ms())
            with closing(Collector(Policy(), clock=now_ms)) as collector:
                collector.resume(connection)
                measure("fetch, decode, classify and store one report", ticking(collector, connection))


if __name__ == "__main__":
    main()
