"""`python -m jobs recover` as Jobs and people start it: on a real store, against an agent of the test."""

import json
import signal
import subprocess
import sys
import time
from contextlib import closing

import msgspec
import pytest
from builders import a_report
from collecting import an_instance
from decoys import wait_for
from object_server import an_object_server
from proxying_server import a_kubeconfig
from recover_runs import Store
from servers import http, serving

from agent.report import Actions, Clients, Sessions, encode
from jobs.clock import Clock
from jobs.health.policy import Policy
from jobs.health.recovery import Action, AttemptOutcome, AttemptState
from jobs.health.situation import Leave
from jobs.planner import Recovery
from jobs.recovery.assembly import Place, means_for
from jobs.recovery.termination import tell
from jobs.store import ledger
from jobs.store.connection import transaction

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def store(tmp_path):
    with closing(Store(tmp_path / "loco.db")) as made:
        yield made


@pytest.fixture
def in_cluster(tmp_path, monkeypatch):
    """Yield the objects of the API server that runs of the command ask."""
    with an_object_server() as (objects, connect):
        host = connect()._api.configuration.host
        (tmp_path / "kubeconfig").write_text(a_kubeconfig(int(host.rpartition(":")[2])))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        monkeypatch.setenv("LOCO_RECOVERY_NAMESPACE", "loco-health")
        yield objects


class Agent:
    """An agent that can act, says who is connected, and whose sequence counts its reports."""

    def __init__(self, *, people=0):
        self.people = people
        self.sequence = 0

    def serve(self, connection):
        """Answer every request with a report."""
        while connection.recv(65536):
            connection.sendall(http(encode(self.report())))

    def report(self):
        """Return the next report."""
        self.sequence += 1
        return msgspec.structs.replace(
            a_report(sequence=self.sequence),
            actions=Actions(can=[*Action]),
            sessions=Sessions(count=self.people),
            clients=Clients(count=0),
        )


@pytest.fixture
def watched(store):
    """Yield an agent whose instance is in the store's inventory, as attribute `instance`."""
    agent = Agent()
    with serving(agent.serve) as server:
        agent.instance = an_instance("instance-0", server)
        store.rounds.discover(agent.instance)
        yield agent


def test_an_attempt_and_a_job_that_do_not_belong_together_do_nothing(store, watched):
    attempt_id = store.book(watched.instance, Action.RESET_AUDIO)
    done = store.recover("--attempt", attempt_id, "--job-name", "recover-instance-0")

    assert 2 == done.exit_code
    assert f"attempt '{attempt_id}' and Job name 'recover-instance-0' don't belong together" in done.log
    assert AttemptState.PLANNED is store.row(attempt_id).state


def test_an_attempt_of_another_store_is_left_to_that_store(store, watched):
    attempt_id = store.book(watched.instance, Action.RESET_AUDIO)
    done = store.recover("--attempt", attempt_id, "--job-name", f"recover-ffffff-instance-0-{attempt_id}")

    assert (0, "superseded") == (done.exit_code, done.said["outcome"])
    assert AttemptState.PLANNED is store.row(attempt_id).state


def test_an_attempt_that_nobody_booked_is_superseded(store, watched):
    done = store.recover_booked(77)

    assert (0, "superseded", "this store knows of no attempt 77") == (
        done.exit_code,
        done.said["outcome"],
        done.said["detail"],
    )


def test_an_instance_that_left_the_inventory_ends_its_attempt(store, watched):
    attempt_id = store.book(watched.instance, Action.RESET_AUDIO)
    store.rounds.discover()
    done = store.recover_booked(attempt_id)

    assert (0, "superseded") == (done.exit_code, done.said["outcome"])
    assert AttemptOutcome.SUPERSEDED is store.row(attempt_id).outcome


@pytest.mark.parametrize("namespace", ["", "loco-health"])
def test_an_instance_that_comes_back_while_its_attempt_runs_is_not_found(store, watched, namespace):
    place = Place(store=store.path, recovery=Recovery(Leave(Policy())), namespace=namespace)

    with means_for(place, store.connection, watched.instance, clock=Clock(), is_known=False) as means:
        assert means.ground.instance() is None


def test_without_a_master_key_nothing_is_asked_of_the_agent(store, watched):
    attempt_id = store.book(watched.instance, Action.RESET_AUDIO)
    done = store.recover_booked(attempt_id)

    assert (0, "stood-down") == (done.exit_code, done.said["outcome"])
    assert store.job(attempt_id, "instance-0") == store.row(attempt_id).job
    assert done.said["detail"].startswith("NoKey: no master key is given (LOCO_MASTER_KEY_FILE)")
    assert store.row(attempt_id).acted_ms is None


@pytest.mark.parametrize("name", ["control", "elsewhere"])
def test_a_switch_in_the_folder_beside_the_store_or_in_a_named_one_stops_it(store, watched, tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "recovery").write_text("off")
    words = () if name == "control" else ("--control", tmp_path / name)
    done = store.recover_booked(store.book(watched.instance, Action.RESET_AUDIO), *words)

    assert "KillSwitch: recovery is switched off in loco-control" == done.said["detail"]


def test_a_booked_attempt_is_not_done_in_a_dry_run(store, watched):
    done = store.recover_booked(store.book(watched.instance, Action.RESET_AUDIO), "--dry-run")

    assert (0, "DryRun: reset-audio would be done now") == (done.exit_code, done.said["detail"])
    assert 0 == watched.sequence


@pytest.fixture(params=[(), (signal.SIGTERM,)], ids=["signals come", "signals wait"])
def starter_blocks(request):
    """Block what dispatch, which starts recoveries without a cluster, keeps for itself."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, request.param)
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.usefixtures("starter_blocks")
def test_somebody_who_is_connected_is_waited_for_until_the_process_is_to_end(store, watched):
    watched.people = 1
    attempt_id = store.book(watched.instance, Action.RESTART_QEMU)
    words = ("--attempt", attempt_id, "--job-name", store.job(attempt_id, "instance-0"))
    with subprocess.Popen(store.command(*words), stdout=subprocess.PIPE, text=True) as process:
        wait_for(lambda: watched.sequence >= 2, 20)
        assert AttemptState.RUNNING is store.row(attempt_id).state
        process.send_signal(signal.SIGTERM)
        said = json.loads(process.communicate(timeout=20)[0])

    assert (0, "stood-down") == (process.returncode, said["outcome"])
    assert "the process was asked to end before the act" == store.row(attempt_id).detail


def test_a_process_that_is_killed_leaves_an_attempt_that_nobody_runs_again(store, watched):
    watched.people = 1
    attempt_id = store.book(watched.instance, Action.RESTART_QEMU)
    words = ("--attempt", attempt_id, "--job-name", store.job(attempt_id, "instance-0"))
    with subprocess.Popen(store.command(*words), stdout=subprocess.PIPE) as process:
        wait_for(lambda: watched.sequence >= 1, 20)
        process.kill()

    assert "superseded" == store.recover_booked(attempt_id).said["outcome"]
    assert (AttemptState.RUNNING, None) == (store.row(attempt_id).state, store.row(attempt_id).acted_ms)


ENDS_AFTER = """
import jobs.commands.recover
jobs.commands.recover.LONGEST_SECONDS = 3
from jobs.__main__ import main
main()
"""


def test_a_run_that_an_agent_never_lets_go_is_ended(store, watched):
    def drip(connection):
        if b"GET /health" in connection.recv(65536):
            connection.sendall(http(encode(watched.report())))
            return
        while True:
            connection.sendall(b"HTTP/1.1 200 OK ")
            time.sleep(0.1)

    with serving(drip) as server:
        store.rounds.discover(an_instance("instance-0", server))
        attempt_id = store.book(watched.instance, Action.RESET_AUDIO)
        _, *words = store.command("--attempt", attempt_id, "--job-name", store.job(attempt_id, "instance-0"))
        ended = subprocess.run([sys.executable, "-c", ENDS_AFTER, *words[2:]], timeout=30, check=False)

    assert -signal.SIGALRM == ended.returncode
    assert (AttemptState.RUNNING, None) == (store.row(attempt_id).state, store.row(attempt_id).acted_ms)


# On demand


def test_an_instance_that_nobody_knows_is_named_with_those_there_are(store, watched):
    done = store.recover("--job-name", "recover-instance-9")

    assert 2 == done.exit_code
    assert (
        "loco-jobs: an instance for Job recover-instance-9 isn't in the inventory; it has instance-0; "
        "nothing was done\n" == done.log
    )


@pytest.mark.parametrize("name", ["recover-instance-0", "recover-instance-0-again", "recover-instance-0-bcdfgh"])
def test_the_instance_is_read_from_the_jobs_name(store, watched, name):
    assert "instance-0" == store.recover("--job-name", name).said["instance"]


def test_what_nobody_has_looked_at_is_not_acted_on(store, watched):
    done = store.recover("--instance", "instance-0", "--action", "reset-audio")

    assert (0, None, "stood-down") == (done.exit_code, done.said["attempt"], done.said["outcome"])
    assert [] == ledger.every(store.connection)


def test_an_action_that_there_is_not_is_refused_with_those_there_are(store, watched):
    done = store.recover("--instance", "instance-0", "--action", "reboot")

    assert 2 == done.exit_code
    assert "action 'reboot' is none; reset-interface, rebuild-bridge, " in done.log


def test_a_budget_that_is_spent_holds_even_the_forced(store, watched):
    store.rounds.reports()
    store.spend_budget(watched.instance)
    done = store.recover("--instance", "instance-0", "--action", "reset-audio", "--force")

    assert (0, "stood-down") == (done.exit_code, done.said["outcome"])
    assert done.said["detail"].startswith("BudgetSpent: reset-audio waits: 3 attempts in 60 minutes")
    assert 3 == len(ledger.every(store.connection))


def test_a_dry_run_tells_the_plan_and_books_nothing(store, watched):
    store.rounds.reports()
    done = store.recover("--instance", "instance-0", "--action", "reset-audio", "--dry-run")

    assert (0, None) == (done.exit_code, done.said["attempt"])
    assert done.said["detail"].startswith("DryRun: reset-audio waits: it would be done now")
    assert [] == ledger.every(store.connection)


SWITCH = "/api/v1/namespaces/loco-health/configmaps/loco-control"
SWITCHED = [({"recovery": "off"}, "KillSwitch: "), ({"pause-until": "2100-01-01T00:00:00Z"}, "Paused: ")]


@pytest.mark.parametrize(("said", "hold"), SWITCHED)
def test_a_switch_of_the_cluster_stops_what_is_asked_for_before_it_is_booked(store, watched, in_cluster, said, hold):
    store.rounds.reports()
    in_cluster.kept[SWITCH] = {"metadata": {"name": "loco-control"}, "data": said}
    done = store.recover("--instance", "instance-0", "--action", "reset-audio", "--force")

    assert (0, None, "stood-down") == (done.exit_code, done.said["attempt"], done.said["outcome"])
    assert done.said["detail"].startswith(hold)
    assert [] == ledger.every(store.connection)


def test_switches_that_cannot_be_read_stop_what_is_asked_for_and_are_said(store, watched, in_cluster):
    store.rounds.reports()
    in_cluster.refusal = (403, "configmaps may not be read")
    done = store.recover("--instance", "instance-0", "--action", "reset-audio")

    assert (75, None, "stood-down") == (done.exit_code, done.said["attempt"], done.said["outcome"])
    assert done.said["detail"].startswith("nothing was done: GET /api/v1/namespaces/loco-health/configmaps/")
    assert [] == ledger.every(store.connection)


def test_a_store_that_cannot_be_written_is_said_where_kubelet_takes_it_from(store, watched):
    attempt_id = store.book(watched.instance, Action.RESET_AUDIO)
    with transaction(store.connection):
        done = store.recover_booked(attempt_id)

    assert (75, "stood-down") == (done.exit_code, done.said["outcome"])
    assert done.said["detail"].startswith(f"nothing was done: store {store.path}: another connection held it")
    assert AttemptState.PLANNED is store.row(attempt_id).state


def test_the_line_is_left_where_kubelet_takes_it_from(tmp_path):
    path = tmp_path / "termination-log"
    tell("nobody reads this", path)
    assert not path.exists()

    path.touch()
    tell("x" * 5000, path)
    assert 4096 == path.stat().st_size
