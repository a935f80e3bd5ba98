"""Cold start of each command: from exec to a parsed command line, the best of five, and its largest memory."""

import os
import subprocess
import sys
import time

COMMANDS = (
    "agent serve",
    "jobs collect",
    "jobs discover",
    "jobs dispatch",
    "jobs compact",
    "jobs local",
    "jobs replay",
    "api",
)
TRIES = 5


def start(command: str) -> tuple[float, int]:
    """Run `--help` of a command; return seconds and peak resident MiB."""
    began = time.perf_counter()
    program = subprocess.Popen([sys.executable, "-m", *command.split(), "--help"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(program.pid, 0)
    seconds = time.perf_counter() - began
    program.returncode = os.waitstatus_to_exitcode(status)
    if program.returncode:
        sys.exit(f"python -m {command} --help ended with {program.returncode}")
    return seconds, usage.ru_maxrss // 1024


def main() -> None:
    """Print a row for each command."""
    for command in COMMANDS:
        seconds, mebibytes = min(start(command) for _ in range(TRIES))
        print(f"| cold start of `python -m {command}` | {seconds * 1000:.0f} ms | {mebibytes} MiB, best of {TRIES} |")


if __name__ == "__main__":
    main()
