"""`python -m jobs discover`: keep the store's inventory as a cluster or a file says it."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import click

from jobs.commands.options import window_options
from jobs.discovery.file import FileRounds
from jobs.errors import ConfigError
from jobs.schedule import WindowSettings
from jobs.window import Rounds, run_window

# The seed's labels.
DEFAULT_SELECTOR = "app.kubernetes.io/component=emulator,app.kubernetes.io/part-of=lego-loco-cluster"

# chosen: a thread and a connection each.
_MAX_NAMESPACES = 50

# RFC 1123 label
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def _namespaces(context: click.Context, parameter: click.Parameter, line: str) -> tuple[str, ...]:  # noqa: ARG001 - click's
    """Return the names of a comma-separated list, each once."""
    names = tuple(dict.fromkeys(name.strip() for name in line.split(",") if name.strip()))
    for name in names:
        if not _NAMESPACE.fullmatch(name):
            raise ConfigError(
                f"namespaces {line!r}: {name!r} is no name of a namespace, 1 to 63 of a-z 0-9 - are allowed; "
                "nothing was started"
            )
    if len(names) > _MAX_NAMESPACES:
        raise ConfigError(f"namespaces: {len(names)} are named, at most {_MAX_NAMESPACES}; nothing was started")
    return names


def _selector(context: click.Context, parameter: click.Parameter, line: str) -> str:  # noqa: ARG001 - click's
    """Refuse an empty selector, which would be every pod."""
    if not line.strip():
        raise ConfigError("selector is empty, which would watch every pod; name a label; nothing was started")
    return line.strip()


namespaces_option = click.option(
    "--namespaces",
    envvar="LOCO_NAMESPACES",
    show_envvar=True,
    default="",
    callback=_namespaces,
    help="Namespaces whose pods are the instances, comma-separated; without one the instances file is.",
)

selector_option = click.option(
    "--selector",
    envvar="LOCO_SELECTOR",
    show_envvar=True,
    default=DEFAULT_SELECTOR,
    callback=_selector,
    help=f"Label selector of the pods; {DEFAULT_SELECTOR} without it.",
)


@click.command(short_help="Keep the inventory up to date.")
@namespaces_option
@selector_option
@click.option(
    "--node-facts/--no-node-facts",
    envvar="LOCO_NODE_FACTS",
    show_envvar=True,
    default=False,
    help="List the nodes too; that needs a ClusterRole.",
)
@click.option(
    "--instances",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="LOCO_INSTANCES",
    show_envvar=True,
    help="A JSON array of instances; with --namespaces only for a cluster that was never heard.",
)
@click.option(
    "--snapshot-namespace",
    envvar="LOCO_SNAPSHOT_NAMESPACE",
    show_envvar=True,
    default="",
    help="Where ConfigMap loco-health is kept up to date; without it none is.",
)
@window_options
def discover(
    *,
    namespaces: tuple[str, ...],
    selector: str,
    node_facts: bool,
    instances: Path | None,
    snapshot_namespace: str,
    settings: WindowSettings,
) -> int:
    """Watch the pods of a cluster, or read the instances file every 30 s, into the store.

    What can't be read leaves the last good inventory.

    Example: python -m jobs discover --instances instances.json --store loco.db --window 300
    """
    clock = settings.clock.wall_ms
    if not namespaces:
        if instances is None:
            raise ConfigError("neither namespaces nor an instances file is given; nothing was started")
        return run_window(_published(FileRounds(instances, clock=clock), snapshot_namespace, settings), settings)

    from jobs.discovery.cluster import ClusterRounds, Scope  # noqa: PLC0415 - the client costs 130 ms and 20 MiB

    scope = Scope(namespaces, selector, has_node_facts=node_facts, fallback=instances)
    with closing(ClusterRounds(scope, clock=clock)) as rounds:
        return run_window(_published(rounds, snapshot_namespace, settings), settings)


def _published(rounds: Rounds, namespace: str, settings: WindowSettings) -> Rounds:
    """Return the rounds, with the snapshot's beat where it has a place."""
    if not namespace:
        return rounds
    from jobs.cluster.publisher import Publisher  # noqa: PLC0415 - as above
    from jobs.discovery.publishing import PublishingRounds  # noqa: PLC0415 - as above

    return PublishingRounds(rounds, Publisher(namespace, clock=settings.clock.wall_ms))
