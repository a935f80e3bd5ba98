"""Does sound leave the guest, and can it be heard?"""

from __future__ import annotations

import os
import socket
import time
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from agent.planned import Planned
from agent.report import Audio, Sink
from agent.settings import Settings

if TYPE_CHECKING:
    import pulsectl

# chosen: the monitor delivers 25 peaks a second, so this is four of them.
_LISTEN_SECONDS = 0.16
_CONNECT_SECONDS = 1.0

# chosen: -60 dB of full scale, well below a quiet game and above the noise of resampling.
_SILENCE_LEVEL = 0.001

# chosen: a connection keeps the callback of each listening, about 1 KiB, so a new one is made every five minutes.
_LISTENINGS = 100


class AudioCheck:
    """PulseAudio as its own clients see it, through libpulse.

    playing_sink: name of the sink that QEMU was last seen to play into. listing: the last round's sinks and streams.
    """

    def __init__(self, settings: Settings, planned: Planned) -> None:
        self._server = settings.pulse_server
        self._planned = planned
        self._qemu_pattern = settings.qemu_pattern
        self._pulse: pulsectl.Pulse | None = None
        self._callbacks: list[Any] = []
        self._cookie: int | None = None
        self._restarts = 0
        self._restarted_at: float | None = None
        self._heard_at: float | None = None
        self.playing_sink: str | None = None
        self.listing: tuple[list[Any], list[Any]] = [], []

    def measure(self) -> Audio:
        """Return the block; a server that nobody has set up and that isn't where libpulse looks is unknown."""
        alsa = alsa_cards()
        path = unix_path(self._server) if self._server else default_path()
        if not self._server and path is None:
            return Audio(alsa_devices=alsa, error="no PulseAudio server is configured, and none is in its usual place")
        refusal = dial(path) if path and self._pulse is None else None
        if refusal is None:
            pulsectl = import_pulsectl()
            try:
                return self._with_restarts(self._listen(self._connected(pulsectl), alsa))
            except (pulsectl.PulseError, OSError) as error:
                self._hang_up()
                refusal = dial(path) if path else None
                if refusal is None:
                    return self._with_restarts(Audio(alsa_devices=alsa, error=f"PulseAudio: {error or 'it hung up'}"))
        return self._with_restarts(Audio(pulse_running=False, alsa_devices=alsa, error=refusal))

    def _connected(self, pulsectl: Any) -> pulsectl.Pulse:  # noqa: ANN401 - a module
        if self._pulse is None or not self._pulse.connected or len(self._callbacks) >= _LISTENINGS:
            self._hang_up()
            self._pulse = pulsectl.Pulse("loco-agent", server=self._server or None, connect=False)
            self._pulse.connect(timeout=_CONNECT_SECONDS)
            self._note_server(self._pulse.server_info().cookie)
        return self._pulse

    def _note_server(self, cookie: int) -> None:
        """Count a restart when the server's cookie, new with each start, has changed."""
        if self._cookie not in {None, cookie}:
            self._restarts += 1
            self._restarted_at = None if self._planned.take("audio") else time.monotonic()
        self._cookie = cookie

    def _listen(self, pulse: pulsectl.Pulse, alsa: int) -> Audio:
        self.listing = sinks, inputs = pulse.sink_list(), pulse.sink_input_list()
        streams = [stream.sink for stream in inputs if is_of_qemu(stream, self._qemu_pattern)]
        playing = next((sink for sink in sinks if sink.index in streams), None)
        level = None
        if playing is not None:
            self.playing_sink = playing.name
        if playing is not None and not is_suspended(playing):
            level = self._peak(pulse, playing.monitor_source)
        return Audio(
            pulse_running=True,
            audio_devices=len(sinks),
            alsa_devices=alsa,
            estimated_level=level,
            audio_backend="pulse",
            muted=None if playing is None else is_inaudible(playing),
            qemu_streams=len(streams),
            silent_seconds=self._silent_seconds(level),
            sinks=[_sink(sink, level if sink is playing else None, streams.count(sink.index)) for sink in sinks],
            error=_missing_level(playing),
        )

    def _peak(self, pulse: pulsectl.Pulse, source: str) -> float:
        """Return the loudest sample within the next moment, 0-1.

        A stream that its server was too slow to open can't be closed either: it goes on, and libpulse calls its
        callback for as long as the connection lasts. So the callback lasts as long: the process was seen to die of one
        that was freed (python-pulse-control issue 35).
        """
        try:
            return float(round(min(pulse.get_peak_sample(source, _LISTEN_SECONDS), 1.0), 4))
        finally:
            self._callbacks += _made_callbacks
            _made_callbacks.clear()

    def _silent_seconds(self, level: float | None) -> float:
        """Return for how long no sound was measured, from the first time on that this server could be asked."""
        now = time.monotonic()
        if self._heard_at is None or (level or 0.0) > _SILENCE_LEVEL:
            self._heard_at = now
        return round(now - self._heard_at, 1)

    def _with_restarts(self, block: Audio) -> Audio:
        since = None if self._restarted_at is None else round(time.monotonic() - self._restarted_at, 1)
        restarts = None if self._cookie is None else self._restarts
        return msgspec.structs.replace(block, restarts=restarts, seconds_since_restart=since)

    def _hang_up(self) -> None:
        self.listing = [], []
        if self._pulse is not None:
            self._pulse.close()
            self._pulse = None
            self._callbacks.clear()


# Those that get_peak_sample has made, until the check that called it takes them.
_made_callbacks: list[Any] = []


@cache
def import_pulsectl() -> Any:  # noqa: ANN401 - a module
    """Return pulsectl, made to tell its peak callbacks: 4 MiB and 15 ms that an instance without sound need not pay."""
    import pulsectl  # noqa: PLC0415
    from pulsectl import _pulsectl  # noqa: PLC0415

    make = _pulsectl.PA_STREAM_REQUEST_CB_T

    def tell(callback: Any) -> Any:  # noqa: ANN401 - ctypes
        _made_callbacks.append(make(callback))
        return _made_callbacks[-1]

    _pulsectl.PA_STREAM_REQUEST_CB_T = tell
    return pulsectl


def is_of_qemu(stream: Any, pattern: str) -> bool:  # noqa: ANN401 - pulsectl has no types
    """Tell whether a stream is played by an executable of that name."""
    return fnmatchcase(stream.proplist.get("application.process.binary", ""), pattern)


def state_of(sink: Any) -> str:  # noqa: ANN401 - pulsectl has no types
    """Return PulseAudio's word for what a sink does (`running`, `idle`, `suspended`)."""
    return str(sink.state).rpartition("=")[2].strip(">")


def is_suspended(sink: Any) -> bool:  # noqa: ANN401 - pulsectl has no types
    """Tell whether a sink is suspended: nothing can be heard or measured on it."""
    return bool(sink.state == "suspended")


def is_inaudible(sink: Any) -> bool:  # noqa: ANN401 - pulsectl has no types
    """Tell whether a sink is muted, suspended or at volume 0."""
    return bool(sink.mute) or is_suspended(sink) or sink.volume.value_flat == 0


def unix_path(server: str) -> str | None:
    """Return the socket's path of a server string (`unix:/path`, `{machine}unix:/path`, `/path`), None for TCP."""
    place = server.rpartition("}")[2]
    return place.removeprefix("unix:") if place.startswith(("unix:", "/")) else None


def default_path() -> str | None:
    """Return the socket where libpulse looks when it is told nothing, or None where there is none."""
    places = (f"/run/user/{os.getuid()}/pulse/native", "/run/pulse/native")
    return next((place for place in places if Path(place).exists()), None)


def dial(path: str) -> str | None:
    """Return why nobody can be reached on a socket, or None when somebody listens."""
    with socket.socket(socket.AF_UNIX) as link:
        link.setblocking(False)  # noqa: FBT003 - the standard library's signature
        try:
            link.connect(path)
        except BlockingIOError:
            return None  # its queue is full, so it is there
        except OSError as error:
            return f"no PulseAudio server on {path}: {error.strerror}"
    return None


def alsa_cards() -> int:
    """Return the number of sound cards that the kernel knows; a kernel without ALSA knows none."""
    try:
        return Path("/proc/asound/cards").read_text(encoding="utf-8").count("]:")
    except FileNotFoundError:
        return 0


def _sink(sink: Any, level: float | None, streams: int) -> Sink:  # noqa: ANN401 - pulsectl has no types
    return Sink(
        name=sink.name[:200],
        state=state_of(sink),
        muted=bool(sink.mute),
        volume=round(sink.volume.value_flat, 3),
        level=level,
        qemu_streams=streams,
    )


def _missing_level(playing: Any) -> str | None:  # noqa: ANN401 - pulsectl has no types
    if playing is None:
        return "no level: QEMU plays into no sink"
    return "no level: the sink is suspended" if is_suspended(playing) else None
