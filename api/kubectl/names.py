"""What a person calls an instance: its public id, its pod, or namespace/pod."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import quote

import click
from click.shell_completion import CompletionItem

from api.kubectl.errors import AskFailed, NoSuchThing, WrongUse
from api.kubectl.options import DEFAULT_NAMESPACE, kubectl_of, source_of
from api.kubectl.source import Source, ask_json

# As `get -o name` prints it.
PREFIX = "instance/"

# chosen: who presses Tab doesn't wait for longer.
_TAB_SECONDS = 2.0

_SHOWN = 10

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Named:
    """What one instance may be called. namespace, pod: empty for one that a file names."""

    id: str
    namespace: str = ""
    pod: str = ""

    @property
    def names(self) -> frozenset[str]:
        """Return every name that means it, where no other has the same."""
        return frozenset({self.id, self.pod, f"{self.namespace}/{self.pod}", f"{PREFIX}{self.id}"} - {"", "/"})


def resolve(name: str, known: Iterable[Named]) -> Named:
    """Return the instance that a name means; an id counts before another one's pod.

    Raises: NoSuchThing, WrongUse for a pod's name that several namespaces have.
    """
    fleet = list(known)
    found = [one for one in fleet if one.id == name] or [one for one in fleet if name in one.names]
    if len(found) > 1:
        which = ", ".join(f"{one.namespace}/{one.pod}" for one in found[:_SHOWN])
        raise WrongUse(f"{name!r} is the name of {len(found)} pods; say one of {which}; nothing was done")
    if not found:
        raise NoSuchThing(f"no instance is called {name!r}; {_near(name, fleet)}; nothing was done")
    return found[0]


def named(instances: Iterable[Mapping[str, Any]]) -> list[Named]:
    """Return what the entries of /api/instances may be called."""
    return [
        Named(one["id"], one["kubernetes"].get("namespace") or "", one["kubernetes"].get("podName") or "")
        for one in instances
    ]


def ask_about(source: Source, name: str, path: str) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON about one instance. path: with `{id}` in it. Raises: AskFailed, NoSuchThing, WrongUse."""
    try:
        return ask_json(source, path.format(id=quote(name, safe="")))
    except AskFailed as error:
        if not error.is_not_found:
            raise
    return ask_json(source, path.format(id=quote(find(source, name), safe="")))


def find(source: Source, name: str) -> str:
    """Return the public id that a name means. Raises: AskFailed, NoSuchThing, WrongUse."""
    return resolve(name, named(ask_json(source, "/api/instances"))).id


def name_argument(*, is_required: bool = True) -> Callable[[_Command], _Command]:
    """Return what gives a command the argument NAME."""
    return click.argument("name", required=is_required, callback=_whole, shell_complete=_complete)


def _whole(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    """Refuse what a path could not carry as one segment."""
    if name is not None and (name.strip(".") == "" or not name.isprintable()):
        raise click.BadParameter(f"{name!r} is no name of an instance; nothing was asked")
    return name


def _near(name: str, fleet: list[Named]) -> str:
    names = sorted({one.id for one in fleet} | {one.pod for one in fleet if one.pod})
    near = difflib.get_close_matches(name, names, n=3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    ids = [one.id for one in fleet]
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return f"there are {', '.join(ids[:_SHOWN])}{more}" if ids else "there are none"


def _complete(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return the instances whose id begins so, with their verdicts; none where nobody answers at once."""
    given = context.params
    kubectl = kubectl_of(given.get("namespace") or DEFAULT_NAMESPACE, given.get("context"), given.get("kubeconfig"))
    source = source_of(replace(kubectl, patience_seconds=_TAB_SECONDS), given.get("url"))
    try:
        entries = ask_json(source, "/api/instances")
        return [CompletionItem(one["id"], help=one["verdict"]) for one in entries if one["id"].startswith(begun)]
    except (AskFailed, KeyError, TypeError):
        return []
