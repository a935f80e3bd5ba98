"""`python -m jobs notify`: where notifications go, and whether they arrive."""

from __future__ import annotations

import click

from jobs.clock import Clock
from jobs.commands.receivers import Receivers, receiver_options
from jobs.errors import ConfigError
from jobs.notify.sending import Destination


@click.command(short_help="Say where notifications go; with --test, send one to each.")
@receiver_options
@click.option("--test", "is_test", is_flag=True, help="Send one message that says that nothing is wrong to each.")
def notify(*, receivers: Receivers, is_test: bool) -> int:
    """Check the settings of the receivers, and say where notifications go, without what is secret in an address.

    With --test each gets one message, and what came back is said; 1 when one of them didn't take it.

    Example: python -m jobs notify --test --webhook-url http://127.0.0.1:9000/loco --webhook-key-file webhook-key
    """
    destinations = receivers.destinations(Clock().wall_ms)
    if not destinations:
        raise ConfigError("no receiver is set: LOCO_ALERTMANAGER_URL and LOCO_WEBHOOK_URL are empty; nothing was sent")
    if not is_test:
        for one in destinations:
            click.echo(f"{one.name}: {one.place}")
        return 0
    taken = [_test(one) for one in destinations]
    return 0 if all(taken) else 1


def _test(destination: Destination) -> bool:
    """Send a message, and say what came back; tell whether it was taken."""
    reply = destination.test()
    said = reply.problem or f"it answered {reply.status}, the message is there"
    click.echo(f"{destination.name}: {destination.place}: {said} ({reply.seconds:.2f} s)")
    return reply.problem is None
