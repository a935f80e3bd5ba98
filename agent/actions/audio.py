"""`reset-audio`: let the sink that QEMU plays into be heard, and make it again where it is gone.

A connection of its own: libpulse isn't for two threads. What QEMU's pa backend does and doesn't is in docs/actions.md.
"""

from __future__ import annotations

import time
from typing import Any

from agent.actions.act import ActFailed, CannotAct, Done, Work
from agent.actions.scene import Scene
from agent.checks.audio import default_path, dial, import_pulsectl, is_inaudible, is_of_qemu, is_suspended, unix_path
from agent.report import HealthReport
from agent.settings import Settings

# chosen: pulsectl waits all of it, however soon the server answers; a local one was seen to take milliseconds.
_CONNECT_SECONDS = 0.5

# chosen: what silences a sink again, such as a program that suspends it, was seen to do so at once.
_SETTLE_SECONDS = 0.3

FRESH_SINK = "loco-fresh"


def why_not(scene: Scene, _report: HealthReport) -> str | None:
    """Return why the sound can't be reset here."""
    return _no_server(scene.settings)


def perform(scene: Scene, work: Work) -> Done:
    """Reset the sound path. Raises: CannotAct, ActFailed."""
    refusal = _no_server(scene.settings)
    if refusal:
        raise CannotAct(refusal)
    library = import_pulsectl()
    try:
        with library.Pulse("loco-agent-act", server=scene.settings.pulse_server or None, connect=False) as pulse:
            pulse.connect(timeout=min(_CONNECT_SECONDS, work.seconds_left))
            return _reset(pulse, scene, work)
    except (library.PulseError, OSError) as error:
        raise ActFailed(f"PulseAudio: {error or 'it hung up'}") from error


def _reset(pulse: Any, scene: Scene, work: Work) -> Done:  # noqa: ANN401 - pulsectl has no types
    ensure_sink(pulse, scene.audio.playing_sink, work)
    streams = [each for each in pulse.sink_input_list() if is_of_qemu(each, scene.settings.qemu_pattern)]
    in_use = {stream.sink for stream in streams}
    for sink in pulse.sink_list():
        if in_use and sink.index not in in_use:
            continue
        _let_be_heard(pulse, sink, work)
        if is_suspended(sink):
            pulse.sink_suspend(sink.index, suspend=False)
            work.note(f"{sink.name} is resumed")
    for stream in streams:
        _let_be_heard(pulse, stream, work)
    if not streams:
        # Nothing from outside makes it connect again.
        return Done(held=False, detail="the sinks can be heard, and QEMU plays into none of them")
    time.sleep(_SETTLE_SECONDS)
    held = _is_heard(pulse, scene)
    if not held and _is_moved(pulse, streams, work):
        held = work.until(lambda: _is_heard(pulse, scene))
    word = "can be heard" if held else "is still silenced"
    return Done(held, f"the sink that QEMU plays into {word}")


def _is_heard(pulse: Any, scene: Scene) -> bool:  # noqa: ANN401 - pulsectl has no types
    """Tell whether QEMU plays, and into nothing that is muted, suspended or at volume 0."""
    streams = [each for each in pulse.sink_input_list() if is_of_qemu(each, scene.settings.qemu_pattern)]
    in_use = {stream.sink for stream in streams}
    return bool(streams) and not any(is_inaudible(sink) for sink in pulse.sink_list() if sink.index in in_use)


def _is_moved(pulse: Any, streams: list[Any], work: Work) -> bool:  # noqa: ANN401 - pulsectl has no types
    """Move QEMU's streams to a fresh sink, and tell whether PulseAudio did it.

    It won't where QEMU asked for its sink by name (`out.name`): such a stream is not to be moved.
    """
    ensure_sink(pulse, FRESH_SINK, work)
    fresh = pulse.get_sink_by_name(FRESH_SINK)
    try:
        for stream in streams:
            pulse.sink_input_move(stream.index, fresh.index)
    except import_pulsectl().PulseOperationFailed:
        work.note("QEMU's stream may not be moved")
        return False
    work.note(f"QEMU's stream is moved to {FRESH_SINK}")
    return True


def ensure_sink(pulse: Any, name: str | None, work: Work) -> None:  # noqa: ANN401 - pulsectl has no types
    """Make a sink of that name where it is gone: a QEMU that asks for it by name stays mute without it.

    name: None where nobody knows; then one sink of any name is enough.
    """
    names = {sink.name for sink in pulse.sink_list()}
    missing = name or (None if names else FRESH_SINK)
    if missing and missing not in names:
        pulse.module_load("module-null-sink", f"sink_name={missing}")
        work.note(f"sink {missing} is made")


def _let_be_heard(pulse: Any, subject: Any, work: Work) -> None:  # noqa: ANN401 - a sink or a stream
    """Unmute, and turn up what is turned down to nothing; a volume that can be heard is somebody's choice."""
    if subject.mute:
        pulse.mute(subject, mute=False)
        work.note(f"{subject.name} is unmuted")
    if subject.volume.value_flat == 0:
        pulse.volume_set_all_chans(subject, 1.0)
        work.note(f"{subject.name} is at full volume")


def _no_server(settings: Settings) -> str | None:
    path = unix_path(settings.pulse_server) if settings.pulse_server else default_path()
    if path is None:
        return None if settings.pulse_server else "no PulseAudio server is configured, and none is in its usual place"
    return dial(path)


def make_ready(scene: Scene, work: Work) -> None:
    """Have server and sink there for a QEMU that played and is about to start: without them it doesn't, or stays mute.

    Waits for a server that is on its way, for half of the time. Raises: CannotAct.
    """
    if scene.audio.playing_sink is None:
        return
    half = Work(work.deadline - work.seconds_left / 2)
    if not half.until(lambda: _no_server(scene.settings) is None):
        raise CannotAct(f"{_no_server(scene.settings)}, and a QEMU that plays into it doesn't start without it")
    library = import_pulsectl()
    try:
        with library.Pulse("loco-agent-act", server=scene.settings.pulse_server or None, connect=False) as pulse:
            pulse.connect(timeout=_CONNECT_SECONDS)
            ensure_sink(pulse, scene.audio.playing_sink, work)
    except (library.PulseError, OSError) as error:
        work.note(f"PulseAudio was not made ready: {error or 'it hung up'}")
