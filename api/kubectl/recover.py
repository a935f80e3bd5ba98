"""`kubectl loco recover NAME`: one recovery Job, of the template that the dispatcher uses too."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import quote

import click

from api.instants import now_ms, rfc3339
from api.kubectl.program import Kubectl, KubectlFailed, cluster_options, kubectl_of
from api.order import new_suffix, recovery_job
from jobs.health.recovery import Action
from jobs.health.staleness import is_stale
from jobs.store.snapshot import SNAPSHOT_STALE_AFTER_MS, FleetSnapshot, SnapshotInvalid, Told, decode
from jobs.template import CRONJOB

SNAPSHOT = "loco-health"
_SNAPSHOT_FILE = "snapshot.json"

# The way of the API server to the API, which needs the right to it; reading only, so it needs no token of its own.
_API = "/services/http:loco-api:3000/proxy/api"


class NotMade(click.ClickException):
    """Nothing was made, because of what was asked for."""

    exit_code = 2


@click.command(short_help="Ask for the recovery of one instance.")
@click.argument("name")
@click.option(
    "--action", type=click.Choice([one.value for one in Action]), help="The act; else the next of the ladder."
)
@click.option(
    "--force", "is_forced", is_flag=True, help="Skip the cool-down and the wait for people, never the budget."
)
@click.option(
    "--dry-run", "is_dry_run", is_flag=True, help="Say what is planned, and let the server check the Job alone."
)
@cluster_options
def recover(  # noqa: PLR0913 - one for each option
    *,
    name: str,
    action: str | None,
    is_forced: bool,
    is_dry_run: bool,
    namespace: str,
    context: str | None,
    kubeconfig: str | None,
) -> None:
    """Make a Job that does the next act on instance NAME, such as instance-3 or loco/loco-emulator-3.

    The ledger decides whether it may act, as for every attempt; the Job's log and its end say what it did.

    Example: kubectl loco recover instance-3 --action reset-guest
    """
    kubectl = kubectl_of(namespace, context, kubeconfig)
    public_id = _known(kubectl, name)
    template = kubectl.get(f"{kubectl.batch}/cronjobs/{CRONJOB}")
    try:
        job = recovery_job(
            template,
            public_id,
            suffix=new_suffix(),
            action=Action(action) if action else None,
            is_forced=is_forced,
            requested_by=kubectl.who_am_i(),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise NotMade(f"CronJob {CRONJOB} in {namespace} has no template of a Job; nothing was made") from error
    job_name = job["metadata"]["name"]
    if is_dry_run:
        click.echo(_planned(kubectl, public_id))
        kubectl.create(f"{kubectl.batch}/jobs?dryRun=All", job)
        click.echo(f"job.batch/{job_name} would be created (server dry run)")
        return
    kubectl.create(f"{kubectl.batch}/jobs", job)
    click.echo(f"job.batch/{job_name} created")
    click.echo(f"What it does: kubectl logs -n {namespace} -f job/{job_name} --pod-running-timeout=1m", err=True)


def _known(kubectl: Kubectl, name: str) -> str:
    """Return the public id of the instance; the name as it is, with a word of warning, where that can't be looked up.

    Raises: NotMade for a name that the fleet doesn't have.
    """
    try:
        snapshot = _snapshot(kubectl)
    except KubectlFailed as error:
        return _unchecked(name, f"ConfigMap {SNAPSHOT} can't be read: {error}")
    except (SnapshotInvalid, KeyError, TypeError, AttributeError):
        return _unchecked(name, f"ConfigMap {SNAPSHOT} holds no snapshot of this version")
    found = next((one for one in snapshot.instances if name in (one.id, one.key)), None)
    if found:
        _describe(found, snapshot)
        return found.id
    at = rfc3339(snapshot.written_at_ms)
    if is_stale(snapshot.written_at_ms, now_ms(), SNAPSHOT_STALE_AFTER_MS):
        return _unchecked(name, f"ConfigMap {SNAPSHOT} is of {at}, too old to know")
    ids = ", ".join(one.id for one in snapshot.instances[:10]) or "none"
    more = f" and {len(snapshot.instances) - 10} more" if len(snapshot.instances) > 10 else ""
    raise NotMade(f"no instance is called {name!r}; as of {at} there are {ids}{more}; nothing was made")


def _snapshot(kubectl: Kubectl) -> FleetSnapshot:
    data: dict[str, Any] = kubectl.get(f"{kubectl.core}/configmaps/{SNAPSHOT}")["data"]
    return decode(data[_SNAPSHOT_FILE].encode())


def _unchecked(name: str, why: str) -> str:
    click.echo(f"kubectl loco: {name!r} isn't looked up, the Job will; {why}", err=True)
    return name


def _describe(one: Told, snapshot: FleetSnapshot) -> None:
    """Say what was last seen of the instance, before anything is done to it."""
    said = snapshot.told(one)
    codes = ", ".join(reason.code for reason in said.reasons) or "no reason"
    at = "never observed" if one.observed_at_ms is None else f"observed {rfc3339(one.observed_at_ms)}"
    click.echo(f"{one.id} ({one.key}): {said.verdict}, {codes}, {at}", err=True)


def _planned(kubectl: Kubectl, public_id: str) -> str:
    """Return what recovery would do by itself, as the API says it."""
    try:
        told = kubectl.get(f"{kubectl.core}{_API}/quality/deep-health/{quote(public_id, safe='')}")
    except KubectlFailed as error:
        return f"what is planned isn't known: {error}"
    with suppress(KeyError, TypeError):
        planned, reason = told["recovery"]["next"], told["recovery"]["reason"]
        action = (planned or {}).get("action") or "nothing"
        return f"planned next: {action}; {reason or 'it is due now'}"
    return "what is planned isn't known: the API is of another version"
