"""Docs that can rot are tested: every command and setting has its row, and every name in a row exists."""

import re
from pathlib import Path

import click
import pytest

import agent.__main__
import api.__main__
import api.kubectl.__main__
import jobs.__main__
from agent.environment import KNOWN

ROOT = Path(__file__).parents[2]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()


def commands():
    """Yield (words typed, command) of every command of the four command lines."""
    yield from _walk("python -m agent", agent.__main__.group)
    yield from _walk("python -m jobs", jobs.__main__.group)
    yield "python -m api", api.__main__.serve
    yield from _walk("kubectl loco", api.kubectl.__main__.group)


def _walk(words, command):
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                yield from _walk(f"{words} {name}", command.get_command(context, name))
    else:
        yield words, command


COMMANDS = dict(commands())


def settings():
    """Return {LOCO_ name: {flag, ...}} of every option that the environment can set."""
    found = {}
    for command in COMMANDS.values():
        for option in command.params:
            for name in _variables(option):
                found.setdefault(name, set()).update(o for o in option.opts if o.startswith("--"))
    return found


def _variables(option):
    names = getattr(option, "envvar", None) or ()
    return [name for name in ([names] if isinstance(names, str) else names) if name.startswith("LOCO_")]


def test_known_names_are_exactly_the_options_of_the_command_lines():
    assert set(settings()) == set(KNOWN)


def test_every_setting_has_a_row_with_its_flag():
    rows = dict(re.findall(r"^\| `(LOCO_\w+)` \| (.+?) \|", CONFIGURATION, re.MULTILINE))

    assert {name: {f"`{flag}`" for flag in flags} for name, flags in settings().items()} == {
        name: set(flags.split(", ")) for name, flags in rows.items()
    }


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_every_command_is_documented_and_helps_with_an_example(words):
    assert f"`{words}" in CONFIGURATION
    assert "Example: " in (COMMANDS[words].help or "")


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_every_option_has_help(words):
    assert [] == [p.name for p in COMMANDS[words].params if isinstance(p, click.Option) and not p.help]


def test_every_test_that_a_page_names_is_there():
    named = {
        test for page in ROOT.glob("docs/**/*.md") for test in re.findall(r"`(tests/[\w/]+\.py)`", page.read_text())
    }

    assert "tests/cluster/test_admission.py" in named
    assert [] == sorted(test for test in named if not (ROOT / test).exists())


@pytest.mark.parametrize(
    "path", sorted(p.relative_to(ROOT).as_posix() for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
)
def test_every_relative_link_leads_somewhere(path):
    page = ROOT / path
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())

    assert [] == [target for target in targets if not (page.parent / target).exists()]


def test_no_module_outgrows_the_house():
    long = {
        p.as_posix(): n
        for p in ROOT.glob("*/**/*.py")
        if ".venv" not in p.parts and (n := len(p.read_text().splitlines())) > 400
    }

    assert {} == long
