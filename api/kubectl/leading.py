"""Options before the command, as `kubectl --context x get` has them: each goes on to the command itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import click

_FLAGS = ("--url", "--namespace", "-n", "--context", "--kubeconfig")


def behind_the_command(words: Sequence[str], *, is_completed: bool) -> list[str]:
    """Return the words with the options at their beginning moved behind the command.

    is_completed: a shell asks how they could go on, so that nothing of them is wrong yet.

    Raises: click.UsageError for such options without a value, or without a command.
    """
    rest = list(words)
    leading: list[str] = []
    while rest and _flag_of(rest[0]):
        count = 2 if rest[0] in _FLAGS else 1
        leading += rest[:count]
        if len(rest) < count and not is_completed:
            raise click.UsageError(f"{rest[0]} wants a value; nothing was asked")
        rest = rest[count:]
    if not rest and leading and not is_completed:
        raise click.UsageError(f"{leading[0]} wants a command, such as get; nothing was asked")
    return rest if rest[:1] == [] or rest[0].startswith("-") else [rest[0], *leading, *rest[1:]]


def _flag_of(word: str) -> str | None:
    """Return which of the options a word is, alone or with its value."""
    if word.startswith("-n") and not word.startswith("--"):
        return "-n"
    name = word.partition("=")[0]
    return name if name in _FLAGS else None
