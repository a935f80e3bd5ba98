"""Each reason and each alert has its runbook, of one form; what a test in a cluster runs is there to be found."""

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from api import wording
from api.kubectl.__main__ import group
from api.problem import ProblemReason
from jobs import errors
from jobs.health.brake import COMMON_CAUSE, FLEET_BRAKE
from jobs.health.model import Severity
from jobs.health.recovery import Hold
from jobs.health.remedies import REMEDIES
from jobs.health.rules import BY_CODE

ROOT = Path(__file__).parents[2]
PAGES = {page.stem: page.read_text() for page in (ROOT / "docs/runbooks").glob("*.md") if page.stem != "README"}
TYPED = [*(ROOT / "docs/runbooks").glob("*.md"), ROOT / "docs/troubleshooting.md"]
RULES = yaml.safe_load((ROOT / "kustomize/components/prometheus/rules.yaml").read_text())["spec"]["groups"]
ALERTS = {rule["alert"]: rule for group in RULES for rule in group["rules"]}
REASONS = {reason["code"]: reason for reason in wording.reasons()}


def test_each_reason_and_each_alert_has_its_runbook_and_no_other_has():
    assert {*REASONS, COMMON_CAUSE, FLEET_BRAKE, *ALERTS} == set(PAGES)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_runbook_has_four_parts_with_something_in_each(name):
    title, *parts = re.split(r"^#+ ", PAGES[name].removeprefix("# "), flags=re.MULTILINE)

    assert name == title.splitlines()[0]
    assert ["Meaning", "Impact", "Diagnosis", "Mitigation"] == [part.splitlines()[0] for part in parts]
    assert [] == [part for part in parts if len(part.splitlines()[1]) < len("None.")]
    assert re.search(r"^1\. `kubectl ", parts[2], re.MULTILINE)


@pytest.mark.parametrize("code", sorted(REASONS))
def test_a_reason_leads_to_its_runbook(code):
    assert (ROOT / REASONS[code]["runbook"]).stem == code


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_the_runbook_of_a_reason_says_its_class_and_its_acts(code):
    rule, line = BY_CODE[code], PAGES[code].splitlines()[2]

    assert [action.value for action in REMEDIES.get(code, ())] == re.findall(r"`([a-z-]+)`", line)
    if rule.severity is not Severity.FINDING:
        assert line.startswith(f"Class {rule.failure_class}")
    assert rule.is_planned <= ("planned" in line or rule.severity is Severity.FINDING)


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_the_runbook_of_an_alert_says_how_bad_and_after_how_long(name):
    line = f"Alert, {ALERTS[name]['labels']['severity']}, after {ALERTS[name]['for']}. "

    assert PAGES[name].splitlines()[2].startswith(line)


def test_every_reason_and_hold_that_a_runbook_names_exists():
    known = {*PAGES, *Hold}
    named = {word for page in PAGES.values() for word in re.findall(r"`([A-Z][a-z]+[A-Z][A-Za-z]+)`", page)}

    assert set() == named - known


def test_the_page_of_the_monitors_own_troubles_has_a_row_for_each_code_with_its_exit():
    page = (ROOT / "docs/troubleshooting.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.MULTILINE)
    kinds = [errors.ConfigError, errors.ClusterError, errors.StoreError]
    codes = [one for kind in kinds for one in (kind, *kind.__subclasses__())]

    assert {(one.__name__, str(one.exit_code)) for one in codes} == set(rows)


def test_what_the_page_says_of_the_api_are_its_reasons():
    page = (ROOT / "docs/troubleshooting.md").read_text().partition("Of the API")[2].partition("## ")[0]

    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) <= set(ProblemReason)


@pytest.mark.parametrize(
    "words", sorted({one for page in TYPED for one in re.findall(r"`kubectl loco ([^`]+)`", page.read_text())})
)
def test_a_command_of_the_plugin_is_one_that_it_takes(words):
    name, *arguments = shlex.split(words)
    command = group.get_command(click.Context(group), name)

    assert command.make_context(name, arguments)
