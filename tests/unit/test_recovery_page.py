"""docs/recovery.md says what the policy says; its tables are printed by running this file."""

import re
from pathlib import Path

import pytest

from jobs.health.bounds import VERIFY_RANGE, VERIFY_SECONDS, RecoveryBounds
from jobs.health.holds import HOLDS
from jobs.health.policyfile import ladder_of, parse_policy
from jobs.health.recovery import Action
from jobs.health.remedies import CUTTING, LADDERS, REMEDIES
from jobs.health.rules import RULES
from jobs.health.thresholds import ranges_of

PAGE = Path(__file__).parents[2] / "docs" / "recovery.md"


def acts(actions):
    return " → ".join(f"`{action}`" for action in actions) or "none"


def ladders():
    yield "Class", "Rungs, from least to most disruptive"
    for layer, actions in LADDERS.items():
        yield layer.value, acts(actions)


def remedies():
    yield "Reason", "Class", "Acts, one after the other"
    for rule in RULES:
        if rule.code in REMEDIES:
            yield f"`{rule.code}`", rule.failure_class.value, acts(REMEDIES[rule.code])


def actions():
    yield "Act", "Cuts people off", "Well again within"
    for action in Action:
        yield f"`{action}`", "yes" if action in CUTTING else "no", f"{VERIFY_SECONDS[action]:g} s"


def holds():
    yield "Hold", "What it says", "It ends"
    for hold, meaning in HOLDS.items():
        yield f"`{hold}`", meaning.means, meaning.ends


def bounds():
    yield "Key", "Default", "From", "To"
    for name, one in ranges_of(RecoveryBounds).items():
        yield f"`{name}`", f"{getattr(RecoveryBounds(), name):g}", f"{one.least:g}", f"{one.most:g}"


TABLES = [ladders, remedies, actions, holds, bounds]


def table(rows):
    head, *body = rows()
    lines = [f"| {' | '.join(row)} |" for row in (head, *body)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


@pytest.mark.parametrize("rows", TABLES, ids=lambda rows: rows.__name__)
def test_the_page_has_the_table_of_the(rows):
    assert table(rows) in PAGE.read_text()


def test_the_page_says_how_far_a_deadline_may_be_moved():
    assert f"from {VERIFY_RANGE.least:g} to {VERIFY_RANGE.most:g}" in PAGE.read_text()


def test_the_policy_that_the_page_shows_is_one():
    (example,) = re.findall(r"```toml\n(.+?)```", PAGE.read_text(), re.DOTALL)

    assert RecoveryBounds() != parse_policy(example, "docs/recovery.md").recovery
    assert REMEDIES != parse_policy(example, "docs/recovery.md").remedies


def test_every_reason_that_can_act_is_of_a_class_with_a_ladder():
    assert all(ladder_of(code) for code in REMEDIES)


if __name__ == "__main__":
    for one in TABLES:
        print(table(one), "\n")
