"""What one look at a namespace has shown so far; a value, so that threads may hand it over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.cluster.pods import Found
from jobs.store.discovery import Namespace


@dataclass(frozen=True, slots=True)
class Sight:
    """pods: by name, None before the first whole list. facts: what discovery-info says of the namespace."""

    facts: Namespace
    pods: Mapping[str, Found] | None = None
