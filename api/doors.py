"""Which door an API has: to the cluster that it runs in, to this machine, or none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import click

from api.asked import Door
from api.auth import is_loopback
from api.local import LocalDoor, keep_token

# Where the manifests put the jobs.
DEFAULT_NAMESPACE = "loco-health"


@dataclass(frozen=True, slots=True)
class Local:
    """What the door of this machine is made of.

    host: on which the API listens. instances: the inventory's file. control, policy: folder and file that the API goes
    by, and what it starts too.
    """

    store: Path
    token_file: Path
    instances: Path | None
    host: str
    control: Path
    policy: Path | None
    is_dry_run: bool

    @property
    def options(self) -> tuple[str, ...]:
        """Return the options that a recovery is started with, so that it goes by the API's own settings."""
        policy = ("--policy", str(self.policy)) if self.policy else ()
        return ("--control", str(self.control), *policy, *(("--dry-run",) if self.is_dry_run else ()))


def open_door(local: Local | None, *, cluster_ca: Path | None, namespace: str) -> Door | None:
    """Return the door that the settings ask for, None for an API that only reads.

    That of this machine gets a new token, which is kept in its file. Raises: click.UsageError (exit 2).
    """
    if cluster_ca and local:
        raise click.UsageError("LOCO_CLUSTER_CA and LOCO_TOKEN_FILE exclude each other; name one; nothing was started")
    if cluster_ca:
        return _cluster_door(cluster_ca, namespace or DEFAULT_NAMESPACE)
    return _local_door(local) if local else None


def _cluster_door(ca: Path, namespace: str) -> Door:
    """Return the door to the cluster that this pod runs in."""
    from api.kubernetes import ClusterDoor  # noqa: PLC0415 - requests costs 100 ms

    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise click.UsageError(
            "LOCO_CLUSTER_CA is given and KUBERNETES_SERVICE_HOST isn't, which every pod has; nothing was started"
        )
    return ClusterDoor(f"https://{_in_url(host)}:{port}", ca=ca, namespace=namespace)


def _local_door(local: Local) -> Door:
    """Return the door of this machine, which only loopback may have."""
    if not is_loopback(_in_url(local.host)):
        raise click.UsageError(
            f"LOCO_TOKEN_FILE is for loopback alone and the API listens on {local.host}; "
            "listen on 127.0.0.1, or give LOCO_CLUSTER_CA; nothing was started"
        )
    try:
        token = keep_token(local.token_file)
    except OSError as error:
        raise click.UsageError(
            f"token file {local.token_file} can't be written: {error}; nothing was started"
        ) from error
    return LocalDoor(local.store, token, token_file=local.token_file, instances=local.instances, options=local.options)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
