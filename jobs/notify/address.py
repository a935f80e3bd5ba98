"""Addresses of receivers and links for people, checked at the start; what may be secret in a URL is never shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from jobs.errors import ConfigError
from jobs.health.addresses import parse_address, refusal_of

_NOTHING = "nothing was started"

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Address:
    """Where requests go. url: without user and password. place: scheme, host and port, all that people get to see.

    Path and query stay out of every text: of many receivers they are the secret.
    """

    url: str = field(repr=False)
    place: str
    user_password: tuple[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Links:
    """Where people read on. Each is a base without a slash at its end, None where nobody has said it."""

    public_url: str | None = None
    runbook_url: str | None = None

    def incident(self, incident: str) -> str | None:
        """Return the incident's page."""
        return None if self.public_url is None else f"{self.public_url}/incidents/{incident}"

    def runbook(self, code: str | None) -> str | None:
        """Return the runbook of a reason."""
        return None if self.runbook_url is None or code is None else f"{self.runbook_url}/{code}.md"


def parse_receiver(setting: str, text: str) -> Address:
    """Return a receiver's address. Raises: ConfigError with one sentence about what is wrong with it."""
    parts = _split(setting, text)
    literal = parse_address(parts.hostname or "")
    refusal = refusal_of(literal) if literal else ""
    if refusal:
        raise ConfigError(f"{setting}: {literal}: {refusal}; {_NOTHING}")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    netloc = f"{host}:{parts.port}" if parts.port else f"{host}"
    user = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    return Address(urlunsplit(parts._replace(netloc=netloc)), f"{parts.scheme}://{netloc}", user)


def parse_link(setting: str, text: str) -> str:
    """Return the base of links for people. Raises: ConfigError."""
    parts = _split(setting, text)
    if parts.username is not None or parts.query:
        raise ConfigError(f"{setting}: a link for people holds neither a password nor a query; {_NOTHING}")
    if _BROKEN_ESCAPE.search(text):  # Alertmanager refuses each alert with such a link
        raise ConfigError(f"{setting} holds a % without two hexadecimal digits behind it; {_NOTHING}")
    return text.rstrip("/")


def _split(setting: str, text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ConfigError(f"{setting} is no URL: host or port can't be read; {_NOTHING}") from error
    if parts.scheme not in ("http", "https"):
        raise ConfigError(f"{setting}: scheme {parts.scheme!r} isn't one of http and https; {_NOTHING}")
    if not parts.hostname:
        raise ConfigError(f"{setting} names no host; {_NOTHING}")
    if parts.fragment or not text.isprintable() or " " in text:
        raise ConfigError(f"{setting} holds a fragment, a space or a control character; {_NOTHING}")
    return parts
