"""Whether a process lives, asked of the real kernel."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from jobs.holder import is_dead, is_gone, name_of, own_name


@pytest.fixture
def sleeper():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def test_a_process_that_runs_is_not_gone(sleeper):
    assert [False, False] == [is_gone(own_name()), is_gone(name_of(sleeper.pid))]


def test_a_dead_process_is_gone_before_and_after_it_was_waited_for(sleeper):
    name = name_of(sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    as_zombie = is_gone(name)
    sleeper.wait()

    assert [True, True] == [as_zombie, is_gone(name)]


def test_a_stopped_process_is_gone_until_it_wakes(sleeper):
    name = name_of(sleeper.pid)
    os.kill(sleeper.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED | os.WNOWAIT)
    stopped = is_gone(name)
    os.kill(sleeper.pid, signal.SIGCONT)
    time.sleep(0.1)

    assert [True, False] == [stopped, is_gone(name)]


def test_a_later_process_with_the_same_pid_is_another(sleeper):
    host, pid, start = name_of(sleeper.pid).rsplit(":", 2)

    assert is_gone(f"{host}:{pid}:{int(start) - 1}")


def test_a_process_of_another_host_is_never_known_to_be_gone(sleeper):
    assert not is_gone("elsewhere:1:1")


@pytest.mark.parametrize(
    "name", ["0f3c9a52-uid-of-a-pod", "recover-4f3a9c-instance-3-17", f"{socket.gethostname()}:no-pid:1", ""]
)
def test_a_name_that_is_no_process_is_never_known_to_be_gone(name):
    assert not is_dead(name)
