"""The rounds of `discover` in a cluster: one watch a namespace, and what they show, in the store within a second."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.cluster.client import ClusterClient
from jobs.cluster.fleet import fleet_of
from jobs.cluster.node_watch import NodeWatch
from jobs.cluster.pods import KUBERNETES
from jobs.cluster.sight import Sight
from jobs.cluster.watch import NamespaceWatch
from jobs.discovery.problems import problem_of
from jobs.errors import ConfigError
from jobs.health.model import Instance
from jobs.inventory import parse_inventory, read_inventory
from jobs.store import reader
from jobs.store.asked import ask_tick
from jobs.store.connection import reading
from jobs.store.discovery import Detail, Discovery, Mode, Namespace, read_discovery, record_discovery
from jobs.store.writer import record_inventory
from jobs.window import Beat, Observed

logger = logging.getLogger(__name__)

# architecture section 3
INVENTORY = Beat("inventory", 30, is_tick=True)

# chosen: as soon as a person could look; without a change it costs nothing but the comparison.
CHANGES = Beat("changes", 1)

# chosen: a cluster that is well lists thousands of pods in this time; the run announces itself after it anyway.
_WARM_SECONDS = 5.0

NODE_FACTS_OFF = "node facts are off; the component node-facts switches them on"


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be watched. fallback: the instances file for when the cluster was never heard."""

    namespaces: tuple[str, ...]
    selector: str
    has_node_facts: bool = False
    fallback: Path | None = None


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look shows, so that one that shows nothing new is known; when it was listed is no news."""

    sights: tuple[Sight, ...]
    nodes: Mapping[str, str] | None


class ClusterRounds:
    """Keep the store's inventory as the cluster shows it. clock: Unix milliseconds."""

    name = "discover"
    beats = (INVENTORY, CHANGES)

    def __init__(
        self,
        scope: Scope,
        *,
        clock: Callable[[], int],
        connect: Callable[[], ClusterClient] = ClusterClient,
    ) -> None:
        self._scope = scope
        self._clock = clock
        self._watches = [
            NamespaceWatch(name, scope.selector, clock=clock, connect=connect) for name in scope.namespaces
        ]
        self._nodes = NodeWatch(connect=connect) if scope.has_node_facts else None
        self._is_started = False
        self._before: tuple[Instance, ...] = ()
        self._row: Discovery | None = None
        self._written: _Look | None = None
        self._problem: str | None = None

    def close(self) -> None:
        """Let the threads end."""
        for watch in self._threads():
            watch.close()

    def warm(self, connection: sqlite3.Connection) -> None:  # noqa: ARG002 - the protocol's signature
        """Begin to watch, and wait a moment for the first lists."""
        if not self._is_started:
            self._is_started = True
            for watch in self._threads():
                watch.start()
        ends_at = time.monotonic() + _WARM_SECONDS
        for watch in self._watches:
            watch.wait_looked(ends_at - time.monotonic())

    def resume(self, connection: sqlite3.Connection) -> None:
        """Load what the last holder left: it stands until the cluster says otherwise."""
        self._written = None
        with reading(connection):
            self._before = tuple(reader.inventory(connection))
            self._row = read_discovery(connection)

    def observe(self, beat: Beat, tick: int) -> Observed:  # noqa: ARG002 - the protocol's signature
        """Return the inventory as the watches show it now; between two ticks only when they show something new."""
        sights = tuple(watch.sight for watch in self._watches)
        look = _Look(tuple(map(_undated, sights)), self._nodes.problems if self._nodes else None)
        if not beat.is_tick and look == self._written:
            return Observed(None, len(self._before), self._problem)
        at_ms = self._clock()
        mode = self._mode(sights)
        instances, fallback_problem = self._inventory(mode, look, at_ms)
        problem = problem_of(sights, instances, self._scope.selector, fallback_problem)
        if problem and problem != self._problem:
            logger.warning("discovery has a problem", extra={"problem": problem})
        self._problem = problem
        row = self._discovery(mode, sights)

        def write(connection: sqlite3.Connection) -> None:
            known = {one.key for one in self._before}
            record_inventory(connection, instances, at_ms=at_ms)
            record_discovery(connection, row)
            if not known.issuperset(one.key for one in instances):
                ask_tick(connection, "collect", self.name, at_ms)
            self._before, self._row, self._written = instances, row, look

        return Observed(write, len(instances), problem)

    def _threads(self) -> Sequence[NamespaceWatch | NodeWatch]:
        return [*self._watches, *([self._nodes] if self._nodes else [])]

    def _mode(self, sights: Sequence[Sight]) -> Mode:
        """Return where the inventory comes from: a cluster that can't be asked leaves what it last showed."""
        if any(sight.facts.problem is None and sight.pods is not None for sight in sights):
            return Mode.KUBERNETES
        is_known = any(one.source == KUBERNETES for one in self._before)
        return Mode.STATIC if self._scope.fallback and not is_known else Mode.KEPT

    def _inventory(self, mode: Mode, look: _Look, at_ms: int) -> tuple[tuple[Instance, ...], str | None]:
        """Return the instances, and what is wrong with the fallback file where that is what counts."""
        if mode is Mode.STATIC and self._scope.fallback:
            try:
                path = self._scope.fallback
                return parse_inventory(read_inventory(path), str(path)), None
            except ConfigError as error:
                return self._before, str(error)
        if mode is Mode.KEPT and not any(one.source == KUBERNETES for one in self._before):
            return self._before, None
        return fleet_of(look.sights, self._before, nodes=look.nodes, at_ms=at_ms), None

    def _discovery(self, mode: Mode, sights: Sequence[Sight]) -> Discovery:
        """Return the row; what this run hasn't seen yet stands as the last one saw it."""
        earlier = {one.name: one for one in self._row.detail.namespaces} if self._row else {}
        namespaces = tuple(_carried(sight.facts, earlier.get(sight.facts.name)) for sight in sights)
        listed = [one.listed_at_ms for one in namespaces]
        known = [at_ms for at_ms in listed if at_ms is not None]
        nodes_problem = self._nodes.problem if self._nodes else NODE_FACTS_OFF
        return Discovery(
            mode,
            min(known) if known and len(known) == len(listed) else None,
            Detail(selector=self._scope.selector, namespaces=namespaces, nodes_problem=nodes_problem),
        )


def _undated(sight: Sight) -> Sight:
    return replace(sight, facts=replace(sight.facts, listed_at_ms=None))


def _carried(facts: Namespace, earlier: Namespace | None) -> Namespace:
    """Return the facts; of a namespace that this run hasn't listed yet, the last ones with what is wrong now."""
    if facts.listed_at_ms is not None or earlier is None:
        return facts
    return replace(earlier, problem=facts.problem, is_forbidden=facts.is_forbidden)
