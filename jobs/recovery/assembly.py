"""What a recovery works with, put together from its settings: in a cluster, or on a machine without one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobs.clock import Clock
from jobs.health.model import Instance
from jobs.keys import MasterMissing, instance_keys, read_master
from jobs.planner import Recovery
from jobs.probe.actions import NO_KEY, ActOrder, AgentCalls, Challenge, Done, Refused, Silent
from jobs.probe.looks import Looks, watched_of
from jobs.recovery.evidence import Recorder
from jobs.recovery.ground import LocalGround, NoGround
from jobs.recovery.means import Ground, Means


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a recovery runs. namespace: of the recovery Jobs, empty without a cluster. master: file of the key."""

    store: Path
    recovery: Recovery
    namespace: str = ""
    master: Path | None = None


class KeyedAgent:
    """Calls to agents, signed with the key that is an instance's own."""

    def __init__(self, calls: AgentCalls, master: Path | None) -> None:
        self._calls = calls
        self._master = master

    def challenge(self, instance: Instance) -> Challenge | Refused | Silent:
        """Ask for leave to send one act within 30 s; without a key there is nothing to ask for."""
        try:
            read_master(self._master)
        except MasterMissing as error:
            return Refused(0, NO_KEY, str(error))
        return self._calls.challenge(instance)

    def act(self, instance: Instance, order: ActOrder, challenge: Challenge) -> Done | Refused | Silent:
        """Have one act done, once."""
        try:
            masters = read_master(self._master)
        except MasterMissing as error:
            return Refused(0, NO_KEY, str(error))
        return self._calls.act(instance, order, challenge, instance_keys(masters, instance.key))


@contextmanager
def means_for(
    place: Place, connection: sqlite3.Connection, known: Instance, *, clock: Clock, is_known: bool = True
) -> Iterator[Means]:
    """Yield what recovers one instance. is_known: the inventory has it; otherwise there is nothing to stand on.

    Raises: ClusterError without a way to the API server.
    """
    with ExitStack() as opened:
        calls = opened.enter_context(closing(AgentCalls()))
        looks = Looks(
            watched_of(connection, known, place.recovery.leave.policy),
            place.recovery.leave.policy,
            wall_ms=clock.wall_ms,
            monotonic=clock.monotonic,
        )
        opened.enter_context(closing(looks))
        ground: Ground = NoGround()
        if is_known and place.namespace:
            ground = _cluster_ground(place.namespace, known, clock, opened)
        elif is_known:
            ground = LocalGround(connection, known.key, control=place.recovery.control, wall_ms=clock.wall_ms)
        recorder = Recorder(
            connection, place.store, calls, pod=lambda: getattr(ground, "pod", None), wall_ms=clock.wall_ms
        )
        yield Means(ground, KeyedAgent(calls, place.master), looks, recorder)


def _cluster_ground(namespace: str, known: Instance, clock: Clock, opened: ExitStack) -> Ground:
    from jobs.cluster.client import ClusterClient  # noqa: PLC0415 - the client costs 130 ms and 20 MiB
    from jobs.cluster.ground import ClusterGround  # noqa: PLC0415 - as above

    client = opened.enter_context(ClusterClient())
    return ClusterGround(client, known, namespace=namespace, wall_ms=clock.wall_ms)
