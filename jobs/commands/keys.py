"""`python -m jobs keys`: make the keys that let recovery act, and nobody else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from agent.commandline import log_level_option, start_logging
from jobs.commands.discover import namespaces_option, selector_option
from jobs.errors import ConfigError
from jobs.health.model import Instance
from jobs.inventory import parse_inventory, read_inventory
from jobs.keys import instance_keys, new_master, parse_master, render, rotate

MASTER = "master"


@click.command(short_help="Make the keys that let recovery act.")
@namespaces_option
@selector_option
@click.option(
    "--namespace",
    envvar="LOCO_RECOVERY_NAMESPACE",
    show_envvar=True,
    default="",
    help="Where Secret loco-master is kept: the namespace of the recovery Jobs.",
)
@click.option(
    "--local",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write files to this folder, readable for their owner alone, and no Secrets.",
)
@click.option(
    "--instances",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="LOCO_INSTANCES",
    show_envvar=True,
    help="With --local: a JSON array of instances.",
)
@click.option(
    "--rotate", "is_rotation", is_flag=True, help="Make a new master key; the one before it counts once more."
)
@log_level_option
def keys(  # noqa: PLR0913 - one an option
    *,
    namespaces: tuple[str, ...],
    selector: str,
    namespace: str,
    folder: Path | None,
    instances: Path | None,
    is_rotation: bool,
    log_level: str,
) -> None:
    """Make the master key where there is none, and every instance's own key out of it; write what isn't there yet.

    In a cluster: Secret loco-master beside the recovery Jobs, and Secret loco-keys, one entry a pod, in each namespace
    of instances. Keys are never shown.

    Example: python -m jobs keys --local keys --instances instances.json
    """
    start_logging(log_level)
    if folder:
        if instances is None:
            raise ConfigError("--local needs --instances, whose instances get a key each; nothing was written")
        count = write_files(folder, _read(instances), is_rotation=is_rotation)
        click.echo(f"{count} keys in {folder}")
        return
    if not namespaces or not namespace:
        raise ConfigError(
            "neither --local nor both of --namespaces and --namespace are given: nothing says where keys belong; "
            "nothing was written"
        )
    from jobs.cluster.client import ClusterClient  # noqa: PLC0415 - the client costs 130 ms and 20 MiB
    from jobs.cluster.secrets import write_secrets  # noqa: PLC0415 - as above

    with ClusterClient() as client:
        for place, count in write_secrets(
            client, namespace=namespace, watched=namespaces, selector=selector, is_rotation=is_rotation
        ).items():
            click.echo(f"{count} keys in Secret {place}")


def write_files(folder: Path, instances: Sequence[Instance], *, is_rotation: bool) -> int:
    """Write `master` and `ID.key` of each instance, where they say something else than is there; return how many keys.

    Raises: ConfigError.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / MASTER
        text = path.read_text() if path.exists() else new_master()
        masters = parse_master(text, str(path))
        if is_rotation and path.exists():
            text = rotate(text)
            masters = parse_master(text, str(path))
        # The instances first: a master whose keys nobody has opens nothing, and the one before it still does.
        for instance in instances:
            _write(folder / f"{instance.public_id}.key", render(instance_keys(masters, instance.key)))
        _write(path, text)
    except OSError as error:
        raise ConfigError(f"keys in {folder} can't be written: {error}") from error
    return len(instances)


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    if path.exists() and path.read_text() == text:
        return
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    unfinished.replace(path)


def _read(path: Path) -> tuple[Instance, ...]:
    """Return the instances that a file names. Raises: ConfigError."""
    try:
        return parse_inventory(read_inventory(path), str(path))
    except ConfigError as error:
        raise ConfigError(f"{error}; nothing was written") from error
