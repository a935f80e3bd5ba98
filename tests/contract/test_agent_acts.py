"""Each act against its real fault, in a real decoy, asked for as a recovery Job asks."""

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager

import pulsectl
import pytest
from acts import KEY, act, ask
from decoys import Decoy, wait_for

from agent.actions.gate import MAX_ACTS

pytestmark = [pytest.mark.decoy, pytest.mark.timeout(120)]


def soak(*values):
    """Return a case that only long runs take: another like it stands beside it."""
    return pytest.param(*values, marks=pytest.mark.soak)


class Acting(Decoy):
    """A decoy whose agent may act. acts: how many it was asked for."""

    acts = 0

    def act(self, name, **fields):
        """Do an act."""
        self.acts += 1
        return act(self.health_url, name, **fields)

    def have_quota(self):
        """Have an agent that may act twice: a fresh one has acted never."""
        if self.acts > MAX_ACTS - 2:
            os.kill(self.pid("agent"), signal.SIGKILL)
            wait_for(lambda: self.report()["agent"]["sequence"] < 2, 30)
            self.acts = 0

    def report(self):
        """Return the agent's report."""
        return ask(self.health_url, "GET", "/health")[2]

    def sees(self, question, seconds=20):
        """Return the first report for which a question holds."""
        seen = []

        def is_so():
            seen.append(self.report())
            return question(seen[-1])

        wait_for(is_so, seconds)
        return seen[-1]

    def knows_qemu(self, report):
        """Tell whether the agent has met the QEMU that runs now: its rounds are seconds apart."""
        return report["performance"]["qemu_pid"] == str(self.pid("qemu"))

    def ip(self, *words):
        """Run `ip` in the decoy's network namespace and return what it says."""
        return subprocess.check_output(["ip", "-n", self.record["netns"], *words], text=True)

    @contextmanager
    def sound(self):
        """Yield a PulseAudio client of the test's own."""
        with pulsectl.Pulse("test", server=f"unix:{self.folder}/pulse.sock") as pulse:
            yield pulse


@pytest.fixture(scope="module")
def running(decoy_directory):
    key_file = decoy_directory / "acting.key"
    key_file.write_text(f"{KEY.hex()}\n")
    decoy = Acting(decoy_directory, "acting", options=["--key-file", str(key_file)])
    try:
        yield decoy.wait_up()
    finally:
        decoy.stop()


@pytest.fixture
def decoy(running):
    """Return a healthy decoy that its agent has seen so, and heal it after a test that left it sick."""
    running.have_quota()
    running.sees(lambda report: report["overall_status"] == "healthy" and report["audio"]["qemu_streams"], 60)
    running.sees(running.knows_qemu)
    yield running
    running.heal()


def held(answered):
    """Tell whether an act was done and held."""
    status, answer = answered
    return (status, answer.get("held"))


@pytest.mark.parametrize(
    "act_name", [soak("reset-interface"), soak("rebuild-bridge"), "reset-audio", soak("reset-guest")]
)
def test_an_act_on_what_is_well_leaves_it_well_and_can_be_done_twice(decoy, act_name):
    assert [(200, True), (200, True)] == [held(decoy.act(act_name)) for _ in range(2)]

    wait_for(decoy.moves, 20)
    assert ("UP" in decoy.link("tap0")["flags"], "loco-br") == (True, decoy.link("tap0")["master"])
    assert decoy.peak() > 0.05


@pytest.mark.soak
def test_reset_interface_brings_a_tap_up(decoy):
    decoy.fault("tap-down")

    assert (200, True) == held(decoy.act("reset-interface"))
    assert "UP" in decoy.link("tap0")["flags"]


def test_reset_interface_puts_a_tap_back_into_its_bridge(decoy):
    decoy.ip("link", "set", "tap0", "nomaster")

    assert (200, True) == held(decoy.act("reset-interface"))
    assert "loco-br" == decoy.link("tap0")["master"]


@pytest.mark.soak
def test_reset_interface_without_the_bridge_does_not_hold_and_says_why(decoy):
    decoy.ip("link", "delete", "loco-br")
    status, answer = decoy.act("reset-interface")

    assert (200, False, "tap0 is up, but there is no loco-br to put it into") == (
        status,
        answer["held"],
        answer["detail"],
    )
    assert (200, True) == held(decoy.act("rebuild-bridge"))


@pytest.mark.soak
def test_rebuild_bridge_brings_a_bridge_up(decoy):
    decoy.fault("bridge-down")

    assert (200, True) == held(decoy.act("rebuild-bridge"))
    assert "UP" in decoy.link("loco-br")["flags"]


def test_rebuild_bridge_makes_one_that_is_gone_again_with_its_address_and_members(decoy):
    decoy.ip("link", "delete", "loco-br")

    assert (200, True) == held(decoy.act("rebuild-bridge"))
    assert "loco-br" == decoy.link("tap0")["master"]
    assert "192.168.10.1/24" in decoy.ip("-brief", "address", "show", "loco-br")


def silence_by_mute(pulse, sink):
    pulse.mute(sink, mute=True)


def silence_by_volume(pulse, sink):
    pulse.volume_set_all_chans(sink, 0.0)


def silence_by_suspension(pulse, sink):
    pulse.sink_suspend(sink.index, suspend=True)


@pytest.mark.parametrize("silence", [silence_by_mute, soak(silence_by_volume), soak(silence_by_suspension)])
def test_reset_audio_lets_a_silenced_sink_be_heard(decoy, silence):
    with decoy.sound() as pulse:
        silence(pulse, pulse.get_sink_by_name("loco"))
    decoy.sees(lambda report: report["audio"]["muted"])

    assert (200, True) == held(decoy.act("reset-audio"))
    assert decoy.peak() > 0.05


@pytest.mark.soak
def test_reset_audio_lets_a_muted_stream_be_heard_and_leaves_a_chosen_volume(decoy):
    with decoy.sound() as pulse:
        pulse.mute(pulse.sink_input_list()[0], mute=True)
        pulse.volume_set_all_chans(pulse.get_sink_by_name("loco"), 0.5)
    answered = decoy.act("reset-audio")
    with decoy.sound() as pulse:
        volume = pulse.get_sink_by_name("loco").volume.value_flat
        pulse.volume_set_all_chans(pulse.get_sink_by_name("loco"), 1.0)

    assert (200, True, 0.5) == (*held(answered), round(volume, 2))
    assert decoy.peak() > 0.05


@pytest.mark.soak
def test_a_sink_that_is_gone_is_made_again_and_only_a_new_qemu_plays_into_it(decoy):
    with decoy.sound() as pulse:
        pulse.module_unload(pulse.get_sink_by_name("loco").owner_module)
    status, answer = decoy.act("reset-audio")

    assert (200, False) == (status, answer["held"])
    assert ["sink loco is made"] == answer["steps"]
    assert (200, True) == held(decoy.act("restart-qemu"))
    wait_for(lambda: decoy.streams() == 1 and decoy.peak() > 0.05, 30)


def test_without_a_server_reset_audio_is_refused_and_restart_qemu_waits_for_it(decoy):
    decoy.fault("kill-audio")
    refused, answer = decoy.act("reset-audio")
    done = decoy.act("restart-qemu", deadline_seconds=40.0)

    assert (422, "cannot") == (refused, answer["reason"])
    assert (200, True) == held(done)
    wait_for(lambda: decoy.streams() == 1 and decoy.peak() > 0.05, 30)


@pytest.mark.parametrize("fault", [soak("freeze"), "halt", soak("blank"), "stop-qemu", soak("pause")])
def test_reset_guest_lets_the_guest_move_again(decoy, fault):
    decoy.fault(fault)
    pid = decoy.pid("qemu")

    assert (200, True) == held(decoy.act("reset-guest"))
    wait_for(decoy.moves, 30)
    assert pid == decoy.pid("qemu")


@pytest.mark.parametrize(
    ("fault", "steps"), [soak(None, ["quit"]), ("stop-qemu", ["SIGTERM and SIGCONT to process {pid}"])]
)
def test_restart_qemu_ends_it_and_the_restart_is_no_finding(decoy, fault, steps):
    before = decoy.report()["qemu"]["restarts"]
    pid = decoy.pid("qemu")
    if fault:
        decoy.fault(fault)
    status, answer = decoy.act("restart-qemu")

    assert (200, True, [step.format(pid=pid) for step in steps]) == (status, answer["held"], answer["steps"])
    report = decoy.sees(lambda report: report["qemu"]["restarts"] == before + 1)
    assert None is report["qemu"]["seconds_since_restart"]
    wait_for(decoy.moves, 30)
    assert pid != decoy.pid("qemu")


def test_a_qemu_that_died_by_itself_is_a_finding_and_leaves_nothing_to_restart(decoy):
    before = decoy.report()["qemu"]["restarts"]
    os.kill(decoy.pid("qemu"), signal.SIGKILL)
    decoy.sees(lambda report: report["qemu_healthy"] is False)
    status, answer = decoy.act("restart-qemu")
    decoy.heal()
    report = decoy.sees(lambda report: report["qemu"]["restarts"] == before + 1)

    assert (422, "cannot") == (status, answer["reason"])
    assert report["qemu"]["seconds_since_restart"] >= 0


def test_what_this_decoy_has_not_is_refused_with_its_reason(decoy):
    refused = {name: decoy.act(name) for name in ("reset-display", "restart-stream", "lower-quality")}

    assert {(422, "cannot")} == {(status, answer["reason"]) for status, answer in refused.values()}
    assert "LOCO_DISPLAY_PATTERN" in refused["reset-display"][1]["detail"]
    assert set(refused) == set(decoy.report()["actions"]["cannot"])


def test_who_is_connected_to_a_qemu_that_hangs_is_known_by_tcp(decoy):
    with socket.create_connection(decoy.vnc_address, timeout=5) as viewer:
        viewer.recv(12, socket.MSG_WAITALL)
        peer = "{}:{}".format(*viewer.getsockname())
        by_qmp = decoy.sees(lambda report: report["sessions"]["count"])["sessions"]
        decoy.fault("stop-qemu")
        by_tcp = decoy.sees(lambda report: report["sessions"]["witness"] == "tcp")["sessions"]
    gone = decoy.sees(lambda report: report["sessions"]["count"] == 0)["sessions"]

    assert ("qmp", [peer]) == (by_qmp["witness"], [session["peer"] for session in by_qmp["sessions"]])
    assert [(peer, None)] == [(session["peer"], session["websocket"]) for session in by_tcp["sessions"]]
    assert by_tcp["sessions"][0]["seconds"] > by_qmp["sessions"][0]["seconds"]
    assert "tcp" == gone["witness"]


def test_evidence_tells_what_only_the_agent_sees_and_stays_small(decoy):
    decoy.fault("mute")
    decoy.fault("tap-down")
    decoy.sees(lambda report: report["audio"]["muted"])
    status, headers, seen = ask(decoy.health_url, "GET", "/evidence")
    tap = next(row for row in seen["interfaces"] if row["name"] == "tap0")

    assert (200, "no-store") == (status, headers["Cache-Control"])
    assert int(headers["Content-Length"]) < 64 * 1024
    assert (False, "loco-br") == (tap["is_up"], tap["in_bridge"])
    assert {"addresses": ["192.168.10.1/24"], "members": ["tap0"]} == seen["bridge_when_well"]
    assert [("loco", True)] == [(sink["name"], sink["muted"]) for sink in seen["audio"]["sinks"]]
    assert ["qemu-system-x86_64"] == [stream["program"] for stream in seen["audio"]["streams"]]
    assert "running" == seen["qmp"]["status"]["status"]
    assert {"name", "state", "waits_in"} == set(seen["qemu_threads"][0])


@pytest.mark.soak
def test_evidence_of_a_qemu_that_hangs_comes_at_once_and_says_so(decoy):
    decoy.fault("stop-qemu")
    decoy.sees(lambda report: report["sessions"]["witness"] == "tcp")
    started_at = time.monotonic()
    seen = ask(decoy.health_url, "GET", "/evidence")[2]

    assert time.monotonic() - started_at < 5
    assert "timeout" in seen["qmp"]["status"]["error"]
    assert {"T"} == {thread["state"] for thread in seen["qemu_threads"]}
