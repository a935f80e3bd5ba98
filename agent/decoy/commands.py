"""`python -m agent decoy`: run a real, tiny instance, break it for real, and mend it."""

from __future__ import annotations

from pathlib import Path

import click

from agent.commandline import CONTEXT_SETTINGS, log_level_option, start_logging
from agent.decoy import instance, running
from agent.decoy.faults import FAULTS, cause
from agent.decoy.folder import Record, default_directory, folder_of
from agent.decoy.heal import mend

_id = click.option(
    "--id",
    "decoy_id",
    required=True,
    metavar="ID",
    envvar="LOCO_POD",
    show_envvar=True,
    help="Name of the decoy, as a pod's.",
)
_dir = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_directory,
    show_default="loco-decoy-UID in /tmp",
    envvar="LOCO_DECOY_DIR",
    show_envvar=True,
    help="Directory of the decoys' sockets, logs and records.",
)


@click.group(context_settings=CONTEXT_SETTINGS)
def decoy() -> None:
    """Run a real, tiny instance, break it for real, and mend it."""


@decoy.command()
@_id
@_dir
@click.option(
    "--key-file",
    default="",
    envvar="LOCO_ACTION_KEY_FILE",
    show_envvar=True,
    metavar="FILE",
    help="Key file of its agent; who signs with the key in it may have the agent act.",
)
@click.option("--in-pod", is_flag=True, help="The pod is the network, and another container of it is the agent.")
@log_level_option
def run(decoy_id: str, directory: Path, log_level: str, key_file: str, *, in_pod: bool) -> None:
    """Run a decoy until Ctrl-C: QEMU, PulseAudio, bridge and tap, and the agent.

    Example: python -m agent decoy run --id instance-0
    """
    start_logging(log_level)
    instance.run(folder_of(directory, decoy_id), key_file=key_file, in_pod=in_pod, announce=_announce)


@decoy.command()
@_id
@_dir
def stop(decoy_id: str, directory: Path) -> None:
    """Stop a decoy, and clean up what a killed one left.

    Example: python -m agent decoy stop --id instance-0
    """
    click.echo(instance.stop(folder_of(directory, decoy_id)))


@decoy.command(epilog=f"Faults: {', '.join(FAULTS)}.")
@click.argument("name", metavar="FAULT")
@_id
@_dir
def fault(name: str, decoy_id: str, directory: Path) -> None:
    """Cause a real fault in a running decoy.

    Example: python -m agent decoy fault freeze --id instance-0
    """
    click.echo(cause(running.find(directory, decoy_id), name))


@decoy.command()
@_id
@_dir
def heal(decoy_id: str, directory: Path) -> None:
    """Undo whatever is wrong with a running decoy.

    Example: python -m agent decoy heal --id instance-0
    """
    click.echo(mend(running.find(directory, decoy_id)))


def _announce(record: Record) -> None:
    click.echo(f"decoy {record.id} is up: report {record.health_url}/health, VNC {record.vnc_address}; Ctrl-C stops it")
