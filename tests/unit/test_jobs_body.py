import zlib
from pathlib import Path

import pytest
from full_report import a_full_report
from hypothesis import given
from hypothesis import strategies as st

from agent.report import MAX_REPORT_BYTES, encode
from jobs.errors import StoreCorrupt
from jobs.store import body
from jobs.store.body import pack, unpack


@given(st.binary(max_size=5000))
def test_whatever_is_packed_comes_back(report):
    assert report == unpack(pack(report))


def test_the_largest_report_comes_back():
    report = bytes(range(256)) * (MAX_REPORT_BYTES // 256)

    assert report == unpack(pack(report))


def test_a_full_report_takes_less_than_a_fifth():
    report = encode(a_full_report())

    assert len(pack(report)) < len(report) / 5


def test_a_damaged_body_is_refused_instead_of_read_wrong():
    stored = bytearray(pack(encode(a_full_report())))
    stored[len(stored) // 2] ^= 0x10

    with pytest.raises(StoreCorrupt):
        unpack(bytes(stored))


def test_a_body_that_ends_too_early_is_refused_instead_of_read_in_part():
    with pytest.raises(StoreCorrupt):
        unpack(pack(encode(a_full_report()))[:-8])


def test_the_dictionary_is_the_one_that_kept_reports_were_packed_with():
    """A changed dictionary needs a new version beside the old one, not a new checksum here."""
    dictionary = Path(body.__file__).with_name("body-dictionary.json").read_bytes()

    assert 0x1FC5F87A == zlib.adler32(dictionary)
