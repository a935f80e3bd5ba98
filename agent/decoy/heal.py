"""Healing: look at every part of a decoy, and undo what is wrong with it, whatever caused it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from agent.decoy import monitor, network, sound
from agent.decoy.errors import DecoyError
from agent.decoy.process import end
from agent.decoy.running import Running
from agent.decoy.waiting import until

# chosen: QEMU was seen to open its stream within a second of its start; a busy machine gets five times that.
_STREAM_SECONDS = 5.0


def mend(running: Running) -> str:
    """Undo what is wrong with a decoy, and return one line about what was done.

    Raises: DecoyError when a part does not come back.
    """
    done = [
        *_mend_network(running),
        *_mend_program(running, "pulseaudio"),
        *_mend_program(running, "qemu"),
        *_mend_sound(running),
        *_mend_guest(running),
    ]
    return f"decoy {running.record.id}: {', '.join(done) or 'nothing was wrong'}"


def _mend_network(running: Running) -> Iterator[str]:
    if not running.record.bridge:
        return
    netns, bridge, tap = running.record.netns, running.record.bridge, running.record.tap
    for name in (bridge, tap):
        if not network.is_link_up(netns, name):
            network.set_link(netns, name, "up")
            yield f"{name} is up"
    if network.master_of(netns, tap) != bridge:
        network.set_link(netns, tap, "master", bridge)
        yield f"{tap} is in {bridge}"


def _mend_program(running: Running, program: str) -> Iterator[str]:
    if program not in running.record.programs:
        return
    process = running.process(program)
    if process is None:
        running.restart(program)
        yield f"{program} is started again"
    elif process.state == "T":
        process.send(signal.SIGCONT)
        yield f"{program} goes on"


def _mend_sound(running: Running) -> Iterator[str]:
    if "pulseaudio" not in running.record.programs:
        return
    sound.wait_for_server(running.folder)
    if not sound.has_sink(running.folder):
        sound.make_sink(running.folder)
        yield "the sink is there"
    if not sound.is_audible(running.folder):
        sound.make_audible(running.folder)
        yield "the sink is heard"
    if "qemu" in running.record.programs and not _has_stream(running):
        # Seen with QEMU 7.2: once its PulseAudio is gone, QEMU never connects again.
        end([running.require("qemu")])
        running.restart("qemu")
        yield "qemu, whose sound stream was lost, is started again"


def _has_stream(running: Running) -> bool:
    pid = running.require("qemu").pid
    return until(lambda: sound.has_stream(running.folder, pid), seconds=_STREAM_SECONDS)


def _mend_guest(running: Running) -> Iterator[str]:
    if "qemu" not in running.record.programs:
        return
    monitor.wait_for_qemu(running.folder)
    if monitor.run_state(running.folder) == "paused":
        monitor.execute(running.folder, "cont")
        yield "qemu runs"
    if not monitor.has_booted(running.folder) or not monitor.is_moving(running.folder):
        monitor.execute(running.folder, "system_reset")
        if not monitor.moves_again(running.folder):
            raise DecoyError(f"the guest of decoy {running.record.id} was reset and does not move")
        yield "the guest is reset"
