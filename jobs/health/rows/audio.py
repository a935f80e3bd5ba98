"""Rows about the sound path: the server, its sinks, QEMU's stream into them, and what comes out."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.health.model import Evidence, FailureClass, Severity
from jobs.health.rows.causes import DEAD, SOUNDLESS, STOPPED
from jobs.health.rule import Rule, View


def _is_stream_lost(view: View) -> bool:
    """Tell whether QEMU plays into no sink though it should.

    It should where sound is expected, and where the server has restarted under a running QEMU: QEMU's pa backend
    never connects again (seen with 7.2). Elsewhere the guest may just not have opened its sound card.
    """
    audio = view.audio
    if audio.qemu_streams != 0 or not audio.pulse_running:
        return False
    if view.instance.expect_sound_seconds is not None:
        return True
    up, since = view.qemu.uptime_seconds, audio.seconds_since_restart
    return bool(audio.restarts) and up is not None and since is not None and since < up


def _is_silent(view: View) -> bool:
    """Tell whether nothing sounds for longer than it may."""
    expected, silent = view.instance.expect_sound_seconds, view.audio.silent_seconds
    return expected is not None and silent is not None and silent >= expected


def _server(view: View) -> Iterator[Evidence]:
    """Show the sound server."""
    yield Evidence("audio.pulse_running", view.audio.pulse_running)
    yield Evidence("audio.audio_devices", view.audio.audio_devices)


def _stream(view: View) -> Iterator[Evidence]:
    """Show QEMU's stream and what it carries."""
    audio = view.audio
    yield Evidence("audio.qemu_streams", audio.qemu_streams)
    yield Evidence("audio.muted", audio.muted)
    yield Evidence("audio.estimated_level", audio.estimated_level)
    yield Evidence("audio.silent", audio.silent_seconds, view.instance.expect_sound_seconds, "s")


def _restart(view: View) -> Iterator[Evidence]:
    """Show how young the server is."""
    yield Evidence("audio.restarts", view.audio.restarts)
    yield Evidence("audio.restarted", view.audio.seconds_since_restart, view.policy.restart_shown_seconds, "s")


ROWS = (
    Rule(
        "AudioServerDown",
        FailureClass.QEMU,
        Severity.DEGRADED,
        lambda view: view.audio.pulse_running is False,
        _server,
        "No PulseAudio server answers.",
        "Start the server, then QEMU again: its sound never connects a second time.",
    ),
    Rule(
        "AudioSinkMissing",
        FailureClass.QEMU,
        Severity.DEGRADED,
        lambda view: view.audio.audio_devices == 0 and view.audio.pulse_running is True,
        _server,
        "The sound server has no sink to play into.",
        "Load the sink again; QEMU needs a restart when its stream was in it.",
        follows=frozenset({"AudioServerDown"}),
    ),
    Rule(
        "AudioStreamLost",
        FailureClass.QEMU,
        Severity.DEGRADED,
        _is_stream_lost,
        _stream,
        "QEMU plays into no sink any more.",
        "Restart QEMU: its sound never connects a second time.",
        follows=STOPPED | {"AudioServerDown", "AudioSinkMissing", "Booting"},
    ),
    Rule(
        "AudioMuted",
        FailureClass.QEMU,
        Severity.DEGRADED,
        lambda view: view.audio.muted is True and view.audio.qemu_streams != 0,
        _stream,
        "The sink that QEMU plays into is muted, suspended or at volume 0.",
        "Unmute, resume or turn up the sink.",
        follows=DEAD | {"AudioServerDown", "AudioSinkMissing"},
    ),
    Rule(
        "AudioSilent",
        FailureClass.QEMU,
        Severity.DEGRADED,
        _is_silent,
        _stream,
        "Nothing sounds for longer than is normal for this instance.",
        "See whether the guest still plays; reset it when it doesn't.",
        follows=STOPPED | SOUNDLESS | {"Booting"},
    ),
    Rule(
        "AudioRestarted",
        FailureClass.QEMU,
        Severity.DEGRADED,
        lambda view: (
            bool(view.audio.restarts)
            and view.audio.seconds_since_restart is not None
            and view.audio.seconds_since_restart <= view.policy.restart_shown_seconds
        ),
        _restart,
        "The sound server was started anew within the last minute.",
        "Nothing at once; see that QEMU still plays into it.",
    ),
)
