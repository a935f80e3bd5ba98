"""What a person or a manifest mistypes gets one sentence and exit 2, before anything is started."""

import os
import subprocess
import sys

import pytest


def run(*words: str, **variables: str) -> tuple[int, str]:
    """Return exit code and stderr of `python -m ...`."""
    environment = {**os.environ, **variables}
    ended = subprocess.run(
        [sys.executable, "-m", *words], check=False, env=environment, capture_output=True, text=True, timeout=30
    )
    return ended.returncode, ended.stderr


@pytest.mark.parametrize(
    ("words", "variables", "sentence"),
    [
        (
            ("jobs", "collect"),
            {"LOCO_STOER": "x"},
            (
                "loco-jobs: environment variable LOCO_STOER is not a setting of loco-health (did you mean LOCO_STORE?)"
                "; docs/configuration.md lists all; nothing was started\n"
            ),
        ),
        (
            ("jobs", "collect", "--store", "s.db"),
            {"LOCO_WINDOW": "-3"},
            (
                "loco-jobs: Invalid value for '--window' (env var: 'LOCO_WINDOW'): -3 is not in the range x>=0; "
                "nothing was started\n"
            ),
        ),
        (
            ("api", "--store", "s.db"),
            {"LOCO_API_LISTEN": "here"},
            (
                "loco-api: Invalid value for '--listen' (env var: 'LOCO_API_LISTEN'): "
                "'here' is no HOST:PORT with a port from 0 to 65535; nothing was started\n"
            ),
        ),
        (
            ("agent", "serve"),
            {"LOCO_VNC_ADDRESS": "5901"},
            (
                "loco-agent: Invalid value for '--vnc-address' (env var: 'LOCO_VNC_ADDRESS'): "
                "'5901' is not HOST:PORT with a port of 0-65535; nothing was started\n"
            ),
        ),
        (("jobs", "colect"), {}, "loco-jobs: No such command 'colect'; nothing was started\n"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(words, variables, sentence):
    assert (2, sentence) == run(*words, **variables)


@pytest.mark.parametrize("room", ["agent", "jobs"])
def test_no_command_at_all_shows_the_help(room):
    code, told = run(room)

    assert (2, True) == (code, told.startswith(f"Usage: loco-{room}"))


def test_names_that_kubernetes_injects_for_services_are_left_alone():
    injected = {"LOCO_EMULATOR_SERVICE_HOST": "10.96.0.7", "LOCO_EMULATOR_PORT_8080_TCP_ADDR": "10.96.0.7"}

    assert (0, "") == run("jobs", "collect", "--help", **injected)
