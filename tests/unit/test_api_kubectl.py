"""What `kubectl loco` shows, without anybody to ask: ages, tables, YAML, names, explanations."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from api.kubectl.__main__ import COMMANDS, group
from api.kubectl.ages import age, ago, span, until
from api.kubectl.errors import NoSuchThing, WrongUse
from api.kubectl.explain import _all, _explained
from api.kubectl.get import _has_changed
from api.kubectl.incidents import _whose
from api.kubectl.limits import limits_of
from api.kubectl.names import Named, resolve
from api.kubectl.printing import plain, table
from api.kubectl.problems import PROBLEMS
from api.kubectl.runs import _rows
from api.kubectl.story import reasons, recovery
from api.kubectl.yaml import block
from api.problem import ProblemReason
from jobs.health.policy import Policy
from jobs.health.recovery import Hold
from jobs.health.rules import BY_CODE, RULES
from jobs.health.staleness import OBSERVATION_STALE

ROOT = Path(__file__).parents[2]
TROUBLES = ROOT / "docs" / "troubleshooting.md"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-11, "<invalid>"),
        (-10, "0s"),
        (-0.5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (330, "5m30s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (12_300, "3h25m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (187_200, "2d4h"),
        (691_200, "8d"),
        (63_072_000, "2y"),
        (65_664_000, "2y30d"),
        (252_288_000, "8y"),
    ],
)
def test_spans_read_as_kubectls_but_of_a_clock_that_is_a_little_behind(seconds, expected):
    assert expected == span(seconds)


def test_ages_are_of_an_instant_and_of_nothing_unknown():
    now_ms = 1_795_550_863_000  # 2026-11-24T20:07:43Z

    assert "43s" == age("2026-11-24T20:07:00.000Z", now_ms)
    assert "2026-11-24T20:07:00.000Z (43s ago)" == ago("2026-11-24T20:07:00.000Z", now_ms)
    assert ("<unknown>", "<unknown>") == (age(None, now_ms), ago(None, now_ms))


@pytest.mark.parametrize(
    ("ahead_ms", "expected"), [(20_000, "in 20s"), (400, "in 0s"), (0, "0s ago"), (-330_000, "5m30s ago")]
)
def test_what_a_hold_waits_for_lies_ahead_until_it_has_come(ahead_ms, expected):
    at_ms = 1_795_550_863_000
    planned = {"action": None, "codes": [], "until": "2026-11-24T20:07:43.000Z"}
    told = {"attempts": 3, "maxAttempts": 3, "next": planned, "hold": "BudgetSpent", "reason": "so it is"}

    assert f"2026-11-24T20:07:43.000Z ({expected})" == until(planned["until"], at_ms - ahead_ms)
    assert f"Until:        2026-11-24T20:07:43.000Z ({expected})" in recovery(told, at_ms - ahead_ms)


def test_cells_are_aligned_and_lines_end_with_text():
    assert ["A     B", "xyz   1", "x     22"] == table(("A", "B"), [("xyz", 1), ("x", 22)])
    assert ["x   1"] == table(("A", "B"), [("x", 1)], has_head=False)


@given(st.text())
def test_no_text_steers_a_terminal(text):
    shown = plain(text)

    assert [] == re.findall("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", shown)
    assert shown.isascii() or shown.encode()


def test_what_would_steer_is_shown_as_its_escape():
    assert "\\u001b[31mred\\u009b0m \\u202edlrow" == plain("\x1b[31mred\x9b0m \u202edlrow")


@given(JSON)
def test_yaml_is_read_as_the_json_that_it_was_made_of(value):
    assert value == yaml.safe_load(block(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [{"b": 1, "c": []}, "x"], "d": {}}, "a:\n- b: 1\n  c: []\n- x\nd: {}"),
        (
            {"word": "no", "number": "12", "time": "2026-11-24T20:07:00Z"},
            'word: "no"\nnumber: "12"\ntime: "2026-11-24T20:07:00Z"',
        ),
        ([1e-05, 1e300, -0.5], "- 1.0e-05\n- 1.0e+300\n- -0.5"),
        ({"a: b": "c # d", "e": "f: g"}, '"a: b": "c # d"\ne: "f: g"'),
        ([[1, 2], [[]]], "- - 1\n  - 2\n- - []"),
        ("plain words, in a row", "plain words, in a row"),
        (None, "null"),
    ],
)
def test_yaml_stands_in_blocks(value, expected):
    assert expected == block(value)


FLEET = [
    Named("instance-0", "loco", "emulator-0"),
    Named("instance-1", "arcade", "emulator-0"),
    Named("emulator-7", "loco", "emulator-1"),
    Named("instance-9"),
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("instance-0", "instance-0"),
        ("arcade/emulator-0", "instance-1"),
        ("emulator-1", "emulator-7"),
        ("emulator-7", "emulator-7"),
        ("instance/instance-9", "instance-9"),
    ],
)
def test_a_name_is_an_id_a_pod_or_both(name, expected):
    assert expected == resolve(name, FLEET).id


def test_a_name_of_two_is_asked_back_and_one_of_nobody_is_near_others():
    with pytest.raises(WrongUse, match=r"^'emulator-0' is the name of 2 pods; say one of loco/emulator-0, arcade/"):
        resolve("emulator-0", FLEET)
    with pytest.raises(NoSuchThing, match=r"^no instance is called 'instnce-9'; did you mean instance-9 or"):
        resolve("instnce-9", FLEET)
    with pytest.raises(NoSuchThing, match=r"called 'x'; there are instance-0, .*, instance-9; nothing was done$"):
        resolve("x", FLEET)
    with pytest.raises(NoSuchThing, match=r"called 'x'; there are none; nothing was done$"):
        resolve("x", [])


def test_every_code_there_is_is_explained():
    kinds = {
        kind: {code for code, each, _ in _all() if each == kind} for kind in ("reason", "hold", "problem", "error")
    }

    assert set(BY_CODE) | {OBSERVATION_STALE} == kinds["reason"]
    assert set(Hold) == kinds["hold"]
    assert set(ProblemReason) == kinds["problem"] == set(PROBLEMS)
    assert set(re.findall(r"^\| `(\w+)` \| \d+ ", TROUBLES.read_text(), re.MULTILINE)) <= kinds["error"]
    assert [] == [code for code, _, means in _all() if not means or not _explained(code)]


def test_every_reason_names_a_runbook_and_every_page_that_is_named_is_there():
    named = {code: re.findall(r"docs/\S+\.md", "\n".join(_explained(code))) for code, _, _ in _all()}

    assert [] == [rule.code for rule in RULES if f"docs/runbooks/{rule.code}.md" not in named[rule.code]]
    assert [] == [page for pages in named.values() for page in pages if not (ROOT / page).exists()]


def test_an_explanation_has_limits_acts_and_holds():
    assert re.search(r"^  cpu_ratio +0\.95 +a number from 0 to 1\.01$", "\n".join(_explained("HighCpu")), re.MULTILINE)
    assert "  restart-qemu (cuts people off)" in _explained("QmpTimeout")
    assert any(re.match(r"Hold: +BootGrace: nothing is done while it holds", line) for line in _explained("Booting"))
    assert any(re.match(r"Hold: +SelfHealing: ", line) for line in _explained("QemuDead"))


def test_a_word_that_is_a_reason_and_a_hold_is_explained_as_both():
    told = _explained("IdentityUnproven")

    assert ["Reason", "", "Hold"] == [
        line.split(":")[0] for line in told if re.match(r"Reason:|Hold: +Identity|$", line)
    ]


def test_a_hold_names_its_limits_with_their_numbers():
    told = "\n".join(_explained("FleetBrake"))

    assert "after `brake_quiet_ticks` (20 ticks of 15 s) below the limit" in told
    assert "`brake_instances` (3) ill, or `brake_ratio` (0.2) of the fleet if that is more" in told
    assert "after `cool_down_seconds` (20 s), or `settle_seconds` (30 s)" in "\n".join(_explained("CoolDown"))
    assert "once `dispatch` has looked" in "\n".join(_explained("LedgerUnread"))


def test_without_a_planned_act_none_is_said_to_answer_anything():
    planned = {"action": None, "codes": ["HostBusy"], "until": None}
    told = {"attempts": 0, "maxAttempts": 3, "next": planned, "hold": "NotActionable", "reason": "so it is"}

    assert "Answers:      <none>" in recovery(told, 0)
    assert "Answers:      HostBusy" in recovery({**told, "next": {**planned, "action": "reset-guest"}}, 0)


def test_a_fact_reads_in_its_table_as_in_its_sentence():
    evidence = [
        {"fact": "rate", "value": 3, "unit": "1/s", "limit": 1, "witness": "report", "since": None},
        {"fact": "still", "value": 58.0, "unit": "s", "limit": None, "witness": "report", "since": None},
    ]
    reason = {"code": "A", "severity": "degraded", "failureType": "qemu", "text": "B", "evidence": evidence}

    _, _, _, *rows = reasons([reason], 0)
    assert [["rate", "3/s", "1/s"], ["still", "58 s", "<none>"]] == [re.split("  +", row.strip())[:3] for row in rows]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("common/fleet/brake", "(fleet)"),
        ("common/node/node-1", "(node node-1)"),
        ("loco/loco-emulator-0", "loco/loco-emulator-0"),
    ],
)
def test_an_incident_of_several_says_what_they_share(key, expected):
    assert expected == _whose(key)


def test_only_the_newest_run_without_an_end_may_still_run():
    run = dict.fromkeys(("startedAt", "lastSuccessAt", "instances", "outcome", "problem"))
    run |= {"command": "collect", "ticks": 1, "durationSeconds": 0.0002}
    ended = {**run, "outcome": "ok", "durationSeconds": 0.012}
    found = [run, {**run, "command": "recover", "durationSeconds": 1.52}, run, ended]

    expected = [("<1ms", "running"), ("1.5s", "running"), ("<1ms", "<unknown>"), ("12ms", "ok")]
    assert expected == [(row[5], row[6]) for row in _rows(found, 0)]


def test_what_ends_a_job_is_explained_with_its_exit_code():
    told = _explained("StoreLocked")

    assert "Means:      Another connection held the file past the busy timeout" in told
    assert "Exit code:  75; the next run tries again" in told
    assert "Exit code:  2" in _explained("ConfigError")


def test_an_unknown_code_is_near_others():
    with pytest.raises(NoSuchThing, match=r"is called 'QmpTimeot'; did you mean QmpTimeout"):
        _explained("QmpTimeot")


def test_each_rule_goes_by_the_thresholds_that_its_code_reads():
    """Every threshold of a rule is some rule's, and a policy that refuses to tell one breaks just those rules."""
    found = {rule.code: {one.key for one in limits_of(rule)} for rule in RULES}

    assert {"throttled_ratio", "load_ticks", "load_window"} == found["CpuThrottled"]
    assert set() == found["QemuDead"]
    assert {"loco-health/expect-motion-seconds"} == found["ScreenFrozen"]
    opening = {"incident_", "connectivity_max", "boot_grace", "clock_skew", "restart_shown", "stale_"}
    unread = {one.name for one in dataclasses.fields(Policy) if "range" in one.metadata} - set().union(*found.values())
    assert [] == [key for key in sorted(unread) if not key.startswith(tuple(opening))]


def test_every_command_is_there():
    assert list(COMMANDS) == [name for name in COMMANDS if group.get_command(None, name).name == name]


def test_json_of_others_text_is_still_json():
    value = {"text": "\x1b[2J\x9b\u202e\ud800 é"}

    assert value == json.loads("\n".join(map(plain, json.dumps(value, indent=4, ensure_ascii=False).split("\n"))))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"observedAt": "later", "frameRate": 3.0, "sessions": 2}, False),
        ({"reasons": [{"code": "QemuDead", "text": "for 30 s"}]}, False),
        ({"reasons": [{"code": "QmpTimeout", "text": "for 15 s"}]}, True),
        ({"verdict": "unknown"}, True),
        ({"recovery": {"next": None, "hold": "CoolDown"}}, True),
        ({"uid": "another"}, True),
    ],
)
def test_a_watch_shows_a_state_and_no_running_figure(changes, expected):
    one = dict.fromkeys(("verdict", "failureType", "since", "stale", "incident", "uid", "pod", "node"))
    one |= {"reasons": [{"code": "QemuDead", "text": "for 15 s"}], "recovery": {"next": None, "hold": None}}

    assert expected == _has_changed({**one, **changes}, one)
    assert _has_changed(one, None)
