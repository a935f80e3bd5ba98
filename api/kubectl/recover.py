"""`kubectl loco recover NAME`: one recovery Job, of the template that the dispatcher uses too."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

import click

from api.instants import now_ms, rfc3339
from api.kubectl.errors import KubectlFailed, NoSuchThing, WrongUse
from api.kubectl.names import Named, name_argument, resolve
from api.kubectl.options import cluster_options
from api.kubectl.program import Kubectl
from api.kubectl.published import SNAPSHOT, read_snapshot
from api.kubectl.source import PROXY
from api.order import new_suffix, recovery_job
from jobs.health.recovery import Action
from jobs.health.staleness import is_stale
from jobs.store.snapshot import SNAPSHOT_STALE_AFTER_MS, FleetSnapshot, SnapshotInvalid, Told
from jobs.template import CRONJOB


@click.command(short_help="Ask for the recovery of one instance.")
@name_argument()
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
def recover(*, name: str, action: str | None, is_forced: bool, is_dry_run: bool, kubectl: Kubectl) -> None:
    """Make a Job that does the next act on instance NAME, such as instance-3 or loco/loco-emulator-3.

    The ledger decides whether it may act, as for every attempt; the Job's log and its end say what it did.

    Example: kubectl loco recover instance-3 --action reset-guest
    """
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
        raise WrongUse(
            f"CronJob {CRONJOB} in {kubectl.namespace} has no template of a Job; nothing was made"
        ) from error
    job_name = job["metadata"]["name"]
    if is_dry_run:
        click.echo(_planned(kubectl, public_id))
        kubectl.create(f"{kubectl.batch}/jobs?dryRun=All", job)
        click.echo(f"job.batch/{job_name} would be created (server dry run)")
        return
    kubectl.create(f"{kubectl.batch}/jobs", job)
    click.echo(f"job.batch/{job_name} created")
    click.echo(
        f"What it does: kubectl logs -n {kubectl.namespace} -f job/{job_name} --pod-running-timeout=1m", err=True
    )


def _known(kubectl: Kubectl, name: str) -> str:
    """Return the public id of the instance; the name as it is, with a word of warning, where that can't be looked up.

    Raises: NoSuchThing for a name that the fleet doesn't have, WrongUse for one that several have.
    """
    try:
        snapshot = read_snapshot(kubectl)
    except KubectlFailed as error:
        return _unchecked(name, f"ConfigMap {SNAPSHOT} can't be read: {error}")
    except (SnapshotInvalid, KeyError, TypeError, AttributeError):
        return _unchecked(name, f"ConfigMap {SNAPSHOT} holds no snapshot of this version")
    try:
        found = resolve(name, [Named(one.id, *one.key.split("/", 1)) for one in snapshot.instances]).id
    except NoSuchThing:
        if not is_stale(snapshot.written_at_ms, now_ms(), SNAPSHOT_STALE_AFTER_MS):
            raise
        return _unchecked(name, f"ConfigMap {SNAPSHOT} is of {rfc3339(snapshot.written_at_ms)}, too old to know")
    _describe(next(one for one in snapshot.instances if one.id == found), snapshot)
    return found


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
        told = kubectl.get(f"{kubectl.core}{PROXY}/api/quality/deep-health/{quote(public_id, safe='')}")
    except KubectlFailed as error:
        return f"what is planned isn't known: {error}"
    with suppress(KeyError, TypeError):
        planned, reason = told["recovery"]["next"], told["recovery"]["reason"]
        action = (planned or {}).get("action") or "nothing"
        return f"planned next: {action}; {reason or 'it is due now'}"
    return "what is planned isn't known: the API is of another version"
