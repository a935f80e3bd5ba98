"""`python -m jobs recover` as Jobs and people start it: on a real store, against agents of a test and a real decoy."""

import json
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from builders import a_report
from collecting import Rounds, an_instance
from decoys import Decoy, wait_for
from servers import http, serving

from agent.actions.gate import CHALLENGE_SECONDS
from agent.report import Actions, Clients, Sessions, encode
from jobs.assembly import Place, means_for
from jobs.clock import Clock
from jobs.collector import Collector
from jobs.commands.keys import write_files
from jobs.health.policy import Policy
from jobs.health.recovery import Action, Attempt, AttemptOutcome, AttemptState, Limits, Order
from jobs.health.situation import Leave
from jobs.means import Pace, Patience
from jobs.planner import Recovery
from jobs.recoverer import Recoverer
from jobs.store import ledger
from jobs.store.connection import open_store, reading, transaction
from jobs.store.evidence import read_bundle
from jobs.template import attempt_job_name
from jobs.termination import tell

pytestmark = pytest.mark.timeout(180)

VIEWER = Path(__file__).parents[1] / "support" / "viewer.py"


class Store:
    """A store that may act, with a collector whose rounds a test makes."""

    def __init__(self, path):
        self.path = path
        self.connection = open_store(path)
        self.rounds = Rounds(self.connection)
        self.rounds.collector.close()
        # A decoy is up within seconds, and its faults are to be seen then.
        self.rounds.collector = Collector(Recovery(Leave(Policy(boot_grace_seconds=1.0))), clock=Clock())
        self.rounds.collector.resume(self.connection)
        with transaction(self.connection):
            ledger.adopt(self.connection, (), now=Clock().moment())

    def close(self):
        """Close it all."""
        self.rounds.collector.close()
        self.connection.close()

    def book(self, instance, action, *codes):
        """Book an attempt as the dispatcher does; its incident is none, so that the test needs no two ticks."""
        order = Order(key=instance.key, action=action, uid=instance.uid, codes=codes)
        with transaction(self.connection):
            booked = ledger.book(self.connection, order, Limits(), now=Clock().moment())
        assert isinstance(booked, Attempt), booked
        return booked.id

    def spend_budget(self, instance):
        """Act three times, as far apart as the ledger wants, by a clock that goes ahead of the machine's."""
        for number in range(3):
            real = Clock().moment()
            now = ledger.Moment(real.boot_id, real.boottime_ms + (number + 1) * 100_000, real.wall_ms)
            with transaction(self.connection):
                order = Order(key=instance.key, action=Action.RESET_AUDIO)
                booked = ledger.book(self.connection, order, Limits(), now=now)
                assert isinstance(booked, Attempt), booked
                ledger.claim(self.connection, booked.id, "runner", now=now)
                ledger.begin_act(self.connection, booked.id, "runner", now=now)
                ledger.end(
                    self.connection, booked.id, ledger.Ending(AttemptOutcome.HEALED, "well"), now=now, runner="runner"
                )

    def job(self, attempt_id, public_id):
        """Return the name of an attempt's Job."""
        return attempt_job_name(ledger.store_name(self.connection), public_id, attempt_id)

    def row(self, attempt_id):
        """Return an attempt as the ledger has it."""
        with reading(self.connection):
            return ledger.find(self.connection, attempt_id)

    def command(self, *words):
        """Return the command line of one recovery."""
        return [sys.executable, "-m", "jobs", "recover", "--store", str(self.path), *(str(word) for word in words)]

    def recover(self, *words):
        """Run one recovery to its end; return its exit code, the line that it says, and its log."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        said = json.loads(done.stdout) if done.stdout else None
        return SimpleNamespace(exit_code=done.returncode, said=said, log=done.stderr)

    def recover_booked(self, attempt_id, *words, public_id="instance-0"):
        """Run a booked attempt."""
        return self.recover("--attempt", attempt_id, "--job-name", self.job(attempt_id, public_id), *words)


@pytest.fixture
def store(tmp_path):
    with closing(Store(tmp_path / "loco.db")) as made:
        yield made


class Agent:
    """An agent that can act, says who is connected, and whose sequence counts its reports."""

    def __init__(self, *, people=0):
        self.people = people
        self.sequence = 0

    def serve(self, connection):
        """Answer every request with a report."""
        while connection.recv(65536):
            self.sequence += 1
            report = msgspec.structs.replace(
                a_report(sequence=self.sequence),
                actions=Actions(can=[*Action]),
                sessions=Sessions(count=self.people),
                clients=Clients(count=0),
            )
            connection.sendall(http(encode(report)))


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


def test_without_a_master_key_nothing_is_asked_of_the_agent(store, watched):
    attempt_id = store.book(watched.instance, Action.RESET_AUDIO)
    done = store.recover_booked(attempt_id)

    assert (0, "stood-down") == (done.exit_code, done.said["outcome"])
    assert done.said["detail"].startswith("NoKey: no master key is given (LOCO_MASTER_KEY_FILE)")
    assert store.row(attempt_id).acted_ms is None


def test_a_switch_in_the_folder_stops_it(store, watched, tmp_path):
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "recovery").write_text("off")
    done = store.recover_booked(store.book(watched.instance, Action.RESET_AUDIO), "--control", tmp_path / "control")

    assert "KillSwitch: recovery is switched off in loco-control" == done.said["detail"]


def test_a_booked_attempt_is_not_done_in_a_dry_run(store, watched):
    done = store.recover_booked(store.book(watched.instance, Action.RESET_AUDIO), "--dry-run")

    assert (0, "DryRun: reset-audio would be done now") == (done.exit_code, done.said["detail"])
    assert 0 == watched.sequence


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


def test_the_line_is_left_where_kubelet_takes_it_from(tmp_path):
    path = tmp_path / "termination-log"
    tell("nobody reads this", path)
    assert not path.exists()

    path.touch()
    tell("x" * 5000, path)
    assert 4096 == path.stat().st_size


# The real thing


@pytest.fixture(scope="module")
def decoy(decoy_directory):
    """Start a decoy whose agent takes acts that are signed with the key of a master."""
    placeholder = replace(an_instance("recovered", SimpleNamespace(url="http://127.0.0.1:1/health")))
    write_files(decoy_directory / "keys", [placeholder], is_rotation=False)
    key_file = decoy_directory / "keys" / "recovered.key"
    running = Decoy(decoy_directory, "recovered", options=["--key-file", str(key_file)])
    try:
        yield running.wait_up()
    finally:
        running.stop()


@pytest.fixture
def sick(store, decoy, decoy_directory):
    """Yield what causes a fault in the decoy and collects until its code holds; heal it afterwards."""
    host, port = decoy.vnc_address
    instance = replace(
        an_instance("recovered", SimpleNamespace(url=f"{decoy.health_url}/health")),
        vnc_address=(host, port),
        expect_motion_seconds=5.0,
        expect_sound_seconds=15.0,
    )
    store.rounds.discover(instance)
    store.master = ("--master-key-file", decoy_directory / "keys" / "master")

    def cause(fault, code):
        decoy.fault(fault)

        def holds():
            store.rounds.reports()
            return code in [reason.code for reason in store.rounds.latest("recovered").assessment.reasons]

        wait_for(holds, 30)
        return instance

    yield cause
    decoy.heal()


@pytest.mark.decoy
def test_a_muted_sink_sounds_again_and_the_ledger_and_the_evidence_tell_how(store, decoy, sick):
    attempt_id = store.book(sick("mute", "AudioMuted"), Action.RESET_AUDIO, "AudioMuted")
    done = store.recover_booked(attempt_id, *store.master, public_id="recovered")

    row = store.row(attempt_id)
    assert (0, "healed", AttemptOutcome.HEALED) == (done.exit_code, done.said["outcome"], row.outcome), done
    assert decoy.peak() > 0.1
    assert 0.0 == row.session_seconds_lost
    assert done.said["detail"] == row.detail
    bundle = json.loads(read_bundle(store.path, attempt_id))
    assert row.has_evidence
    assert "AudioMuted" in [reason["code"] for reason in bundle["reasons"]]
    assert bundle["agent"]["audio"]["sinks"][0]["muted"]
    assert "tap0" in [one["name"] for one in bundle["agent"]["interfaces"]]


@pytest.mark.decoy
def test_a_frozen_guest_is_reset_on_demand_by_the_name_of_a_job(store, decoy, sick, tmp_path):
    sick("freeze", "ScreenFrozen")
    policy = tmp_path / "policy.toml"
    policy.write_text("boot_grace_seconds = 1\n")
    done = store.recover(
        "--job-name", "recover-recovered-again", "--action", "reset-guest", "--policy", policy, *store.master
    )

    assert (0, "healed", "reset-guest") == (done.exit_code, done.said["outcome"], done.said["action"]), done
    assert decoy.moves()
    assert "recover-recovered-again" == store.row(done.said["attempt"]).job


@pytest.mark.decoy
def test_a_key_of_another_master_opens_nothing_and_the_guest_stays_as_it_is(store, decoy, sick, tmp_path):
    write_files(tmp_path / "other", [], is_rotation=False)
    attempt_id = store.book(sick("mute", "AudioMuted"), Action.RESET_AUDIO, "AudioMuted")
    master = ("--master-key-file", tmp_path / "other" / "master")
    done = store.recover_booked(attempt_id, *master, public_id="recovered")

    assert (1, "refused") == (done.exit_code, done.said["outcome"])
    assert "the signature isn't of this instance's key" in done.said["detail"]
    assert decoy.peak() < 0.01


@pytest.mark.decoy
@pytest.mark.soak
def test_a_user_is_not_cut_off_and_once_gone_the_guest_is_reset_at_once(store, decoy, sick):
    host, port = decoy.vnc_address
    viewer = [sys.executable, str(VIEWER), host, str(port)]
    with subprocess.Popen(viewer, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as user:
        assert "painted\n" == user.stdout.readline()
        attempt_id = store.book(sick("freeze", "ScreenFrozen"), Action.RESET_GUEST, "ScreenFrozen")
        words = ("--attempt", attempt_id, "--job-name", store.job(attempt_id, "recovered"), *store.master)
        with subprocess.Popen(store.command(*words), stdout=subprocess.PIPE, text=True) as process:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(15)
            assert (None, None) == (store.row(attempt_id).acted_ms, user.poll())
            user.stdin.close()
            wait_for(lambda: store.row(attempt_id).acted_ms is not None, 12)
            said = json.loads(process.communicate(timeout=60)[0])

    assert ("healed", 0.0) == (said["outcome"], store.row(attempt_id).session_seconds_lost)
    assert decoy.moves()


class Sleeper:
    """An agent to whom a run that slept for longer than a challenge lasts sends its act."""

    def __init__(self, agent):
        self.challenge = agent.challenge
        self._act = agent.act

    def act(self, *order):
        """Sleep, then send it."""
        time.sleep(CHALLENGE_SECONDS + 1)
        return self._act(*order)


@pytest.mark.decoy
@pytest.mark.soak
def test_a_run_that_sleeps_between_its_fence_and_its_act_finds_its_challenge_expired(store, decoy, sick):
    instance = sick("mute", "AudioMuted")
    attempt_id = store.book(instance, Action.RESET_AUDIO, "AudioMuted")
    place = Place(store=store.path, recovery=Recovery(Leave(Policy())), master=store.master[1])
    with means_for(place, store.connection, instance, clock=Clock()) as means:
        slept = replace(means, agent=Sleeper(means.agent))
        pace = Pace(clock=Clock(), sleep=time.sleep)
        result = Recoverer(store.connection, slept, Patience(), pace).run(attempt_id, "runner")

    assert AttemptOutcome.STOOD_DOWN is result.outcome
    assert "CoolDown: the agent answered 401: the challenge is older than 30 s" == result.detail
    assert store.row(attempt_id).acted_ms is not None
    assert decoy.peak() < 0.01
