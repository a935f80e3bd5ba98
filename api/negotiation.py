"""What a request's headers ask of an answer's form: compression, media type, and whether its body is known. Pure."""

from __future__ import annotations


def takes_gzip(accept_encoding: str) -> bool:
    """Tell whether gzip is accepted; its own weight stands over that of `*` (RFC 9110 section 12.5.3)."""
    weights = _weights(accept_encoding)
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def names(accept: str, media_type: str) -> bool:
    """Tell whether an Accept header names a media type itself, and doesn't refuse it (RFC 9110 section 12.5.1)."""
    return _weights(accept).get(media_type, 0.0) > 0


def is_known(etag: str, if_none_match: str) -> bool:
    """Tell whether the caller has this body already (RFC 9110 section 13.1.2, weak comparison)."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


def _weights(header: str) -> dict[str, float]:
    """Return {name: its highest weight}."""
    found: dict[str, float] = {}
    for part in header.lower().split(","):
        name, _, parameters = part.partition(";")
        found[name.strip()] = max(_weight(parameters), found.get(name.strip(), 0.0))
    return found


def _weight(parameters: str) -> float:
    """Return the `q` among parameters, 1 without one, 0 for one that is no number from 0 to 1."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if 0 <= weight <= 1 else 0.0
    return 1.0
