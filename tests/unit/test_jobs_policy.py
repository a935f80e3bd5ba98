import pytest

from jobs.errors import ConfigError
from jobs.health.bounds import VERIFY_SECONDS, RecoveryBounds
from jobs.health.policy import Policy
from jobs.health.policyfile import ladder_of, parse_policy
from jobs.health.recovery import Action
from jobs.health.remedies import LADDERS, REMEDIES
from jobs.health.rules import BY_CODE
from jobs.health.thresholds import ranges_of

ENDING = "; nothing was started"

# Each text has exactly one mistake.
MISTAKES = {
    "incident_open_ticks = ": "is not TOML: Invalid value (at end of document)",
    "a = " + 3000 * "[": "its arrays or tables are nested too deep to be read",
    "stale_ticks = " + 5000 * "9": "a number in it has too many digits to be read",
    "stale_ticks = 0x" + 5000 * "f": "stale_ticks is too much to be shown, allowed is a whole number from 2 to 12",
    "cpu_ratio = '" + 90 * "x" + "'": f"cpu_ratio is '{79 * 'x'}..., allowed is a number from 0 to 1.01",
    "[remedies]\nClientError = [0x" + 5000 * "f" + "]": (
        "remedies.ClientError names too much to be shown; allowed are, in this order, restart-stream, lower-quality"
    ),
    "stale_tiks = 3": "stale_tiks is not a key (did you mean stale_ticks?); docs/reasons.md lists all",
    "zzz = 2": "zzz is not a key; docs/reasons.md lists all",
    "cpu_ratio = 2": "cpu_ratio is 2, allowed is a number from 0 to 1.01",
    "cpu_ratio = nan": "cpu_ratio is nan, allowed is a number from 0 to 1.01",
    "cpu_ratio = true": "cpu_ratio is True, allowed is a number from 0 to 1.01",
    "cpu_ratio = '95%'": "cpu_ratio is '95%', allowed is a number from 0 to 1.01",
    "stale_ticks = 2.5": "stale_ticks is 2.5, allowed is a whole number from 2 to 12",
    "stale_ticks = 1": "stale_ticks is 1, allowed is a whole number from 2 to 12",
    "[cpu_ratio]": "cpu_ratio is {}, allowed is a number from 0 to 1.01",
    "recovery = 3": "recovery is 3, allowed is a table, [recovery]",
    "[recovery]\nattemptz = 3": (
        "recovery.attemptz is not a key (did you mean recovery.attempts?); docs/recovery.md lists all"
    ),
    "[recovery]\nattempts = 4": "recovery.attempts is 4, allowed is a whole number from 0 to 3",
    "[recovery]\ncool_down_seconds = 1": "recovery.cool_down_seconds is 1, allowed is a number from 15 to 3600",
    "[recovery]\nverify_seconds = 9": "recovery.verify_seconds is 9, allowed is a table, [recovery.verify_seconds]",
    "[recovery.verify_seconds]\nreset-gest = 9": (
        "recovery.verify_seconds.reset-gest is not a key (did you mean recovery.verify_seconds.reset-guest?);"
        " docs/recovery.md lists all"
    ),
    "[recovery.verify_seconds]\nreset-guest = 900": (
        "recovery.verify_seconds.reset-guest is 900, allowed is a number from 5 to 180"
    ),
    "[remedies]\nTapDwn = []": (
        "remedies.TapDwn is not a reason (did you mean remedies.TapDown?); docs/reasons.md lists all"
    ),
    "[remedies]\nMigrating = []": (
        "remedies.Migrating: nothing is ever done about Migrating, allowed are reasons in docs/recovery.md"
    ),
    "[remedies]\nTapDown = 'reset-interface'": (
        "remedies.TapDown is 'reset-interface', allowed is a list of actions; allowed are, in this order,"
        " reset-interface, rebuild-bridge, restart-qemu"
    ),
    "[remedies]\nTapDown = ['reset-interfaces']": (
        "remedies.TapDown names 'reset-interfaces' (did you mean reset-interface?); allowed are, in this order,"
        " reset-interface, rebuild-bridge, restart-qemu"
    ),
    "[remedies]\nClientError = [7]": (
        "remedies.ClientError names 7; allowed are, in this order, restart-stream, lower-quality"
    ),
    "[remedies]\nTapDown = ['rebuild-bridge', 'reset-interface']": (
        "remedies.TapDown is rebuild-bridge, reset-interface; allowed are, in this order,"
        " reset-interface, rebuild-bridge, restart-qemu, each once"
    ),
    "[remedies]\nTapDown = ['reset-interface', 'reset-interface']": (
        "remedies.TapDown is reset-interface, reset-interface; allowed are, in this order,"
        " reset-interface, rebuild-bridge, restart-qemu, each once"
    ),
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


@pytest.mark.parametrize("policy", [Policy, RecoveryBounds])
def test_every_default_lies_in_its_own_range(policy):
    defaults = policy()

    assert [] == [name for name, one in ranges_of(policy).items() if not one.takes(getattr(defaults, name))]


def test_a_file_changes_recovery_and_remedies_too():
    policy = parse_policy(
        "[recovery]\nattempts = 1\nverify_seconds = {reset-guest = 90}\n"
        "[remedies]\nTapDown = ['reset-interface']\nHighCpu = ['restart-qemu']\nBridgeDown = []",
        "p.toml",
    )

    assert RecoveryBounds(attempts=1, verify_seconds={**VERIFY_SECONDS, Action.RESET_GUEST: 90}) == policy.recovery
    assert {
        **REMEDIES,
        "TapDown": (Action.RESET_INTERFACE,),
        "HighCpu": (Action.RESTART_QEMU,),
        "BridgeDown": (),
    } == policy.remedies


def test_every_default_remedy_goes_up_its_own_ladder():
    astray = {
        code: actions
        for code, actions in REMEDIES.items()
        if actions != tuple(action for action in ladder_of(code) if action in actions)
    }

    assert {} == astray


def test_what_browsers_say_may_lead_to_acts_on_the_stream_alone_though_its_class_is_mixed():
    assert LADDERS["client"] == ladder_of("AllClientsBad")


def test_nothing_is_ever_done_where_nobody_answers_or_somebody_planned_it():
    assert {code for code in BY_CODE if not ladder_of(code)}.isdisjoint(REMEDIES)
    assert () == ladder_of("AgentTimeout") == ladder_of("Migrating") == ladder_of("ClockSkew")
    assert set(Action) == {action for ladder in LADDERS.values() for action in ladder}
