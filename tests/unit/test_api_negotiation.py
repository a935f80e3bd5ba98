"""What a request's headers ask of an answer's form."""

import pytest

from api.negotiation import is_known, names, takes_gzip

OPEN_METRICS = "application/openmetrics-text"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("br, gzip;q=0.5", True),
        ("br,gzip ; q=1.000", True),
        ("*", True),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip; Q=0", False),
        ("*;q=1, gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0, gzip", True),
        ("gzip;q=", False),
        ("gzip;q=nan", False),
        ("gzip;q=inf", False),
        ("gzip;q=1e9", False),
        ("gzipped", False),
        (",;,q=1;" * 500, False),
    ],
)
def test_gzip_is_for_those_who_take_it(header, expected):
    assert expected == takes_gzip(header)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3,*/*;q=0.2", True),
        ("Application/OpenMetrics-Text", True),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;version=1.0.0;q=0, application/openmetrics-text;version=0.0.1;q=0.1", True),
        ("*/*", False),
        ("application/*", False),
        ("", False),
    ],
)
def test_a_media_type_is_for_those_who_name_it(header, expected):
    assert expected == names(header, OPEN_METRICS)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('W/"a1"', True),
        ('"a1"', True),
        ('"b", W/"a1" ,"c"', True),
        ("*", True),
        ("", False),
        ("a1", False),
        ('"b"', False),
        ('w/"a1"', False),
        ('W/"a1', False),
    ],
)
def test_a_tag_is_known_by_weak_comparison(header, expected):
    assert expected == is_known('W/"a1"', header)
