"""The options that say where notifications go; a receiver without an address is off."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import click

from jobs.errors import ConfigError
from jobs.notify.address import Links, parse_link, parse_receiver
from jobs.notify.sending import Destination

_ALERTMANAGER = "LOCO_ALERTMANAGER_URL"
_TOKEN = "LOCO_ALERTMANAGER_TOKEN_FILE"  # noqa: S105 - a setting's name
_WEBHOOK = "LOCO_WEBHOOK_URL"
_KEY = "LOCO_WEBHOOK_KEY_FILE"
_CA = "LOCO_NOTIFY_CA_FILE"
_PUBLIC = "LOCO_PUBLIC_URL"
_RUNBOOK = "LOCO_RUNBOOK_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivers:
    """What a command was told of receivers."""

    alertmanager_url: str = ""
    alertmanager_token_file: Path | None = None
    webhook_url: str = ""
    webhook_key_file: Path | None = None
    ca_file: Path | None = None
    public_url: str = ""
    runbook_url: str = ""

    def destinations(self, clock: Callable[[], int]) -> list[Destination]:
        """Return the receivers that have an address. clock: Unix milliseconds. Raises: ConfigError."""
        links = Links(
            parse_link(_PUBLIC, self.public_url) if self.public_url else None,
            parse_link(_RUNBOOK, self.runbook_url) if self.runbook_url else None,
        )
        found: list[Destination] = []
        if self.alertmanager_url:
            found.extend(self._alertmanagers(links, clock))
        if self.webhook_url:
            found.append(self._webhook(links, clock))
        return found

    def _alertmanagers(self, links: Links, clock: Callable[[], int]) -> Iterator[Destination]:
        """Yield one destination an address: those of a cluster tell each other whom they told, but no alerts."""
        from jobs.notify.alertmanager import Alertmanager, alerts_address  # noqa: PLC0415 - requests, 60 ms
        from jobs.notify.posting import Line  # noqa: PLC0415 - as above
        from jobs.notify.secret import checked_ca, read_token  # noqa: PLC0415 - as above

        token, ca = read_token(_TOKEN, self.alertmanager_token_file), checked_ca(_CA, self.ca_file)
        for number, url in enumerate(self.alertmanager_url.split(","), 1):
            address = alerts_address(_ALERTMANAGER, parse_receiver(_ALERTMANAGER, url.strip()))
            if token and address.user_password:
                raise ConfigError(
                    f"{_ALERTMANAGER} holds a user and {_TOKEN} a token, and a request takes one of them; "
                    "nothing was started"
                )
            name = "alertmanager" if number == 1 else f"alertmanager-{number}"
            yield Alertmanager(Line(address, token, ca), links, clock=clock, name=name)

    def _webhook(self, links: Links, clock: Callable[[], int]) -> Destination:
        from jobs.notify.posting import Line  # noqa: PLC0415 - requests, 60 ms
        from jobs.notify.secret import checked_ca, read_keys  # noqa: PLC0415 - as above
        from jobs.notify.webhook import Webhook  # noqa: PLC0415 - as above

        address = parse_receiver(_WEBHOOK, self.webhook_url)
        if self.webhook_key_file is None:
            raise ConfigError(f"{_WEBHOOK} needs {_KEY}, with which messages are signed; nothing was started")
        keys = read_keys(_KEY, self.webhook_key_file)
        return Webhook(Line(address, ca=checked_ca(_CA, self.ca_file)), keys, links, clock=clock)


_OPTIONS = (
    click.option(
        "--alertmanager-url",
        envvar=_ALERTMANAGER,
        show_envvar=True,
        default="",
        help="Alertmanager that hears of incidents, or each of a cluster, comma-separated; none: it is off.",
    ),
    click.option(
        "--alertmanager-token-file",
        type=click.Path(path_type=Path),
        envvar=_TOKEN,
        show_envvar=True,
        help="File with a bearer token for it; none, or no such file: without one.",
    ),
    click.option(
        "--webhook-url",
        envvar=_WEBHOOK,
        show_envvar=True,
        default="",
        help="Receiver of one signed POST a notification; none: it is off.",
    ),
    click.option(
        "--webhook-key-file",
        type=click.Path(path_type=Path),
        envvar=_KEY,
        show_envvar=True,
        help="File with the key that signs them, a line whsec_BASE64, or two while a new one is brought in.",
    ),
    click.option(
        "--notify-ca-file",
        "ca_file",
        type=click.Path(path_type=Path),
        envvar=_CA,
        show_envvar=True,
        help="Certificates that vouch for both; none, or no such file: the usual ones.",
    ),
    click.option(
        "--public-url",
        envvar=_PUBLIC,
        show_envvar=True,
        default="",
        help="Where people read this API, for links to incidents; none: no links.",
    ),
    click.option(
        "--runbook-url",
        envvar=_RUNBOOK,
        show_envvar=True,
        default="",
        help="Where people read docs/runbooks, for links to REASON.md; none: no links.",
    ),
)


def receiver_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of the receivers, handed on as `receivers`."""

    @functools.wraps(command)
    def with_receivers(**options: object) -> int:
        told = {field.name: options.pop(field.name) for field in fields(Receivers)}
        return command(receivers=Receivers(**told), **options)  # type: ignore[arg-type]

    return functools.reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), with_receivers)
