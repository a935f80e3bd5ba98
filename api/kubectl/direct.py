"""The API at a URL, without a cluster; a module of its own, as http.client costs 60 ms that few need to pay."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult

import msgspec

from api.kubectl.errors import ApiFailed

# chosen: deep health of 10,000 instances is half of it.
_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Direct:
    """The API at a URL. It is asked as it stands there: no proxy, no redirect."""

    url: SplitResult
    patience_seconds: float

    def ask(self, path: str) -> bytes:
        """Return the body at a path of the API. Raises: ApiFailed."""
        secure = self.url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self.url.hostname or "", self.url.port, timeout=self.patience_seconds)
        try:
            connection.request("GET", self.url.path.rstrip("/") + path)
            answer = connection.getresponse()
            status, body = answer.status, answer.read(_MAX_BYTES + 1)
            if answer.length and len(body) <= _MAX_BYTES:
                raise http.client.IncompleteRead(body, answer.length)
        except (OSError, http.client.HTTPException) as error:
            why = error or type(error).__name__
            raise ApiFailed(f"the API at {self.url.geturl()} can't be asked: {why}") from error
        finally:
            connection.close()
        if status != http.client.OK:
            raise ApiFailed(f"the API at {self.url.geturl()} says {_told(status, body)}", status)
        if len(body) > _MAX_BYTES:
            raise ApiFailed(f"the API at {self.url.geturl()} answered over {_MAX_BYTES} bytes at {path}")
        return body


def _told(status: int, body: bytes) -> str:
    """Return the sentence of a problem, or the status's own phrase."""
    try:
        detail = msgspec.json.decode(body, type=dict[str, Any])["detail"]
    except (msgspec.MsgspecError, KeyError, UnicodeDecodeError, RecursionError):
        detail = http.client.responses.get(status, "nothing that HTTP knows")
    return f"{status}: {detail}"
