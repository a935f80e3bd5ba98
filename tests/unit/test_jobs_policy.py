from dataclasses import fields

import pytest

from jobs.errors import ConfigError
from jobs.health.policy import Policy, parse_policy

ENDING = "; nothing was started"

# Each text has exactly one mistake.
MISTAKES = {
    "incident_open_ticks = ": "is not TOML: Invalid value (at end of document)",
    "stale_tiks = 3": "stale_tiks is not a key (did you mean stale_ticks?); docs/reasons.md lists all",
    "zzz = 2": "zzz is not a key; docs/reasons.md lists all",
    "cpu_ratio = 2": "cpu_ratio is 2, allowed is a number from 0 to 1.01",
    "cpu_ratio = nan": "cpu_ratio is nan, allowed is a number from 0 to 1.01",
    "cpu_ratio = true": "cpu_ratio is True, allowed is a number from 0 to 1.01",
    "cpu_ratio = '95%'": "cpu_ratio is '95%', allowed is a number from 0 to 1.01",
    "stale_ticks = 2.5": "stale_ticks is 2.5, allowed is a whole number from 2 to 12",
    "stale_ticks = 1": "stale_ticks is 1, allowed is a whole number from 2 to 12",
    "[cpu_ratio]": "cpu_ratio is {}, allowed is a number from 0 to 1.01",
    "client_ticks = 4": "client_ticks is 4, allowed is at most client_window, 3",
    "incident_hold_down_ticks = 2": "incident_open_window is 3, allowed is at most incident_hold_down_ticks, 2",
}


def test_an_empty_file_changes_nothing():
    assert Policy() == parse_policy("", "p.toml")


def test_a_file_changes_what_it_names():
    text = "cpu_ratio = 1\nstale_ticks = 4\nclient_window = 5\nclient_ticks = 5"

    assert Policy(cpu_ratio=1, stale_ticks=4, client_window=5, client_ticks=5) == parse_policy(text, "p.toml")


def test_the_ends_of_a_range_belong_to_it():
    assert Policy(cpu_ratio=0, throttled_ratio=1.0) == parse_policy("cpu_ratio = 0\nthrottled_ratio = 1.0", "p.toml")


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_one_exact_sentence(text):
    with pytest.raises(ConfigError) as caught:
        parse_policy(text, "p.toml")

    colon = " " if MISTAKES[text].startswith("is not TOML") else ": "
    assert f"policy p.toml{colon}{MISTAKES[text]}{ENDING}" == str(caught.value)
    assert 2 == caught.value.exit_code


@pytest.mark.parametrize("one", fields(Policy), ids=lambda one: one.name)
def test_every_default_lies_in_its_own_range(one):
    least, most = one.metadata["least"], one.metadata["most"]

    assert least <= one.default <= most
    assert one.type == type(one.default).__name__
