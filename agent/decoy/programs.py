"""The command lines of a decoy's programs: PulseAudio, QEMU, and outside of a pod the agent. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.decoy.folder import Folder
from agent.decoy.means import QEMU, Means
from agent.decoy.network import NETNS_FOLDER, Network
from agent.decoy.process import Program

GUEST = Path(__file__).with_name("guest.bin")

SINK = "loco"

# chosen: as the kubelet's back-off of a container begins (Kubernetes docs, Pod Lifecycle, container restarts).
RESTART_SECONDS = 10.0

# chosen: an agent that can't start shouldn't spin, and one that was killed should be back before the next round.
AGENT_RESTART_SECONDS = 1.0

# chosen: what the BIOS and VGA need to boot one sector, with room.
_MEMORY_MIB = 16

# The agent must see a /sys of its own network namespace and yet the machine's cgroups, as in a pod. `ip netns exec`
# hides the cgroups and `nsenter` shows the machine's interfaces, so: park the cgroups in the empty folder $0, mount
# /sys anew, bring them back. All of it happens in a mount namespace of the agent's own.
_POD_SYS = (
    'mount --rbind /sys/fs/cgroup "$0" && mount -t sysfs sysfs /sys && mount --rbind "$0" /sys/fs/cgroup && exec "$@"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the three programs are told: who the decoy is, where it lives, what there is to make it of.

    key_file: of the agent, empty without.
    """

    pod: str
    uid: str
    folder: Folder
    network: Network
    means: Means
    key_file: str = ""


def programs(plan: Plan, environment: Mapping[str, str]) -> list[Program]:
    """Return the programs that this machine has the means for, in the order to start them.

    environment: of the run; the programs get it with a home, temporary files and a PulseAudio of their own.
    """
    folder = plan.folder
    place = str(folder.path)
    home = {**environment, "HOME": place, "PULSE_RUNTIME_PATH": place, "TMPDIR": place}
    rows = []
    if not plan.network.in_pod:
        rows.append(("agent", _agent(plan), {**environment, **_settings(plan)}, AGENT_RESTART_SECONDS))
    if plan.means.accelerator:
        rows.insert(0, ("qemu", _qemu(plan), home, RESTART_SECONDS))
    if plan.means.has_pulse:
        rows.insert(0, ("pulseaudio", _pulseaudio(folder), home, RESTART_SECONDS))
    return [
        Program(
            name=name,
            arguments=arguments,
            environment=variables,
            log=folder.log(name),
            restart_seconds=restart_seconds,
        )
        for name, arguments, variables, restart_seconds in rows
    ]


def _pulseaudio(folder: Folder) -> list[str]:
    return [
        "pulseaudio",
        "-n",
        "--daemonize=no",
        "--use-pid-file=no",
        "--exit-idle-time=-1",
        "--disallow-exit",
        "--realtime=no",
        "--high-priority=no",
        "-L",
        f"module-null-sink sink_name={SINK}",
        "-L",
        f"module-native-protocol-unix socket={folder.pulse} auth-anonymous=1 auth-cookie-enabled=0",
    ]


def _qemu(plan: Plan) -> list[str]:
    folder, network = plan.folder, plan.network
    host = "" if network.in_pod else network.address  # "" is every address of the pod, of either family
    display = network.vnc_port - 5900  # QEMU's -vnc counts displays from port 5900
    command = [
        QEMU,
        *("-nodefaults", "-no-user-config", "-m", str(_MEMORY_MIB), "-accel", plan.means.accelerator),
        *("-name", plan.pod, "-pidfile", str(folder.qemu_pid)),
        *("-machine", "pc,usb=off" + (",pcspk-audiodev=speaker" if plan.means.has_audio else "")),
        # A disk, as a floppy was seen to fail to boot every second time under nested KVM.
        *("-drive", f"file={GUEST},format=raw,if=ide,snapshot=on"),
        *("-vga", "std", "-display", "none", "-vnc", f"{host}:{display}"),
        *("-qmp", f"unix:{folder.qmp},server=on,wait=off"),
        *("-qmp", f"unix:{folder.agent_qmp},server=on,wait=off"),
    ]
    if plan.means.has_audio:
        command += ["-audiodev", f"pa,id=speaker,server={folder.pulse_server},out.name={SINK}"]
    if network.tap:
        # No boot ROM, so that no package of them is needed.
        command += ["-netdev", f"tap,id=net,ifname={network.tap},script=no,downscript=no"]
        command += ["-device", "ne2k_pci,netdev=net,romfile="]
    return [*_entering(network), *command]


def _agent(plan: Plan) -> list[str]:
    network = plan.network
    # An empty environment variable reads as unset, so names that must be empty go on the command line.
    serve = [sys.executable, "-m", "agent", "serve", "--bridge", network.bridge, "--tap", network.tap]
    if network.netns is None:
        return serve
    entering = [*_entering(network), "unshare", "--mount", "sh", "-c", _POD_SYS, str(plan.folder.parking)]
    return [*entering, *serve]


def _settings(plan: Plan) -> dict[str, str]:
    network, folder = plan.network, plan.folder
    return {
        "LOCO_AGENT_LISTEN": f"{network.address}:{network.health_port}",
        "LOCO_VNC_ADDRESS": f"{network.address}:{network.vnc_port}",
        "LOCO_QMP_SOCKET": str(folder.agent_qmp),
        "LOCO_QEMU_PID_FILE": str(folder.qemu_pid),
        "LOCO_PULSE_SERVER": folder.pulse_server,
        "LOCO_POD": plan.pod,
        "LOCO_POD_UID": plan.uid,
        "LOCO_ACTION_KEY_FILE": plan.key_file,
    }


def _entering(network: Network) -> list[str]:
    """Return what makes a command run in the decoy's network namespace, under the same pid."""
    return ["nsenter", f"--net={NETNS_FOLDER / network.netns}"] if network.netns else []
