import os
import signal
import subprocess
import time

import pytest

from agent.decoy.process import Child, Process, Program, end, identify


def a_child(tmp_path, *arguments, restart_seconds=1.0):
    program = Program(
        name="p", arguments=arguments, environment=os.environ, log=tmp_path / "log", restart_seconds=restart_seconds
    )
    return Child(program)


def until(is_so):
    deadline = time.monotonic() + 1.5
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_recycled_pid_is_nobody():
    me = identify(os.getpid())
    other = Process(me.pid, me.start_ticks + 1)

    assert (True, False, None) == (me.is_alive, other.is_alive, other.state)
    assert other.send(signal.SIGKILL) is False


def test_a_process_that_is_gone_is_nobody():
    gone = subprocess.Popen(["true"])
    process = identify(gone.pid)
    gone.wait()

    assert process.state is None
    with pytest.raises(ProcessLookupError):
        identify(gone.pid)


def test_a_stopped_process_is_ended_too(tmp_path):
    child = a_child(tmp_path, "sleep", "60")
    child.tend(0)
    stopped = child.process
    stopped.send(signal.SIGSTOP)
    until(lambda: stopped.state == "T")

    end([stopped])
    assert not stopped.is_alive
    child.tend(0)


def test_a_process_that_ignores_sigterm_is_killed(tmp_path):
    child = a_child(tmp_path, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    child.tend(0)
    until(lambda: (tmp_path / "log").read_text() == "ready\n")
    stubborn = child.process

    end([stubborn], grace_seconds=0.1)
    assert not stubborn.is_alive
    child.tend(0)


def test_a_program_that_failed_is_started_again_when_its_pause_is_over(tmp_path):
    child = a_child(tmp_path, "false", restart_seconds=10.0)
    assert child.tend(0.0) is True
    first = child.process
    until(lambda: not first.is_alive)

    assert child.tend(100.0) is True
    assert child.process is None
    assert child.tend(109.9) is False
    assert child.tend(110.0) is True
    assert child.process is not None
    until(lambda: not child.process.is_alive)
    child.tend(110.0)


def test_a_program_that_was_asked_to_end_is_started_again_within_a_second(tmp_path):
    child = a_child(tmp_path, "true", restart_seconds=10.0)
    child.tend(0.0)
    until(lambda: not child.process.is_alive)
    child.tend(100.0)

    assert child.tend(100.9) is False
    assert child.tend(101.0) is True
    until(lambda: not child.process.is_alive)
    child.tend(101.0)


def test_a_program_can_be_hurried(tmp_path):
    child = a_child(tmp_path, "false", restart_seconds=10.0)
    child.tend(0.0)
    until(lambda: not child.process.is_alive)
    child.tend(100.0)

    child.hurry()
    assert child.tend(100.0) is True
    until(lambda: not child.process.is_alive)
    child.tend(100.0)


def test_what_a_program_said_last_is_logged_with_its_exit(tmp_path, caplog):
    child = a_child(tmp_path, "sh", "-c", "echo one; echo no such disk >&2; exit 3")
    child.tend(0.0)
    until(lambda: not child.process.is_alive)
    child.tend(1.0)

    assert [(3, "no such disk")] == [(record.exit_code, record.said_last) for record in caplog.records]
