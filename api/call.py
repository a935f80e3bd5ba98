"""One request as its route sees it, and what a route is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from api.answer import Answer
from api.asked import Asked, Way
from api.fleet import Fleet, Standing
from api.follower import Follower
from api.negotiation import names
from api.problem import ProblemReason, echo, not_found, unavailable
from api.snapshot import Snapshot
from api.trends import Told, Trend, Trends
from jobs.errors import JobError
from jobs.health.model import InstanceKey

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Call:
    """One request as its route sees it.

    id: the path's variable part, empty where there is none. variant: which of the route's media types is asked for.
    past: what is kept of the fleet's past. way: how people come by a token for a POST, None where none is taken.
    told: what this call was told of it so far.
    """

    fleet: Fleet
    follower: Follower
    id: str
    query: str
    variant: str
    past: Trends
    way: Way | None = None
    told: list[Told] = field(default_factory=list)

    @property
    def is_final(self) -> bool:
        """Tell whether the same fleet would answer the same later, as far as it was asked."""
        return all(told.is_final for told in self.told)

    @property
    def snapshot(self) -> Snapshot:
        """Return the snapshot.

        Raises: Problem (503) before the store could be read once.
        """
        if self.fleet.snapshot is None:
            raise unavailable(ProblemReason.STORE_UNREADABLE, self.fleet.problem)
        return self.fleet.snapshot

    @property
    def standing(self) -> Standing:
        """Return the instance that the path names.

        Raises: Problem (404).
        """
        standing = self.fleet.standings.get(self.id)
        if standing is None:
            raise not_found(ProblemReason.UNKNOWN_INSTANCE, f"no instance is called {echo(self.id)}")
        return standing

    def key_of(self, public_id: str) -> InstanceKey:
        """Return the key of the instance that a query names. Raises: Problem (404, or 503)."""
        instance = self.snapshot.instances.get(public_id)
        if instance is None:
            raise not_found(ProblemReason.UNKNOWN_INSTANCE, f"no instance is called {echo(public_id)}")
        return instance.key

    def public_ids(self) -> Mapping[InstanceKey, str]:
        """Return what people call each instance of the inventory. Raises: Problem (503)."""
        return {instance.key: public_id for public_id, instance in self.snapshot.instances.items()}

    def trends(self) -> Mapping[InstanceKey, Trend]:
        """Return each instance's past; without those whose past can't be read now."""
        self.told.append(self.past.of(self.follower.query, self.fleet))
        return self.told[-1].by_key

    def ask(self, question: Callable[[sqlite3.Connection], Found]) -> Found:
        """Return what the store answers.

        Raises: Problem (503) when it can't be read now.
        """
        try:
            return self.follower.query(question)
        except JobError as error:
            raise unavailable(ProblemReason.STORE_UNREADABLE, str(error)) from error


@dataclass(frozen=True, slots=True)
class Route:
    """One path.

    answer: to GET and HEAD, None for none. is_cached: it depends on the fleet, the path and the variant alone,
    with takes_query on the query too.
    needs_store: 503 before the store was read once. variants: media types that are answered only when asked for.
    post: the answer to POST, None for none.
    """

    path: str
    answer: Callable[[Call], Answer] | None
    is_cached: bool = True
    needs_store: bool = True
    variants: tuple[str, ...] = ()
    post: Callable[[Asked], Answer] | None = None
    takes_query: bool = False

    @property
    def methods(self) -> tuple[str, ...]:
        """Return the methods that are answered."""
        return (("GET", "HEAD") if self.answer else ()) + (("POST",) if self.post else ())

    def variant(self, accept: str) -> str:
        """Return the first of the variants that an Accept header names, empty for none."""
        return next((media_type for media_type in self.variants if names(accept, media_type)), "")
