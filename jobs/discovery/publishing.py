"""Rounds that publish the snapshot beside what they do."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from jobs.cluster.publisher import Publisher
from jobs.window import Beat, Observed, Rounds

# chosen: a change is in the ConfigMap within seconds, where a minute has passed since the last one.
SNAPSHOT = Beat("snapshot", 5)


class PublishingRounds:
    """Discovery's rounds with one beat more; what keeps the snapshot from being written is a problem of theirs."""

    def __init__(self, rounds: Rounds, publisher: Publisher) -> None:
        self.name = rounds.name
        self.beats = (*rounds.beats, SNAPSHOT)
        self._rounds = rounds
        self._publisher = publisher
        self._connection: sqlite3.Connection

    def warm(self, connection: sqlite3.Connection) -> None:
        """Get ready."""
        self._rounds.warm(connection)

    def resume(self, connection: sqlite3.Connection) -> None:
        """Load what the last holder left."""
        self._connection = connection
        self._rounds.resume(connection)

    def observe(self, beat: Beat, tick: int) -> Observed:
        """Have the snapshot written, or make a round of discovery."""
        if beat is SNAPSHOT:
            self._publisher.look(self._connection)
            return Observed(None, 0)
        observed = self._rounds.observe(beat, tick)
        clauses = [clause for clause in (observed.problem, self._publisher.problem) if clause]
        return replace(observed, problem="; ".join(clauses) or None)
