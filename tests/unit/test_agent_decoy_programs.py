from pathlib import Path

from agent.decoy.folder import Folder
from agent.decoy.means import Means
from agent.decoy.network import Network
from agent.decoy.programs import Plan, programs

ROOTED = Network(address="198.18.0.1", health_port=8080, vnc_port=5901, netns="loco-a", bridge="loco-br", tap="tap0")
PLAIN = Network(address="127.0.0.1", health_port=20000, vnc_port=20001, netns=None, bridge="", tap="")

IN_POD = Network(
    address="127.0.0.1", health_port=8080, vnc_port=5901, netns=None, bridge="loco-br", tap="tap0", in_pod=True
)


def means(**changes):
    whole = {"accelerator": "kvm", "has_pulse": True, "has_audio": True, "has_links": True, "lacks": ()}
    return Means(**{**whole, **changes})


def planned(network=ROOTED, **changes):
    plan = Plan(pod="a", uid="u-1", folder=Folder(Path("/run/d/a")), network=network, means=means(**changes))
    return {program.name: program for program in programs(plan, {"PATH": "/bin", "HOME": "/home/me"})}


def test_sound_is_started_before_qemu_and_qemu_before_the_agent():
    assert ["pulseaudio", "qemu", "agent"] == list(planned())


def test_qemu_joins_the_tap_inside_the_namespace():
    arguments = planned()["qemu"].arguments

    assert ["nsenter", "--net=/run/netns/loco-a", "qemu-system-x86_64"] == arguments[:3]
    assert "tap,id=net,ifname=tap0,script=no,downscript=no" in arguments
    assert "198.18.0.1:1" in arguments


def test_no_program_but_qemu_carries_its_name():
    others = [program for name, program in planned().items() if name != "qemu"]

    assert not any("qemu-system" in word for program in others for word in program.arguments)


def test_without_rights_nothing_enters_a_namespace_and_there_is_no_tap():
    found = planned(PLAIN, has_links=False)

    assert "qemu-system-x86_64" == found["qemu"].arguments[0]
    assert "-netdev" not in found["qemu"].arguments
    assert ["--bridge", "", "--tap", ""] == found["agent"].arguments[-4:]


def test_in_a_pod_qemu_serves_every_address_and_the_agent_is_not_ours_to_start():
    found = planned(IN_POD)

    assert ["pulseaudio", "qemu"] == list(found)
    assert ["-vnc", ":1"] == found["qemu"].arguments[found["qemu"].arguments.index("-vnc") :][:2]
    assert "tap,id=net,ifname=tap0,script=no,downscript=no" in found["qemu"].arguments


def test_without_the_audio_driver_qemu_has_no_speaker():
    arguments = planned(has_audio=False)["qemu"].arguments

    assert "pc,usb=off" in arguments
    assert "-audiodev" not in arguments


def test_without_qemu_the_agent_runs_alone():
    assert ["agent"] == list(planned(accelerator="", has_pulse=False, has_audio=False))


def test_the_agent_is_told_everything_by_its_environment():
    environment = planned()["agent"].environment

    assert {
        "LOCO_AGENT_LISTEN": "198.18.0.1:8080",
        "LOCO_VNC_ADDRESS": "198.18.0.1:5901",
        "LOCO_QMP_SOCKET": "/run/d/a/qmp-agent.sock",
        "LOCO_QEMU_PID_FILE": "/run/d/a/qemu.pid",
        "LOCO_PULSE_SERVER": "unix:/run/d/a/pulse.sock",
        "LOCO_POD": "a",
        "LOCO_POD_UID": "u-1",
        "LOCO_ACTION_KEY_FILE": "",
    } == {name: value for name, value in environment.items() if name.startswith("LOCO_")}


def test_qemu_and_pulseaudio_have_a_home_of_their_own():
    found = planned()
    own = {found[name].environment[variable] for name in ("qemu", "pulseaudio") for variable in ("HOME", "TMPDIR")}

    assert {"/run/d/a"} == own
    assert "/home/me" == found["agent"].environment["HOME"]
