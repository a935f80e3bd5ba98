"""The static inventory, `instances.json`: an array of entries in the seed's fields, read as instances.

Only `id` and `healthUrl` are required; what this reader doesn't know it keeps for those who do.
A file that can't be read whole is refused whole: half a fleet must not look like the fleet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from jobs.errors import ConfigError
from jobs.health.addresses import parse_address, refusal_of
from jobs.health.model import Instance, InstanceKey

# chosen: ten thousand entries of 400 bytes; a larger file is not an inventory.
MAX_INVENTORY_BYTES = 4 * 1024 * 1024
MAX_INSTANCES = 10_000

# chosen: a name or description is read by people; a longer one is a mistake.
MAX_TEXT_CHARACTERS = 2000

# chosen: what fits a URL path segment, a label value and a Job's name (Kubernetes: at most 63 characters).
_ID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")

# RFC 3986 section 2: the characters of a URL; urlsplit() drops some others silently.
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")

# Schemes under which `vncUrl` names something other than RFB over plain TCP; such an entry offers no VNC to dial.
_NOT_RFB = frozenset({"http", "https", "ws", "wss"})


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry and where it stands, so that every complaint says so."""

    fields: dict[str, Any]
    where: str

    def refusal(self, field: str, observed: object, allowed: str) -> ConfigError:
        shown = repr(observed)
        shown = shown if len(shown) <= 100 else f"{shown[:97]}..."
        return ConfigError(f"{self.where}: {field} is {shown}, {allowed}")


def read_inventory(path: Path) -> bytes:
    """Return the bytes of the file, at most one more than are allowed.

    Raises: ConfigError, one sentence, when it can't be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_INVENTORY_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def parse_inventory(text: bytes, where: str) -> tuple[Instance, ...]:
    """Return the instances that `text` names, in its order.

    where: the file's name, for complaints.
    Raises: ConfigError, one sentence with line and column, or with the entry and its field.
    """
    entries = _decode(text, where)
    if len(entries) > MAX_INSTANCES:
        raise ConfigError(f"{where}: {len(entries)} entries, at most {MAX_INSTANCES} are read")
    instances: dict[str, Instance] = {}
    for index, fields in enumerate(entries):
        entry = _entry(fields, index, where)
        instance = _instance(entry)
        if instance.public_id in instances:
            raise entry.refusal("id", instance.public_id, "which an entry above has already")
        instances[instance.public_id] = instance
    return tuple(instances.values())


def _decode(text: bytes, where: str) -> list[Any]:
    """Return the array that the file holds."""
    if len(text) > MAX_INVENTORY_BYTES:
        raise ConfigError(f"{where}: more than {MAX_INVENTORY_BYTES} bytes")
    body = text.removeprefix(b"\xef\xbb\xbf")  # some editors put a byte order mark first
    try:
        body.decode()
        entries = msgspec.json.decode(body)
    except UnicodeDecodeError as error:
        raise _syntax_error(where, body, error.start, "not UTF-8") from error
    except RecursionError as error:
        raise _syntax_error(where, body, 0, "nested too deeply") from error
    except msgspec.DecodeError as error:
        cause, _, place = str(error).removesuffix(")").partition(" (byte ")
        raise _syntax_error(where, body, int(place) if place else len(body), cause) from error
    if not isinstance(entries, list):
        raise ConfigError(f"{where}: the file must hold an array of instances")
    return entries


def _syntax_error(where: str, body: bytes, offset: int, cause: str) -> ConfigError:
    before = body[:offset]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
    return ConfigError(f"{where}: line {line} column {column}: {cause}")


def _entry(fields: object, index: int, where: str) -> _Entry:
    if not isinstance(fields, dict):
        raise ConfigError(f"{where}: entry {index} must be an object")
    return _Entry(fields, f"{where}: entry {index}")


def _instance(entry: _Entry) -> Instance:
    public_id = _text(entry, "id")
    if not _ID.fullmatch(public_id):
        raise entry.refusal("id", public_id, "1 to 63 of A-Z a-z 0-9 . _ - with a letter or digit at both ends are")
    return Instance(
        key=InstanceKey(f"static/{public_id}"),
        public_id=public_id,
        name=_text(entry, "name") or public_id,
        description=_text(entry, "description"),
        health_url=_health_url(entry),
        vnc_address=_vnc_address(entry),
        uid=_text(entry, "uid") or None,
        expect_motion_seconds=_seconds(entry, "loco-health/expect-motion-seconds"),
        expect_sound_seconds=_seconds(entry, "loco-health/expect-sound-seconds"),
        fields=entry.fields,
    )


def _text(entry: _Entry, field: str) -> str:
    """Return a text field, empty where it is missing or null."""
    value = entry.fields.get(field)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARACTERS:
        raise entry.refusal(field, value, f"a text of at most {MAX_TEXT_CHARACTERS} characters is allowed")
    return value


def _seconds(entry: _Entry, field: str) -> float | None:
    value = entry.fields.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 86_400:
        raise entry.refusal(field, value, "a number of seconds above 0 and up to 86400 is allowed")
    return float(value)


def _health_url(entry: _Entry) -> str:
    """Return the full URL of the report: `/health` is appended unless the path says so already."""
    text = _text(entry, "healthUrl")
    allowed = "http://HOST[:PORT][/PATH] or https is needed"
    url = _split(entry, "healthUrl", text, allowed)
    if url.scheme not in {"http", "https"}:
        raise entry.refusal("healthUrl", text, allowed)
    path = url.path.rstrip("/")
    path = path if path.endswith("/health") else f"{path}/health"
    return url._replace(path=path, fragment="").geturl()


def _vnc_address(entry: _Entry) -> tuple[str, int] | None:
    """Return host and port of the VNC server, or None where the entry offers none that speaks plain RFB."""
    text = _text(entry, "vncUrl")
    if not text:
        return None
    allowed = "HOST:PORT is needed, with or without a scheme"
    url = _split(entry, "vncUrl", text if "://" in text else f"vnc://{text}", allowed)
    if url.scheme in _NOT_RFB:
        return None
    if url.port is None or url.hostname is None:
        raise entry.refusal("vncUrl", text, allowed)
    return url.hostname, url.port


def _split(entry: _Entry, field: str, text: str, allowed: str) -> SplitResult:
    """Return the parts of a URL that holds no password and whose host may be dialled."""
    try:
        url = urlsplit(text)
        is_whole = bool(url.hostname) and url.port != 0 and url.username is None
    except ValueError:
        is_whole = False
    if not is_whole or not _URL.fullmatch(text):
        raise entry.refusal(field, text, allowed)
    reason = _refusal_of_host(url.hostname or "")
    if reason:
        raise entry.refusal(field, text, reason)
    return url


def _refusal_of_host(host: str) -> str:
    """Say why a literal address is never an instance, or return an empty text.

    Source: WHATWG URL Standard section 3.5: a host that ends in a number is an address in disguise.
    """
    address = parse_address(host)
    if address is not None:
        return refusal_of(address)
    is_number = re.fullmatch(r"(.*\.)?(0x[0-9a-f]*|\d+)\.?", host)
    return "an address must be written as four decimal numbers" if is_number else ""
