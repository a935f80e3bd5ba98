import json

import pytest
from builders import a_legacy_report, a_report
from click.testing import CliRunner

from agent.report import encode
from jobs.commands.replay import replay
from jobs.errors import ConfigError


@pytest.fixture
def run(tmp_path):
    def run(*arguments):
        return CliRunner().invoke(replay, [str(a) for a in arguments], catch_exceptions=False, standalone_mode=False)

    return run


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "night.jsonl"
    reports = [a_report(sequence=n, network={"tap_up": n < 3}) for n in range(1, 5)]
    path.write_bytes(b"\n".join(map(encode, reports)) + b"\n\n")
    return path


def test_a_file_of_lines_is_a_timeline_of_ticks(run, lines):
    assert [
        "TICK  SECONDS  VERDICT      CLASS    INCIDENT  REASONS",
        "   1        0  healthy      none     -         -",
        "   2       15  healthy      none     -         -",
        "   3       30  unhealthy    network  -         TapDown",
        "   4       45  unhealthy    network  opened    TapDown",
    ] == run(lines).output.splitlines()


def test_json_carries_the_evidence_and_the_place(run, lines):
    ticks = json.loads(run("-o", "json", lines).output)

    assert f"{lines} line 3" == ticks[2]["source"]
    assert ["TapDown"] == [reason["code"] for reason in ticks[2]["assessment"]["reasons"]]
    assert "opened" == ticks[3]["incident"]["kind"]


def test_files_of_one_report_are_ticks_in_the_order_given(run, tmp_path):
    for name, is_up in (("b.json", True), ("a.json", False)):
        (tmp_path / name).write_bytes(encode(a_legacy_report(network={"tap_up": is_up})))

    assert ["healthy", "unhealthy"] == [
        line.split()[2] for line in run(tmp_path / "b.json", tmp_path / "a.json").output.splitlines()[1:]
    ]


def test_what_is_expected_of_the_instance_and_the_policy_decide(run, tmp_path):
    still = a_report(screen={"verdict": "still", "still_seconds": 20.0}, audio={"silent_seconds": 15.0})
    (tmp_path / "r.json").write_bytes(encode(still))
    (tmp_path / "p.toml").write_text("boot_grace_seconds = 3601")
    (tmp_path / "q.toml").write_text("boot_grace_seconds = 3600")
    expected = ("--expect-motion-seconds", 20, "--expect-sound-seconds", 15, tmp_path / "r.json")

    assert "-" == run(tmp_path / "r.json").output.split()[-1]
    assert ["ScreenFrozen", "AudioSilent"] == run(*expected).output.split()[-2:]
    assert "AudioSilent" == run("--policy", tmp_path / "q.toml", *expected).output.split()[-1]
    with pytest.raises(ConfigError, match="boot_grace_seconds is 3601, allowed is a number from 0 to 3600"):
        run("--policy", tmp_path / "p.toml", *expected)


def test_an_incident_that_closed_can_open_again(run, tmp_path):
    path = tmp_path / "flap.jsonl"
    is_up = [False] * 2 + [True] * 8 + [False] * 2
    path.write_bytes(b"\n".join(encode(a_report(sequence=n, network={"tap_up": up})) for n, up in enumerate(is_up)))

    assert ["opened", "closed", "opened"] == [word for word in run(path).output.split() if word in ("opened", "closed")]


@pytest.mark.parametrize(
    ("name", "body", "sentence"),
    [
        ("r.json", b"<html>", "reports {} hold no health report: JSON is malformed: invalid character (byte 0)"),
        (
            "r.jsonl",
            b'{"timestamp": 3}',
            "reports {} line 1 hold no health report: Expected `str`, got `int` - at `$.timestamp`",
        ),
    ],
)
def test_a_bad_file_stops_it_with_one_sentence(run, tmp_path, name, body, sentence):
    (tmp_path / name).write_bytes(body)
    with pytest.raises(ConfigError) as caught:
        run(tmp_path / name)

    assert sentence.format(tmp_path / name) + "; nothing was replayed" == str(caught.value)


def test_a_missing_file_stops_it_with_one_sentence(run, tmp_path):
    with pytest.raises(ConfigError) as caught:
        run(tmp_path / "none.json")

    assert f"reports {tmp_path}/none.json can't be read: No such file or directory; nothing was replayed" == str(
        caught.value
    )


def test_a_policy_that_cannot_be_read_stops_it_with_one_sentence(run, tmp_path, lines):
    with pytest.raises(ConfigError, match=r"policy .*/none.toml can't be read: .*; nothing was started"):
        run("--policy", tmp_path / "none.toml", lines)
