"""`python -m jobs recover` against real faults of a real decoy, and a user who plays there."""

import json
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from collecting import an_instance
from decoys import Decoy, wait_for
from recover_runs import Store

from agent.actions.gate import CHALLENGE_SECONDS
from jobs.clock import Clock
from jobs.commands.keys import write_files
from jobs.health.policy import Policy
from jobs.health.recovery import Action, AttemptOutcome
from jobs.health.situation import Leave
from jobs.planner import Recovery
from jobs.recovery.assembly import Place, means_for
from jobs.recovery.means import Pace, Patience
from jobs.recovery.recoverer import Recoverer
from jobs.store.evidence import read_bundle

pytestmark = [pytest.mark.decoy, pytest.mark.timeout(180)]

VIEWER = Path(__file__).parents[1] / "support" / "viewer.py"


@pytest.fixture
def store(tmp_path):
    with closing(Store(tmp_path / "loco.db")) as made:
        yield made


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


def test_a_key_of_another_master_opens_nothing_and_the_guest_stays_as_it_is(store, decoy, sick, tmp_path):
    write_files(tmp_path / "other", [], is_rotation=False)
    attempt_id = store.book(sick("mute", "AudioMuted"), Action.RESET_AUDIO, "AudioMuted")
    master = ("--master-key-file", tmp_path / "other" / "master")
    done = store.recover_booked(attempt_id, *master, public_id="recovered")

    assert (0, "stood-down") == (done.exit_code, done.said["outcome"])
    assert "NoKey: " in done.said["detail"]
    assert "the signature isn't of this instance's key" in done.said["detail"]
    assert decoy.peak() < 0.01


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


@pytest.mark.soak
def test_a_run_that_sleeps_between_its_fence_and_its_act_finds_its_challenge_expired(store, decoy, sick):
    instance = sick("mute", "AudioMuted")
    attempt_id = store.book(instance, Action.RESET_AUDIO, "AudioMuted")
    place = Place(store=store.path, recovery=Recovery(Leave(Policy())), master=store.master[1])
    with means_for(place, store.connection, instance, clock=Clock()) as means:
        slept = replace(means, agent=Sleeper(means.agent))
        pace = Pace(clock=Clock(), sleep=time.sleep, rest=time.sleep)
        result = Recoverer(store.connection, slept, Patience(), pace).run(attempt_id, "runner")

    assert AttemptOutcome.STOOD_DOWN is result.outcome
    assert "CoolDown: the agent answered 401: the challenge is older than 30 s" == result.detail
    assert store.row(attempt_id).acted_ms is not None
    assert decoy.peak() < 0.01
