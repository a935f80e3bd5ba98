"""What one attempt costs dispatch: its plan, its place in the ledger, its Job, and the Event that tells of it."""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from kubernetes.client.configuration import Configuration
from launching import NAMESPACE, Dispatch, a_fleet
from situations import a_situation

from jobs.cluster.client import ClusterClient
from jobs.cluster.jobs import ClusterJobs
from jobs.courier import Courier
from jobs.health.plan import plan_recovery
from jobs.health.recovery import AttemptOutcome, Limits
from jobs.store import ledger
from jobs.store.connection import transaction

SUPPORT = sys.path[0]
ATTEMPTS = 100

# The API server is a process of its own, so that its cost isn't counted as ours.
SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from launching import put_template
from object_server import an_object_server
with an_object_server() as (objects, connect):
    put_template(objects)
    print(connect()._api.configuration.host, flush=True)
    sys.stdin.read()
"""


def cpu_seconds() -> float:
    """Return the CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def attempts(path: Path, client: ClusterClient) -> float:
    """Make attempts one after the other, each from its plan to the Event that it was planned; return the CPU time."""
    with a_fleet(path) as fleet:
        dispatch = Dispatch(fleet, ClusterJobs(NAMESPACE, lambda: client), Limits(3, 6, 0))
        courier = Courier(lambda: client, clock=lambda: fleet.time.wall_ms)
        dispatch.go()
        began = cpu_seconds()
        for number in range(1, ATTEMPTS + 1):
            plan_recovery(a_situation("QemuStuck"))
            fleet.tick()
            dispatch.go(2)
            told = courier.observe(fleet.connection, is_tick=True)
            with transaction(fleet.connection):
                if told.write:
                    told.write(fleet.connection)
                ending = ledger.Ending(AttemptOutcome.HEALED, "as the bench says")
                assert ledger.end(fleet.connection, number, ending, now=fleet.time.clock.moment())
            fleet.time.wait(3700)  # the hour after which the budget is free again
        assert {True} == {attempt.job is not None for attempt in fleet.attempts()}
        return cpu_seconds() - began


def main() -> None:
    """Print a row of a table."""
    command = [sys.executable, "-c", SERVER, SUPPORT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        configuration = Configuration(host=server.stdout.readline().strip())
        configuration.retries = False
        with tempfile.TemporaryDirectory() as folder, ClusterClient(configuration) as client:
            seconds = attempts(Path(folder, "loco.db"), client)
        server.stdin.close()
    print(
        f"| one recovery: plan, ledger, Job, Events | {seconds / ATTEMPTS * 1000:.1f} ms CPU | at most 20 ms allowed |"
    )


if __name__ == "__main__":
    main()
