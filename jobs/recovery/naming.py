"""Which instance somebody means by a name; pure. A new ledger reads a Job as the run of that Job did."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.health.model import InstanceKey


def names_of(public_ids: Mapping[InstanceKey, str]) -> dict[str, InstanceKey]:
    """Return each instance by its names: its public id in small letters, as a Job's name has it, and its key."""
    names = {public_id.lower(): key for key, public_id in public_ids.items()}
    return {**names, **{key: key for key in public_ids}}


def key_named(name: str, names: Mapping[str, InstanceKey]) -> InstanceKey | None:
    """Return the key of the instance of that name, None when there is none."""
    return names.get(name.lower()) or names.get(name)
