"""The agent beside a real QEMU and a real PulseAudio, which are then broken for real."""

import contextlib
import gc
import signal
import socket
import time
import urllib.request

import pytest
from emulator import MISSING, Emulator, ask_monitor, wait_for
from pulsectl import _pulsectl
from rfb_server import shake_hands
from servers import serving

from agent.burst import count_frames
from agent.checks import audio
from agent.planned import Planned
from agent.report import decode
from agent.settings import Settings

PEAK_CALLBACK = _pulsectl.PA_STREAM_REQUEST_CB_T

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


def is_well(report):
    """Tell whether QEMU, its picture and its sound are there, measured and well."""
    return report["overall_status"] == "healthy" and (report["audio"]["estimated_level"] or 0) > 0.05


@pytest.fixture(scope="module")
def running():
    """Return one instance for the whole module."""
    with contextlib.closing(Emulator()) as emulator:
        for name in ("pulse", "qemu", "agent"):
            emulator.start(name)
        wait_for(lambda: _answers(emulator))
        yield emulator


@pytest.fixture
def instance(running):
    """Return the instance in health, whatever the test before has done to it."""
    running.until(is_well, seconds=60)
    return running


def _answers(emulator):
    try:
        return emulator.report()
    except OSError:
        return None


def test_every_value_of_a_healthy_instance_is_measured(instance):
    report = instance.until(
        lambda r: r["screen"]["verdict"] == "moving" and (r["video"]["estimated_frame_rate"] or 0) > 5, seconds=40
    )

    assert "running" == report["qemu"]["run_state"]
    assert str(instance.processes["qemu"].pid) == report["performance"]["qemu_pid"]
    assert (True, True, True) == tuple(report["video"][f] for f in ("vnc_available", "display_active", "shareable"))
    assert (instance.vnc_port, 640, 400) == tuple(report["video"][f] for f in ("vnc_port", "width", "height"))
    assert (1, False) == (report["audio"]["qemu_streams"], report["audio"]["muted"])
    assert report["performance"]["qemu_cpu"] >= 0
    assert "no bridge and no tap is configured" == report["network"]["error"]
    assert 0 == report["sessions"]["count"]


def test_the_sequence_grows_and_the_report_decodes(instance):
    before = instance.report()["agent"]
    after = instance.until(lambda r: r["agent"]["sequence"] >= before["sequence"] + 2)["agent"]

    assert before["boot_id"] == after["boot_id"]
    with urllib.request.urlopen(f"http://127.0.0.1:{instance.agent_port}/health") as answer:
        assert "instance-0" == decode(answer.read()).agent.pod


@pytest.mark.soak
def test_an_agent_that_was_stopped_and_continued_goes_on(instance):
    before = instance.report()["agent"]
    instance.signal("agent", signal.SIGSTOP)
    time.sleep(5.1)  # longer than any wait of the agent's main thread
    instance.signal("agent", signal.SIGCONT)
    after = instance.until(lambda r: r["agent"]["sequence"] > before["sequence"] + 1)["agent"]

    assert before["boot_id"] == after["boot_id"]


def test_the_thumbnail_is_a_small_png_with_an_etag(instance):
    url = f"http://127.0.0.1:{instance.agent_port}/screen.png"
    with urllib.request.urlopen(url) as answer:
        png, etag = answer.read(), answer.headers["ETag"]

    assert png.startswith(b"\x89PNG")
    assert len(png) <= 16 * 1024
    assert etag


def test_a_stopped_qemu_is_named_and_delays_nobody(instance):
    instance.signal("qemu", signal.SIGSTOP)
    report = instance.until(lambda r: r["qemu"]["process_state"] == "T")

    assert (False, "unhealthy", None) == (report["qemu_healthy"], report["overall_status"], report["qemu"]["run_state"])
    later = instance.until(lambda r: r["video"]["vnc_available"] is None and r["screen"]["hash"] is None)
    assert "QMP" in later["video"]["error"]
    assert later["screen"]["error"]
    assert later["audio"]["pulse_running"]
    started_at = time.monotonic()
    instance.until(lambda r: r["agent"]["sequence"] >= later["agent"]["sequence"] + 2)
    assert time.monotonic() - started_at < 4  # two rounds of 0.5 s, each a second late at most, and a second to look

    instance.signal("qemu", signal.SIGCONT)
    instance.until(is_well)


def test_a_qemu_that_died_and_came_back_is_counted(instance):
    restarts = instance.report()["qemu"]["restarts"]
    instance.kill("qemu")
    # Between its death and its parent's wait it is a zombie, whose report has no error.
    dead = instance.until(lambda r: "has ended" in (r["qemu"]["error"] or ""))
    dead_screen = instance.until(lambda r: r["video"]["vnc_available"] is False and r["screen"]["hash"] is None)
    instance.start("qemu")
    alive = instance.until(lambda r: r["qemu_healthy"])

    assert dead["qemu_healthy"] is False
    assert "nothing listens" in dead_screen["video"]["error"]
    assert restarts + 1 == alive["qemu"]["restarts"]
    assert alive["qemu"]["seconds_since_restart"] < 30


def test_a_guest_paused_by_its_operator_is_shown_as_paused(instance):
    ask_monitor(instance.monitor, "stop")
    report = instance.until(lambda r: r["qemu"]["run_state"] == "paused")

    assert (True, "degraded") == (report["qemu_healthy"], report["overall_status"])
    ask_monitor(instance.monitor, "cont")
    resumed = instance.until(lambda r: r["qemu"]["run_state"] == "running")
    assert {"STOP", "RESUME"} <= {event["name"] for event in resumed["qemu"]["events"]}


def test_what_the_guest_shows_has_a_word(instance):
    for key, word in (("f", "still"), ("b", "blank"), ("u", "single-colour"), ("g", "moving")):
        instance.press(key)
        report = instance.until(lambda r, word=word: r["screen"]["verdict"] == word)

        assert (report["screen"]["largest_colour_ratio"] == 1.0) == (word in {"blank", "single-colour"})


def test_a_still_screen_has_no_frames(instance):
    instance.press("f")
    time.sleep(0.5)
    burst = count_frames("127.0.0.1", instance.vnc_port, set())
    instance.press("g")

    assert (True, 0.0) == (burst.is_available, burst.frames_per_second)


def test_a_muted_sink_is_silent(instance):
    with instance.sound() as sound:
        (sink,) = sound.sink_list()
        sound.mute(sink)
        report = instance.until(lambda r: r["audio"]["muted"] and r["audio"]["silent_seconds"] > 2)
        sound.mute(sink, False)  # noqa: FBT003 - pulsectl's signature

    assert (0, "degraded") == (report["audio"]["estimated_level"], report["overall_status"])
    instance.until(is_well)


def peak_callbacks():
    """Return how many callbacks of libpulse's peaks this process holds."""
    gc.collect()
    return sum(isinstance(each, PEAK_CALLBACK) for each in gc.get_objects())


def test_libpulse_never_calls_into_freed_memory(instance, monkeypatch):
    """A stream opened while its server hung outlives its listening; the agent died of its next peak."""
    monkeypatch.setattr(audio, "_LISTENINGS", 3)
    monkeypatch.setattr(audio, "_made_callbacks", [])  # a test that listened by itself has left its own there
    earlier = peak_callbacks()
    check = audio.AudioCheck(
        Settings(("", 0), "", "", "qemu-system-*", ("", 0), f"unix:{instance.pulse}", *[""] * 5), Planned()
    )
    alive = []
    for _ in range(4):
        assert check.measure().estimated_level is not None
        alive.append(peak_callbacks() - earlier)

    assert [1, 2, 3, 1] == alive


def test_a_hung_sound_server_is_unknown_and_delays_nobody(instance):
    instance.signal("pulse", signal.SIGSTOP)
    report = instance.until(lambda r: r["audio"]["pulse_running"] is None)
    instance.signal("pulse", signal.SIGCONT)

    assert (None, "unknown") == (report["audio"]["estimated_level"], report["overall_status"])
    assert report["audio"]["error"]
    assert report["qemu_healthy"]
    instance.until(lambda r: r["audio"]["pulse_running"])


def test_a_dead_sound_server_is_named_and_its_return_is_counted(instance):
    restarts = instance.report()["audio"]["restarts"]
    instance.kill("pulse")
    dead = instance.until(lambda r: r["audio"]["pulse_running"] is False)
    instance.start("pulse")
    back = instance.until(lambda r: r["audio"]["pulse_running"])

    assert "no PulseAudio server on" in dead["audio"]["error"]
    assert (restarts + 1, 0) == (back["audio"]["restarts"], back["audio"]["qemu_streams"])
    instance.kill("qemu")  # its stream never comes back by itself
    instance.start("qemu")


@contextlib.contextmanager
def a_viewer(instance, *, is_shared):
    """Be connected to the screen as a person's program is."""
    with socket.create_connection(("127.0.0.1", instance.vnc_port), timeout=5) as viewer:
        for sent, length in ((b"", 12), (b"RFB 003.008\n", 2), (b"\x01", 4), (bytes([is_shared]), 24)):
            viewer.sendall(sent)
            viewer.recv(length, socket.MSG_WAITALL)
        yield viewer


def test_a_viewer_who_does_not_share_is_left_alone_and_the_screen_is_available(instance):
    with a_viewer(instance, is_shared=False):
        report = instance.until(
            lambda r: "for itself" in (r["video"]["error"] or "") or not r["video"]["vnc_available"]
        )
        later = instance.until(
            lambda r: r["sessions"]["count"] and r["agent"]["sequence"] > report["agent"]["sequence"]
        )

    assert (True, False, "healthy") == (
        report["video"]["vnc_available"],
        report["video"]["shareable"],
        report["overall_status"],
    )
    assert (1, False) == (later["sessions"]["count"], later["video"]["shareable"])
    instance.until(lambda r: r["video"]["shareable"] and r["video"]["estimated_frame_rate"])


def test_a_person_is_a_session_and_our_own_bursts_are_none(instance):
    instance.until(lambda r: r["sessions"]["count"] == 0)  # viewers of tests before
    with a_viewer(instance, is_shared=True) as viewer:
        peer = f"127.0.0.1:{viewer.getsockname()[1]}"
        stayed = instance.until(lambda r: any(one["seconds"] > 5 for one in r["sessions"]["sessions"]))

    assert [peer] == [one["peer"] for one in stayed["sessions"]["sessions"]]
    assert 1 == stayed["sessions"]["count"]
    instance.until(lambda r: r["sessions"]["count"] == 0)


def test_a_monitor_that_another_client_holds_is_busy_not_dead():
    """The agent's own socket is taken before the agent starts; QEMU greets one client only."""
    with contextlib.closing(Emulator()) as emulator, socket.socket(socket.AF_UNIX) as other:
        emulator.start("pulse")
        emulator.start("qemu")
        wait_for((emulator.folder / "qmp-agent").exists)
        wait_for(lambda: other.connect_ex(f"{emulator.folder}/qmp-agent") == 0)
        assert b"QMP" in other.recv(4096)
        emulator.start("agent")
        wait_for(lambda: _answers(emulator))
        report = emulator.until(lambda r: "another client" in (r["qemu"]["qmp_error"] or ""))

        assert (None, "S") == (report["qemu_healthy"], report["qemu"]["process_state"].replace("R", "S"))
        other.close()
        emulator.until(lambda r: r["qemu"]["run_state"] == "running")


def test_the_first_answer_comes_at_once_and_knows_nothing():
    with contextlib.closing(Emulator()) as emulator:
        emulator.start("agent")
        first = wait_for(lambda: _answers(emulator))
        unmeasured = first["agent"]["sequence"] == 0

        assert first["agent"]["uptime_seconds"] < 2  # the agent's own time: how long Python takes to start is no matter
        assert first["overall_status"] == "unknown" or not unmeasured
        assert "unhealthy" == emulator.until(lambda r: r["agent"]["sequence"] > 0)["overall_status"]
        assert 0 == emulator.kill("agent", signal.SIGTERM)


@pytest.mark.soak
def test_sigterm_ends_the_agent_at_whatever_moment_it_comes():
    """A handler was seen to run just before accept() and be missed, one time in fifty."""
    with contextlib.closing(Emulator()) as emulator:
        for _ in range(200):
            emulator.start("agent")
            wait_for(lambda: _answers(emulator))
            started_at = time.monotonic()
            assert 0 == emulator.kill("agent", signal.SIGTERM)
            assert time.monotonic() - started_at < 1


def test_a_mute_vnc_server_is_given_three_seconds():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        started_at = time.monotonic()
        burst = count_frames(*mute.getsockname(), set())

    assert (False, "VNC server: no version in 3 s") == (burst.is_available, burst.error)
    assert 2.5 < time.monotonic() - started_at < 6


def test_a_vnc_server_that_refuses_is_quoted():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        burst = count_frames(*nobody.getsockname(), set())

    assert (False, "VNC server: ended before version: Connection refused") == (burst.is_available, burst.error)


def test_a_vnc_server_that_hangs_up_after_the_handshake_was_there():
    an_empty_update = b"\0\0\0\0"
    ports: set[int] = set()
    with serving(lambda link: shake_hands(link, then=an_empty_update)) as server:
        burst = count_frames("127.0.0.1", server.port, ports)

    assert (True, None) == (burst.is_available, burst.frames_per_second)
    assert ("VNC server: it hung up during the burst", set()) == (burst.error, ports)
