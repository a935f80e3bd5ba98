"""Commands that show an instance to a person: the report, or one line a check."""

from __future__ import annotations

import http.client
import time
from typing import Any

import click
import msgspec

from agent.collect import ROUND_SECONDS, Rounds
from agent.report import Block, HealthReport, ReportInvalid, decode, encode
from agent.settings import Settings, setting_options

# chosen: rates need two rounds, and the first burst takes a second beside the first of them.
_OWN_SECONDS = 2 * ROUND_SECONDS + 1

_BLOCKS = ("qemu", "video", "screen", "audio", "performance", "network", "sessions", "clients")


@click.command()
@setting_options
def report(**values: Any) -> None:  # noqa: ANN401 - the fields of Settings
    """Print the report of the agent that serves here, or measure for 7 s where none does.

    Example: loco-agent report --listen 127.0.0.1:8080
    """
    click.echo(msgspec.json.format(encode(_latest(Settings(**values)))))


@click.command()
@setting_options
def test(**values: Any) -> int:  # noqa: ANN401 - the fields of Settings
    """Print one line a check and exit 0 when the instance is healthy, 1 when it isn't.

    Example: loco-agent test --listen 127.0.0.1:8080
    """
    latest = _latest(Settings(**values))
    for name in _BLOCKS:
        click.echo(_line(name, getattr(latest, name)))
    click.echo(f"overall: {latest.overall_status}")
    return 0 if latest.overall_status == "healthy" else 1


def _latest(settings: Settings) -> HealthReport:
    """Return the serving agent's report, as QEMU's monitor has room for one client only; else our own."""
    host, port = settings.listen
    connection = http.client.HTTPConnection({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port, timeout=2)  # noqa: S104 - compared, not bound
    try:
        connection.request("GET", "/health")
        return decode(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ReportInvalid) as error:
        cause = getattr(error, "strerror", None) or str(error) or type(error).__name__
        click.echo(f"no agent answers at {host}:{port} ({cause}); this machine is measured for 7 s instead", err=True)
        rounds = Rounds(settings)
        rounds.open()
        time.sleep(_OWN_SECONDS)
        return rounds.report()
    finally:
        connection.close()


def _line(name: str, block: Block | None) -> str:
    """Return a block as one line: the values that were measured, and why others weren't."""
    values = msgspec.to_builtins(block) if block else {}
    error = values.pop("error", None)
    values.pop("checked_at", None)
    facts = [f"{field}={value}" for field, value in values.items() if isinstance(value, str | int | float)]
    return f"{name}: {' '.join(facts)}" + (f" ({error})" if error else "")
