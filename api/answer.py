"""One HTTP answer as a value, with the forms that its body can take on the wire."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from http import HTTPStatus
from typing import Any

import msgspec

JSON = "application/json"
HTML = "text/html; charset=utf-8"

# chosen: a TCP segment's worth; below it compression saves no packet.
GZIP_MIN_BYTES = 1024

# chosen: on 1,000 reports level 1 takes a third of level 6's time for a sixth more bytes.
GZIP_LEVEL = 1


@dataclass(frozen=True)
class Answer:
    """Status, body and what only this route knows of the headers.

    observed_at_ms: the newest observation that the body tells of; None leaves it to the whole fleet.
    """

    body: bytes
    content_type: str = JSON
    status: HTTPStatus = HTTPStatus.OK
    observed_at_ms: int | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def is_text(self) -> bool:
        """Tell whether compression gains anything; a picture is compressed already."""
        return not self.content_type.startswith("image/")

    @cached_property
    def etag(self) -> str:
        """Return a weak tag of the body itself, so that it can't be wrong about what changed.

        Weak, because the gzip form carries the same one (RFC 9110 section 8.8.3.3).
        """
        return f'W/"{blake2b(self.body, digest_size=12).hexdigest()}"'

    @cached_property
    def gzipped(self) -> bytes:
        """Return the body compressed, once."""
        return gzip.compress(self.body, GZIP_LEVEL, mtime=0)


def json_answer(
    value: Any,  # noqa: ANN401 - whatever JSON can hold
    *,
    observed_at_ms: int | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    """Return the value as JSON."""
    return Answer(msgspec.json.encode(value), status=status, observed_at_ms=observed_at_ms, headers=headers)
