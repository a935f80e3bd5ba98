"""What a snapshot makes of rows: order, and reports that a hostile agent made."""

import pytest
from full_report import a_full_report
from snapshots import an_entry

from agent.report import encode
from api.snapshot import _report, by_public_id


def test_instances_stand_in_the_order_of_their_ordinals():
    entries = [an_entry(10), an_entry(2), an_entry(0)]

    assert ["instance-0", "instance-2", "instance-10"] == list(by_public_id(entries))


def test_a_report_is_kept_as_received_with_fields_that_we_dont_know():
    body = encode(a_full_report()).replace(b'{"timestamp"', b'{"hat":"red","timestamp"', 1)

    report = _report(body)

    assert ("red", 18.2) == (report.received["hat"], report.fields.video.estimated_frame_rate)


@pytest.mark.parametrize("value", [b"1e999", b'"\xff"', b'"\\ud800"'])
def test_a_field_that_json_cant_carry_on_leaves_the_known_ones(value):
    body = encode(a_full_report()).replace(b'{"timestamp"', b'{"hat":%s,"timestamp"' % value, 1)

    report = _report(body)

    assert report is None or "hat" not in report.received


@pytest.mark.parametrize("body", [None, b"", b"{}", b"<html>"])
def test_anything_else_is_no_report(body):
    assert _report(body) is None
