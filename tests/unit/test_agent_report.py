import msgspec
import pytest
from full_report import a_full_report
from hypothesis import given
from hypothesis import strategies as st

from agent.report import MAX_REPORT_BYTES, MAX_REPORT_DEPTH, ReportInvalid, decode, encode

LEGACY = b'{"timestamp": "2026-11-24T20:00:00Z", "overall_status": "healthy", "qemu_healthy": true}'


def with_field(name, value):
    """Return a full report's bytes with one more field."""
    return msgspec.json.encode({**msgspec.json.decode(encode(a_full_report())), name: value})


def test_a_report_comes_back_as_it_was_sent():
    report = a_full_report()

    assert report == decode(encode(report))


def test_the_legacy_agents_report_is_read_and_its_missing_blocks_are_unknown():
    report = decode(LEGACY)

    assert report.is_legacy
    assert (None, None, None) == (report.video, report.qemu, report.agent)


def test_an_unknown_field_is_ignored():
    assert a_full_report() == decode(with_field("colour", "blue"))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "truncated"),
        (b"<html>", "malformed"),
        (LEGACY[:-1], "truncated"),
        (LEGACY.replace(b"true", b"NaN"), "malformed"),
        (LEGACY.replace(b"true", b'"yes"'), "qemu_healthy"),
        (LEGACY.replace(b'"healthy"', b"null"), "overall_status"),
        (b'{"overall_status": "healthy"}', "timestamp"),
        (b"[]", "object"),
        (LEGACY[:-1] + b', "performance": {"cpu_usage": "99%"}}', "performance.cpu_usage"),
        (LEGACY[:-1] + b', "schema_version": 2}', "schema_version 2, this reader knows 1"),
        (b" " * (MAX_REPORT_BYTES + 1), f"at most {MAX_REPORT_BYTES}"),
        (LEGACY[:-1] + b', "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", f"deeper than {MAX_REPORT_DEPTH}"),
    ],
)
def test_what_is_no_report_is_refused_with_its_reason(body, sentence):
    with pytest.raises(ReportInvalid, match=sentence):
        decode(body)


def test_many_brackets_in_a_row_or_in_a_text_are_not_depth():
    flat = [[] for _ in range(1000)]

    assert a_full_report() == decode(with_field("flat", flat))
    assert a_full_report() == decode(with_field("text", '\\"' + "[{" * 1000))


def test_depth_is_allowed_up_to_its_limit():
    def nested(depth):
        return LEGACY[:-1] + b', "deep": ' + b"[" * depth + b"]" * depth + b"}"

    assert decode(nested(MAX_REPORT_DEPTH - 1)).is_legacy
    with pytest.raises(ReportInvalid):
        decode(nested(MAX_REPORT_DEPTH))


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\tru1e9 ', max_size=200).map(str.encode))
def test_no_body_raises_anything_else(body):
    try:
        report = decode(body)
    except ReportInvalid:
        return

    assert report.overall_status
