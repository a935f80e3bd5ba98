"""`audit`: whether the ledger kept its promises, from its rows alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import msgspec

from jobs.audit import MOST_ATTEMPTS, Audit
from jobs.audit import audit as audit_of
from jobs.commands.options import store_option
from jobs.store import ledger
from jobs.store.connection import open_reader, reading


@click.command()
@store_option
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="One line and rows, or one object."
)
def audit(*, store: Path, output: str) -> int:
    """Prove from the ledger that no act broke a promise; exit 1 with the rows when one did.

    Proven: no instance had more than 3 attempts that may have acted in any 60 minutes of witnessed time, none
    overlapped, every act on a pod had its uid and every act a runner, every attempt that ended has an outcome.
    The store is only read.

    Example: loco-jobs audit --store loco.db
    """
    with closing(open_reader(store)) as connection, reading(connection):
        result = audit_of(ledger.every(connection))
    click.echo(msgspec.json.encode(result).decode() if output == "json" else "\n".join(_table(result)))
    return 1 if result.breaches else 0


def _table(result: Audit) -> Iterator[str]:
    """Yield the lines of the plain form."""
    adopted = f", {result.adopted} of them made under an earlier store" if result.adopted else ""
    counts = f"{result.attempts} attempts on {result.instances} instances{adopted}"
    if not result.breaches:
        yield (
            f"{counts}: at most {MOST_ATTEMPTS} that may have acted in any 60 minutes, none overlapped, "
            f"{result.acts} acts each {_identity(result)}, {result.ended} ended with an outcome, {result.open} open"
        )
        return
    yield f"{counts}: {len(result.breaches)} breaches"
    yield f"{'BREACH':<18}  {'INSTANCE':<32}  {'ATTEMPTS':<15}  DETAIL"
    for breach in result.breaches:
        ids = " ".join(map(str, breach.attempts))
        yield f"{breach.promise:<18}  {breach.key:<32}  {ids:<15}  {breach.detail}"


def _identity(result: Audit) -> str:
    """Say by what the acts knew whom they met."""
    static = f" ({result.static} on instances of a file, which have none)" if result.static else ""
    return f"with its pod's uid{static}"
