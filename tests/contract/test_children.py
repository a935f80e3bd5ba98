"""What a scheduler's children leave behind: it becomes their parent, lets go of the dead and ends the living."""

import subprocess
import sys

import psutil
from api_server import wait_for

SCHEDULER = """
import subprocess, sys
from jobs.children import adopt_orphans, reap_orphans, stop_orphans

def left_behind(program):
    start = (
        "import subprocess, sys; "
        "print(subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, start_new_session=True).pid)"
    )
    return int(subprocess.check_output([sys.executable, "-c", start, *program], stderr=subprocess.DEVNULL))

adopt_orphans()
for line in sys.stdin:
    match line.split():
        case ["start", *program]:
            print(left_behind(program), flush=True)
        case ["reap"]:
            reap_orphans([])
            print("reaped", flush=True)
        case ["stop"]:
            stop_orphans(2)
            print("stopped", flush=True)
"""
# A shell that ignores SIGTERM goes on until it is killed.
STUBBORN = ("sh", "-c", "trap${IFS}''${IFS}TERM;sleep${IFS}60;sleep${IFS}60")


class Scheduler:
    """A process with orphans, told what to do line by line."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCHEDULER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate(timeout=10)

    def __call__(self, *words):
        """Do one thing; return the answer."""
        print(*words, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()


def test_a_process_that_is_left_behind_becomes_the_schedulers_and_is_let_go_when_it_ends():
    with Scheduler() as scheduler:
        orphan = psutil.Process(int(scheduler("start", "sleep", "60")))
        adopted_by = orphan.ppid()
        orphan.kill()
        wait_for(lambda: orphan.status() == psutil.STATUS_ZOMBIE)
        scheduler("reap")

        assert scheduler.process.pid == adopted_by
        assert not psutil.pid_exists(orphan.pid)


def test_orphans_that_live_are_asked_to_end_woken_and_at_last_killed():
    with Scheduler() as scheduler:
        mild, stopped, stubborn = (
            psutil.Process(int(scheduler("start", *program)))
            for program in (("sleep", "60"), ("sleep", "60"), STUBBORN)
        )
        stopped.suspend()
        scheduler("stop")

        wait_for(
            lambda: scheduler("reap") and not any(one.is_running() for one in (mild, stopped, stubborn)), seconds=5
        )
