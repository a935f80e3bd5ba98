"""What a command is told of recovery, by flags or by the environment."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from jobs.commands.options import recovery_options, store_option
from jobs.health.policy import Policy
from jobs.health.situation import Leave
from jobs.planner import Recovery

STORE = ["--store", "/var/lib/loco/loco.db"]
BESIDE = Path("/var/lib/loco/control")


@click.command()
@store_option
@recovery_options
def told(*, store: Path, recovery: Recovery) -> None:
    """Say what it was told."""
    click.echo(repr(recovery))


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, Recovery(Leave(Policy()), BESIDE)),
        (["--dry-run"], {}, Recovery(Leave(Policy(), is_dry_run=True), BESIDE)),
        ([], {"LOCO_DRY_RUN": "true"}, Recovery(Leave(Policy(), is_dry_run=True), BESIDE)),
        ([], {"LOCO_DRY_RUN": "false"}, Recovery(Leave(Policy()), BESIDE)),
        ([], {"LOCO_ALLOW_DELETE_POD": "true"}, Recovery(Leave(Policy(), may_delete_pod=True), BESIDE)),
        ([], {"LOCO_CONTROL": "/etc/loco/control"}, Recovery(Leave(Policy()), Path("/etc/loco/control"))),
    ],
)
def test_a_command_is_told_what_it_may_do(arguments, environment, expected):
    result = CliRunner().invoke(told, [*arguments, *STORE], env=environment)

    assert f"{expected!r}\n" == result.output


def test_a_switch_that_says_neither_is_refused():
    result = CliRunner().invoke(told, STORE, env={"LOCO_DRY_RUN": "maybe"})

    assert (2, True) == (result.exit_code, "'maybe' is not a valid boolean" in result.output)
