"""The policy file, read."""

from __future__ import annotations

from pathlib import Path

from jobs.errors import ConfigError
from jobs.health.policy import Policy
from jobs.health.policyfile import parse_policy


def read_policy(path: Path | None) -> Policy:
    """Return what a policy file says, the defaults without one. Raises: ConfigError."""
    if path is None:
        return Policy()
    try:
        return parse_policy(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"policy {path} can't be read: {error}; nothing was started") from error
