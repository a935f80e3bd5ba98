"""Acts that need no decoy: commands and URLs, processes that won't leave, a VNC bridge, a sink that won't wake."""

import contextlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import psutil
import pytest
from emulator import MISSING, Emulator, wait_for
from stack import free_port

from agent.actions.act import ActFailed, CannotAct, Work
from agent.actions.audio import FRESH_SINK
from agent.actions.audio import perform as reset_audio
from agent.actions.display import perform as reset_display
from agent.actions.emulator import perform as restart_qemu
from agent.actions.signals import hold
from agent.actions.table import ACTS
from agent.collect import Rounds
from agent.settings import ACTIONS, Settings

NOWHERE = ("127.0.0.1", 1)
BARE = Settings(NOWHERE, "", "", "qemu-system-*", NOWHERE, "", "", "", "", "pod-0", "uid-0")


def scene_of(**changes):
    """Return what acts work on, before any round."""
    return Rounds(replace(BARE, **changes)).scene


def in_seconds(seconds):
    """Return work that must be over then."""
    return Work(time.monotonic() + seconds)


def restart_stream(line, *, seconds=10.0):
    """Do the act with a setting, and return how it ended and its steps."""
    work = in_seconds(seconds)
    return ACTS["restart-stream"].perform(scene_of(restart_stream=line), work), work.steps


def test_the_table_has_exactly_the_acts_that_can_be_allowed():
    assert ACTIONS == tuple(ACTS)


def test_a_command_is_run_without_a_shell(tmp_path):
    done, steps = restart_stream(f"touch '{tmp_path}/a b' {tmp_path}/$HOME")

    assert (None, ["the command ended with exit code 0"]) == (done.held, steps)
    assert {"a b", "$HOME"} == {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("line", "clause"),
    [
        ("sh -c 'echo no encoder >&2; exit 3'", "exit code 3: no encoder"),
        ("false", "exit code 1: it said nothing"),
        ("/nowhere/stream", "can't be run: "),
        ("sh -c 'unclosed", "can't be run: No closing quotation"),
    ],
)
def test_a_command_that_fails_says_why(line, clause):
    with pytest.raises(ActFailed, match=clause):
        restart_stream(line)


def test_a_command_that_takes_too_long_is_ended(tmp_path):
    os.mkfifo(tmp_path / "never")
    with pytest.raises(ActFailed, match="was killed, as it was not done by the deadline"):
        restart_stream(f"cat {tmp_path / 'never'}", seconds=0.2)


def test_a_stream_that_its_command_leaves_running_is_not_waited_for():
    began = time.monotonic()
    done, steps = restart_stream("sh -c 'sleep 3 & echo started >&2'")

    assert (None, ["the command ended with exit code 0"]) == (done.held, steps)
    assert time.monotonic() - began < 2


def test_a_command_that_says_more_than_is_kept_ends_all_the_same():
    with pytest.raises(ActFailed, match=r"exit code 3: [y ]{199,200}$"):
        restart_stream("sh -c 'yes | head -c 300000 >&2 2>/dev/null; exit 3'")


@pytest.fixture
def web():
    """Return (URL, what was asked); /down answers 503."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.path, self.headers["Content-Length"]))
            self.send_response(503 if self.path == "/down" else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_a_url_is_posted_to(web):
    url, asked = web
    done, steps = restart_stream(f"{url}/stream/restart?hard=1")

    assert (None, ["the URL answered 204"]) == (done.held, steps)
    assert [("/stream/restart?hard=1", "0")] == asked


@pytest.mark.parametrize(("place", "clause"), [("/down", "the URL answered 503"), (None, "doesn't answer: ")])
def test_a_url_that_fails_says_why(web, place, clause):
    url = web[0] + place if place else f"http://127.0.0.1:{free_port()}/"
    with pytest.raises(ActFailed, match=clause):
        restart_stream(url)


@contextlib.contextmanager
def started(*command, **options):
    """Run a program and yield it as psutil sees it; whatever happens, it is gone and reaped afterwards."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, **options) as popen:
        try:
            yield popen, psutil.Process(popen.pid)
        finally:
            popen.kill()


def test_a_qemu_that_ignores_sigterm_is_killed():
    scene = scene_of()
    with started("sh", "-c", "trap '' TERM; echo ready; while :; do read x </dev/zero; done") as (popen, process):
        popen.stdout.readline()
        scene.process.current = process
        work = in_seconds(10)
        done = restart_qemu(scene, work)

    assert (True, -signal.SIGKILL) == (done.held, popen.returncode)
    assert [f"SIGTERM and SIGCONT to process {process.pid}", f"SIGKILL to process {process.pid}"] == work.steps


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_a_qemu_whose_process_cant_be_seen_is_asked_to_quit():
    with contextlib.closing(Emulator()) as instance:
        for name in ("pulse", "qemu"):
            instance.start(name)
        wait_for((instance.folder / "qmp-agent").exists)
        scene = scene_of(qmp_socket=f"{instance.folder}/qmp-agent", qemu_pattern="nobodys-qemu")
        work = in_seconds(10)
        done = restart_qemu(scene, work)

        assert (True, ["quit"]) == (done.held, work.steps)
        assert 0 == instance.processes["qemu"].wait(10)


def test_a_pid_that_is_somebody_elses_now_is_left_alone(monkeypatch):
    scene = scene_of()
    with started("cat", stdin=subprocess.PIPE) as (popen, process):
        scene.process.current = process
        monkeypatch.setattr(process, "_ident", (process.pid, 0.0))
        with pytest.raises(CannotAct, match="has ended by itself"):
            restart_qemu(scene, in_seconds(5))

        assert None is popen.poll()


def test_a_process_that_may_not_be_signalled_is_said_to_be_so():
    script = (
        "import os, psutil, signal, sys\n"
        "from agent.actions.act import ActFailed\nfrom agent.actions.signals import hold\n"
        "os.setuid(65534)\n"
        "with hold(psutil.Process(int(sys.argv[1]))) as handle:\n"
        "    try: handle.send(signal.SIGTERM)\n"
        "    except ActFailed as error: print(error)\n"
    )
    if os.geteuid():
        pytest.skip("needs root to become somebody else")
    with started("cat", stdin=subprocess.PIPE) as (popen, process):
        said = subprocess.check_output([sys.executable, "-c", script, str(popen.pid)], text=True)

        assert f"process {process.pid} may not be signalled from here (another user, no CAP_KILL)\n" == said
        assert None is popen.poll()


def test_a_process_that_has_ended_has_no_handle():
    with started("true") as (popen, process):
        popen.wait()
        with hold(process) as handle:
            assert None is handle


VNC_BRIDGE = """#!{python}
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    listener.accept()
"""


@pytest.fixture
def vnc_bridge(tmp_path):
    """Return (name, port) of a program that listens and is started again whenever it ends."""
    path, port, stop = tmp_path / "vncbridge", free_port(), threading.Event()
    path.write_text(VNC_BRIDGE.format(python=sys.executable))
    path.chmod(0o755)
    popen = []

    def supervise():
        while not stop.is_set():
            with subprocess.Popen([path, str(port)]) as each:
                popen[:] = [each]

    thread = threading.Thread(target=supervise)
    thread.start()
    wait_for(lambda: _listens(port))
    yield "vncbridge", port
    stop.set()
    popen[0].kill()
    thread.join(10)


def _listens(port):
    return any(each.laddr.port == port and each.status == "LISTEN" for each in psutil.net_connections("tcp4"))


def test_reset_display_has_another_bridge_listen(vnc_bridge):
    name, port = vnc_bridge
    before = [each.pid for each in psutil.process_iter() if each.name() == name]
    work = in_seconds(20)
    done = reset_display(scene_of(display_pattern=name, vnc_address=("127.0.0.1", port)), work)
    after = [each.pid for each in psutil.process_iter() if each.name() == name]

    assert (True, f"a new one listens on port {port}") == (done.held, done.detail)
    assert [f"SIGTERM to process {before[0]}"] == work.steps
    assert set(before).isdisjoint(after)


def test_reset_display_without_such_a_process_does_nothing():
    with pytest.raises(CannotAct, match="no process matches nobodys-bridge"):
        reset_display(scene_of(display_pattern="nobodys-bridge"), in_seconds(1))


class Unnamed(Emulator):
    """An emulator whose QEMU plays into whatever sink there is."""

    def _qemu(self):
        arguments, variables = super()._qemu()
        return [word.replace(",out.name=loco", "") for word in arguments], variables


def resuspend(sound, stop):
    """Suspend a sink again as soon as somebody resumes it."""
    with sound() as pulse:
        sink = pulse.get_sink_by_name("loco")
        while not stop.wait(0.01):
            pulse.sink_suspend(sink.index, suspend=True)


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
@pytest.mark.parametrize(
    ("emulator", "held", "last_step"),
    [
        (Unnamed, True, f"QEMU's stream is moved to {FRESH_SINK}"),
        (Emulator, False, "QEMU's stream may not be moved"),
    ],
)
def test_a_stream_whose_sink_wont_wake_is_moved_unless_qemu_asked_for_that_sink(emulator, held, last_step):
    with contextlib.closing(emulator()) as instance:
        for name in ("pulse", "qemu"):
            instance.start(name)

        def streams():
            with instance.sound() as pulse:
                return pulse.sink_input_list()

        wait_for(streams)
        stop = threading.Event()
        thread = threading.Thread(target=resuspend, args=(instance.sound, stop))
        thread.start()
        try:
            with instance.sound() as pulse:
                wait_for(lambda: "suspended" in str(pulse.get_sink_by_name("loco").state))
            work = in_seconds(3)
            done = reset_audio(scene_of(pulse_server=f"unix:{instance.pulse}"), work)
        finally:
            stop.set()
            thread.join(10)

    assert (held, last_step) == (done.held, work.steps[-1])
