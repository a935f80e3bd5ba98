"""A decoy's faults are real: each is seen by means that share nothing with the agent, and so is its cure."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from decoys import Decoy, wait_for

from agent.rfb import Handshake, Updates, request_update, set_encodings

pytestmark = [pytest.mark.decoy, pytest.mark.timeout(180)]


def test_a_healthy_decoy_moves_and_sounds_and_is_bridged(decoy):
    assert decoy.moves()
    assert "running" == decoy.qmp("query-status")["status"]
    assert decoy.peak() > 0.5
    assert {"loco-br"} == {decoy.link("tap0").get("master")}
    assert "UP" in decoy.link("loco-br")["flags"]


def test_a_viewer_is_sent_more_than_five_updates_a_second(decoy):
    with socket.create_connection(decoy.vnc_address, timeout=5) as link:
        handshake = Handshake()
        while not handshake.is_done:
            link.sendall(handshake.feed(link.recv(65536)))
        updates = Updates(handshake.server_init)
        link.sendall(set_encodings() + request_update(updates.width, updates.height))
        end = time.monotonic() + 3
        while time.monotonic() < end:
            if updates.feed(link.recv(65536)):
                link.sendall(request_update(updates.width, updates.height))

    assert updates.count > 5 * 3


def test_the_agent_answers_at_the_decoys_address_for_this_run(decoy):
    with urllib.request.urlopen(f"{decoy.health_url}/health", timeout=5) as answer:
        report = json.load(answer)

    assert "shared" == report["agent"]["pod"]
    assert 36 == len(report["agent"]["uid"])


def test_the_agent_sees_its_own_interfaces_and_the_machines_cgroups(decoy):
    root = Path(f"/proc/{decoy.pid('agent')}/root")

    assert {"lo", "loco-br", "tap0", "uplink"} == _names(root / "sys/class/net")
    assert _names(Path("/sys/fs/cgroup")) == _names(root / "sys/fs/cgroup")


def test_only_qemu_has_its_name_on_its_command_line(decoy):
    named = [
        name
        for name, process in decoy.record["processes"].items()
        if b"qemu-system" in Path(f"/proc/{process['pid']}/cmdline").read_bytes()
    ]

    assert ["qemu"] == named


def status_of(url):
    """Return the status of an answer."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.status


def _assert_still(decoy):
    assert not decoy.moves()
    assert "running" == decoy.qmp("query-status")["status"]


@pytest.mark.soak
@pytest.mark.parametrize(("name", "colour"), [("blank", "000000"), ("blue", "0000a8")])
def test_a_blank_or_blue_screen_has_that_one_colour(decoy, name, colour):
    decoy.fault(name)

    _assert_still(decoy)
    assert {bytes.fromhex(colour)} == decoy.colours()

    decoy.heal()
    assert decoy.moves()


def test_a_frozen_guest_still_takes_keys_but_a_halted_one_only_a_reset(decoy):
    decoy.fault("freeze")
    _assert_still(decoy)
    assert len(decoy.colours()) > 20
    decoy.qmp("send-key", keys=[{"type": "qcode", "data": "g"}])
    wait_for(decoy.moves, 5)

    decoy.fault("halt")
    decoy.qmp("send-key", keys=[{"type": "qcode", "data": "g"}])
    _assert_still(decoy)

    assert "the guest is reset" in decoy.heal()
    assert decoy.moves()


@pytest.mark.soak
def test_heal_resets_a_frozen_guest(decoy):
    decoy.fault("freeze")

    assert "the guest is reset" in decoy.heal()
    assert decoy.moves()


def test_pause_is_a_paused_machine_in_a_living_process(decoy):
    decoy.fault("pause")

    assert "paused" == decoy.qmp("query-status")["status"]
    assert decoy.state("qemu") in "RS"

    assert "qemu runs" in decoy.heal()
    assert "running" == decoy.qmp("query-status")["status"]


def test_stop_qemu_is_a_stopped_process(decoy):
    decoy.fault("stop-qemu")
    wait_for(lambda: decoy.state("qemu") == "T", 5)

    decoy.heal()
    assert decoy.state("qemu") in "RS"
    assert decoy.moves()


def test_a_killed_qemu_is_away_for_ten_seconds_and_comes_back_by_itself(decoy):
    before = decoy.pid("qemu")
    killed_at = time.monotonic()
    decoy.fault("kill-qemu")
    wait_for(lambda: decoy.pid("qemu") is None, 5)

    assert not Path(f"/proc/{before}").exists()
    assert Path(f"/proc/{decoy.pid('agent')}").exists()
    wait_for(lambda: decoy.pid("qemu") is not None, 30)
    assert time.monotonic() - killed_at >= 10
    wait_for(decoy.moves, 30)


def test_a_killed_pulseaudio_costs_qemu_its_stream_until_heal_restarts_qemu(decoy):
    pulse, qemu = decoy.pid("pulseaudio"), decoy.pid("qemu")
    decoy.fault("kill-audio")
    wait_for(lambda: decoy.pid("pulseaudio") is None, 5)
    assert not Path(f"/proc/{pulse}").exists()

    assert "pulseaudio is started again" in decoy.heal()
    assert qemu != decoy.pid("qemu")
    assert 1 == decoy.streams()
    wait_for(lambda: decoy.peak() > 0.5, 10)


def test_a_muted_sink_is_silent_though_qemu_plays(decoy):
    decoy.fault("mute")

    assert 0.0 == decoy.peak()
    assert 1 == decoy.streams()

    decoy.heal()
    wait_for(lambda: decoy.peak() > 0.5, 5)


def test_tap_and_bridge_go_down_and_come_back_into_place(decoy):
    decoy.fault("tap-down")
    decoy.fault("bridge-down")
    subprocess.run(["ip", "-n", decoy.record["netns"], "link", "set", "tap0", "nomaster"], check=True)
    assert "UP" not in decoy.link("tap0")["flags"]
    assert "UP" not in decoy.link("loco-br")["flags"]
    assert 200 == status_of(f"{decoy.health_url}/livez")

    decoy.heal()
    assert "UP" in decoy.link("tap0")["flags"]
    assert "UP" in decoy.link("loco-br")["flags"]
    assert "loco-br" == decoy.link("tap0")["master"]


def test_healing_a_healthy_decoy_does_nothing(decoy):
    before = decoy.record["processes"]

    assert "nothing was wrong" in decoy.heal()
    assert before == decoy.record["processes"]


def test_a_killed_agent_is_back_within_seconds(decoy):
    before = decoy.pid("agent")
    os.kill(before, signal.SIGKILL)

    wait_for(lambda: decoy.pid("agent") not in (None, before), 10)
    wait_for(lambda: status_of(f"{decoy.health_url}/livez") == 200, 10)


def test_an_unknown_fault_or_id_is_one_sentence_and_exit_code_two(decoy, decoy_directory):
    fault = decoy.command("fault", "gremlins", is_good=False)
    stranger = subprocess.run(
        [*decoy._command("heal")[:5], "--id", "nobody", "--dir", str(decoy_directory)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (2, 2) == (fault.returncode, stranger.returncode)
    assert re.fullmatch(r"loco-agent: fault 'gremlins' is not one of .*; nothing was done\n", fault.stderr)
    assert re.fullmatch(
        r"loco-agent: no decoy 'nobody' runs in .* \(there are .*\); nothing was done\n", stranger.stderr
    )


def test_a_second_run_of_the_same_id_is_refused(decoy):
    second = decoy.command("run", is_good=False)

    assert 2 == second.returncode
    assert "runs already; this one was not started" in second.stderr


def test_a_stopped_decoy_leaves_no_process_namespace_link_or_socket(decoy_directory):
    decoy = Decoy(decoy_directory, "passing").wait_up()
    record = decoy.record

    assert 0 == decoy.stop()
    _assert_nothing_left(decoy, record)


@pytest.mark.soak
def test_the_next_stop_cleans_up_what_a_killed_run_left(decoy_directory):
    decoy = Decoy(decoy_directory, "killed").wait_up()
    record = decoy.record
    decoy.run.kill()
    decoy.run.wait()
    assert Path(f"/proc/{record['processes']['qemu']['pid']}").exists()

    decoy.command("stop")
    _assert_nothing_left(decoy, record)


@pytest.mark.soak
def test_the_next_run_cleans_up_what_a_killed_run_left(decoy_directory):
    decoy = Decoy(decoy_directory, "again").wait_up()
    record = decoy.record
    decoy.run.kill()
    decoy.run.wait()

    successor = Decoy(decoy_directory, "again")
    wait_for(lambda: successor.record["processes"]["decoy"] != record["processes"]["decoy"], 30)
    successor.wait_up()
    assert not any(_is_alive(process) for process in record["processes"].values())

    assert 0 == successor.stop()
    _assert_nothing_left(successor, record)


@pytest.mark.soak
def test_a_quiet_decoys_qemu_costs_little(decoy):
    """Print the share of a core; a figure of a busy machine proves nothing, so only a spinning guest fails."""

    def ticks() -> int:
        return sum(map(int, Path(f"/proc/{decoy.pid('qemu')}/stat").read_text().rpartition(")")[2].split()[11:13]))

    before = ticks()
    time.sleep(20)
    share = (ticks() - before) / os.sysconf("SC_CLK_TCK") / 20
    print(f"QEMU of a decoy: {share:.1%} of a core")

    assert share < 0.5


def test_without_rights_a_decoy_has_loopback_ports_and_says_that_it_has_no_network(decoy_directory):
    decoy = Decoy(decoy_directory, "plain", "setpriv", "--bounding-set=-all", "--inh-caps=-all").wait_up()
    with urllib.request.urlopen(f"{decoy.health_url}/health", timeout=5) as answer:
        report = json.load(answer)

    assert report["network"]["bridge_up"] is None
    assert report["network"]["error"]
    assert "127.0.0.1" == decoy.record["address"]
    assert "neither bridge nor tap" in decoy.command("fault", "tap-down", is_good=False).stderr
    assert "no right to make network namespaces" in decoy.log.read_text()
    assert 0 == decoy.stop()


def _names(folder):
    return {path.name for path in folder.iterdir()}


def _assert_nothing_left(decoy, record):
    assert not any(_is_alive(process) for process in record["processes"].values())
    assert not Path("/run/netns", record["netns"]).exists()
    routes = subprocess.check_output(["ip", "-4", "route", "get", record["address"]], text=True)
    assert "loco" not in routes
    assert not [*decoy.folder.glob("*.sock"), *decoy.folder.glob("*.json")]


def _is_alive(process):
    try:
        fields = Path(f"/proc/{process['pid']}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return False
    return fields[0] != "Z" and int(fields[19]) == process["start_ticks"]
