"""Reports as the store keeps them: zlib with a preset dictionary, a third of what zlib makes of them alone.

docs/decisions/0003 has the figures. The dictionary is part of the file format: a change of one byte makes every kept
report unreadable, so a better one needs a migration. It is a healthy report of version 1; other bodies only pack worse.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from jobs.errors import StoreCorrupt

_DICTIONARY = Path(__file__).with_name("body-dictionary.json").read_bytes()

# chosen: level 3, a window of 8 KiB and a small hash table pack a full report in 12 us; higher levels save 2 % (0003).
_packer = zlib.compressobj(3, zlib.DEFLATED, 13, 5, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)


def pack(report: bytes) -> bytes:
    """Return the stored form of a report's JSON bytes."""
    # A copy of a packer that has read the dictionary already saves 3 us of reading it.
    packer = _packer.copy()
    return packer.compress(report) + packer.flush()


def unpack(stored: bytes) -> bytes:
    """Return the JSON bytes that `pack` was given.

    Raises: StoreCorrupt when the bytes were damaged; they carry a checksum.
    """
    unpacker = zlib.decompressobj(zdict=_DICTIONARY)
    try:
        report = unpacker.decompress(stored)
    except zlib.error as error:
        raise StoreCorrupt(f"a kept report is damaged ({error}); `loco-jobs compact` says what to restore") from error
    if not unpacker.eof:
        raise StoreCorrupt("a kept report ends too early; `loco-jobs compact` says what to restore")
    return report
