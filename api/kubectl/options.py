"""The options that several commands share, and what they come to."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, TypeVar, cast
from urllib.parse import SplitResult, urlsplit

import click

from api.kubectl.errors import reading_an_answer
from api.kubectl.program import Kubectl
from api.kubectl.source import Proxied, Source

DEFAULT_NAMESPACE = "loco-health"

# RFC 1123 label
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

_DURATION = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?")

# chosen: a year, which is as long as anything here is kept.
_MAX_SECONDS = 366 * 86_400

_OF_CLUSTER = ("namespace", "context", "kubeconfig")

# What does without a cluster what a command does in one; docs/recovery.md tells both.
_BESIDE_AN_API = {"recover": "use the button of the instance's page, or POST /api/quality/recover/{id}"}
_SWITCHES = "set the switches in the folder LOCO_CONTROL"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def duration(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """Return the seconds of a span as kubectl takes it, such as 90s, 15m, 1h30m or 2d; a callback of an option."""
    if text is None:
        return None
    found = _DURATION.fullmatch(text)
    if not found or not text:
        raise click.BadParameter(f"{text!r} is no span of time; 90s, 15m, 1h30m or 2d is one; nothing was done")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if total > _MAX_SECONDS:
        raise click.BadParameter(f"{text!r} is longer than a year; nothing was done")
    return total


def _namespace(_: click.Context, __: click.Parameter, name: str) -> str:
    if not _NAMESPACE.fullmatch(name):
        raise click.BadParameter(
            f"{name!r} is no name of a namespace, 1 to 63 of a-z 0-9 - are allowed; nothing was asked"
        )
    return name


def _url(_: click.Context, __: click.Parameter, text: str | None) -> SplitResult | None:
    if text is None:
        return None
    if "@" in text:  # what stands before it would be shown in every sentence about the address
        raise click.BadParameter("an address has no @ here, so no user and no password; nothing was asked")
    try:
        url = urlsplit(text)
        host = (url.hostname or "").encode("idna")
        is_whole = url.scheme in ("http", "https") and bool(host) and url.port != 0 and url.path.isascii()
    except ValueError:
        is_whole = False
    if not is_whole or url.query or url.fragment:
        raise click.BadParameter(f"{text!r} is no address such as http://127.0.0.1:3000; nothing was asked")
    return url


def _refused_url(context: click.Context, _: click.Parameter, text: str | None) -> None:
    if text is not None:
        beside = _BESIDE_AN_API.get(context.info_name or "", _SWITCHES)
        raise click.BadParameter(f"{context.info_name} writes to a cluster; beside an API {beside}; nothing was done")


def cluster_options(command: _Command) -> _Command:
    """Give a command that writes --namespace, --context and --kubeconfig, as `kubectl`; --url is told why not."""

    @functools.wraps(command)
    def with_kubectl(**others: Any) -> Any:  # noqa: ANN401 - a command's own options
        given = {name: others.pop(name) for name in _OF_CLUSTER}
        return command(kubectl=kubectl_of(**given), **others)

    no_url = click.option("--url", hidden=True, expose_value=False, callback=_refused_url, help="Refused, with why.")
    return cast("_Command", _of_cluster(no_url(with_kubectl)))


def source_options(command: _Command) -> _Command:
    """Give a command the cluster's options and --url, as `source`."""

    @functools.wraps(command)
    def with_source(*, url: SplitResult | None, **others: Any) -> Any:  # noqa: ANN401 - a command's own options
        given = {name: others.pop(name) for name in _OF_CLUSTER}
        with reading_an_answer():
            return command(source=source_of(kubectl_of(**given), url), **others)

    url = click.option("--url", metavar="URL", callback=_url, help="Ask the API at this address, without a cluster.")
    return cast("_Command", _of_cluster(url(with_source)))


def _of_cluster(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--kubeconfig", metavar="FILE", help="As kubectl takes it."),
        click.option("--context", metavar="NAME", help="As kubectl takes it."),
        click.option(
            "-n", "--namespace", default=DEFAULT_NAMESPACE, callback=_namespace, help="Namespace of the monitor."
        ),
    ):
        command = option(command)
    return command


def format_option(*formats: str) -> Callable[[_Command], _Command]:
    """Return what gives a command -o, as `form`."""
    return click.option("-o", "--output", "form", type=click.Choice(formats), help="Another form than the table.")


headers_option = click.option("--no-headers", is_flag=True, help="Leave the table's first line out.")


def kubectl_of(namespace: str, context: str | None, kubeconfig: str | None) -> Kubectl:
    """Return kubectl with these options."""
    given = (("--context", context), ("--kubeconfig", kubeconfig))
    return Kubectl(namespace, tuple(f"{flag}={value}" for flag, value in given if value))


def source_of(kubectl: Kubectl, url: SplitResult | None) -> Source:
    """Return where answers come from."""
    if url is None:
        return Proxied(kubectl)
    from api.kubectl.direct import Direct  # noqa: PLC0415 - see there

    return Direct(url, kubectl.patience_seconds)
