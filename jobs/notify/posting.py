"""One request to a receiver; what comes back, or keeps it from arriving, becomes a value without any secret in it.

The errors of `requests` hold the URL, and so their texts stay in here.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import HTTPError

from jobs.dialling import Cut, NotDialled, dialled, read_whole
from jobs.notify.address import Address

# architecture section 4
CONNECT_SECONDS = 2.0

# architecture section 4: a receiver that needs longer is as good as away.
TOTAL_SECONDS = 10.0

# chosen: an answer is read only to see that it ended.
MAX_ANSWER_BYTES = 64 * 1024

# chosen: a receiver may ask for a rest; a day's notifications must not wait for a mistyped one.
MAX_RETRY_SECONDS = 300.0


# RFC 9110 and RFC 4918: the answers that speak of what was sent, and not of the receiver.
_OF_THE_BODY = frozenset({400, 413, 422})


@dataclass(frozen=True, slots=True)
class Reply:
    """How one POST ended. problem: None where it was taken. retry_seconds: for how long it wants to be left alone."""

    problem: str | None
    status: int | None = None
    seconds: float = 0.0
    retry_seconds: float = 0.0

    @property
    def is_of_the_body(self) -> bool:
        """Tell whether another body may well be taken."""
        return self.status in _OF_THE_BODY

    @property
    def is_of_the_receiver(self) -> bool:
        """Tell whether it took nothing, and will take no other body either."""
        return self.problem is not None and not self.is_of_the_body


@dataclass(frozen=True, slots=True)
class Line:
    """The way to one receiver. token: a bearer token. ca: certificates that vouch for it, None for the usual ones."""

    address: Address
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None

    def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send one body and wait for the answer; redirects are not followed."""
        began_at = time.monotonic()
        status, problem, retry_seconds = None, None, 0.0
        try:
            status, _, retry_seconds = self._ask("POST", self.address.url, body, headers)
        except (NotDialled, Cut) as error:
            problem = str(error)
        except requests.ConnectTimeout:
            problem = f"no connection within {CONNECT_SECONDS:g} s"
        except requests.Timeout:
            problem = f"no answer within {TOTAL_SECONDS:g} s"
        except (HTTPError, OSError, ValueError) as error:  # OSError: of requests, and where the CA file has gone
            problem = _cause(error)
        if status is not None and not 200 <= status < 300:
            problem = f"it answered {status}" + (", and redirects aren't followed" if 300 <= status < 400 else "")
        return Reply(problem, status, time.monotonic() - began_at, retry_seconds)

    def get(self, path: str) -> bytes | None:
        """Return what the receiver has at another path, None where nothing good comes back."""
        url = urlunsplit(urlsplit(self.address.url)._replace(path=path))
        try:
            status, answer, _ = self._ask("GET", url, None, {})
        except (NotDialled, Cut, HTTPError, OSError, ValueError):
            return None
        return answer if status == 200 else None

    def _ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes, float]:
        """Return the status, the answer, and for how long the receiver wants to be left alone."""
        ends_at = time.monotonic() + TOTAL_SECONDS
        url, host = dialled(url)
        authorization = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        user = self.address.user_password
        with requests.Session() as session:
            session.trust_env = False  # no proxy and no .netrc gets to see or to replace what is sent
            with session.request(
                method,
                url,
                data=body,
                headers={
                    "Host": host,
                    "User-Agent": "loco-health",
                    "Content-Type": "application/json",
                    "Accept-Encoding": "identity",
                    **authorization,
                    **headers,
                },
                auth=user and HTTPBasicAuth(user[0].encode(), user[1].encode()),  # as text it must be Latin-1
                verify=str(self.ca) if self.ca else True,
                timeout=(CONNECT_SECONDS, TOTAL_SECONDS),
                allow_redirects=False,
                stream=True,
            ) as response:
                answer = read_whole(response.raw, max_bytes=MAX_ANSWER_BYTES, ends_at=ends_at)
                return response.status_code, answer, _rest_seconds(response.headers.get("Retry-After", ""))


def _rest_seconds(text: str) -> float:
    """Return what Retry-After asks for in seconds; a date, which is rare, is left to the pauses of our own."""
    return min(float(text), MAX_RETRY_SECONDS) if text.isascii() and text.isdigit() else 0.0


def _cause(error: Exception) -> str:
    """Return why nothing came back, from the innermost error that says it without the request."""
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate isn't trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"no TLS with it: {cause.reason or 'broken off'}"
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, requests.RequestException):
            return cause.strerror.lower()
    return "the connection broke off before an answer"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it stands for; urllib3 keeps some as arguments only."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting += [cause for cause in inner if isinstance(cause, BaseException)]
