"""Whether the monitor itself is alive: its runs, its store, what it has yet to tell, what holds its acts back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from prometheus_client.core import Metric

from api.families import counter, gauge, lone
from api.fleet import Fleet
from api.snapshot import Snapshot
from api.volume import Volume
from jobs.health.brake import COMMON_CAUSE, FLEET_BRAKE
from jobs.health.causes import FLEET, is_common
from jobs.health.recovery import Hold
from jobs.store.fleet import EVENTS
from jobs.store.outbox import Ending


def own_families(fleet: Fleet, volume: Volume) -> Iterator[Metric]:
    """Yield the families that don't speak of instances; those of a store that was never read have no samples."""
    yield from _runs(fleet.snapshot)
    yield from _store(fleet, volume)
    yield from _snapshot(volume)
    yield from _notifications(fleet.snapshot)
    yield from _stops(fleet)


def _runs(snapshot: Snapshot | None) -> Iterator[Metric]:
    successes = snapshot.last_successes if snapshot else {}
    runs = list(snapshot.runs.values()) if snapshot else []
    yield gauge(
        "loco_run_last_success_timestamp_seconds",
        "When the command last committed a tick; alert on its age",
        ("command",),
        [((command,), at_ms / 1000) for command, at_ms in sorted(successes.items())],
    )
    yield gauge(
        "loco_run_duration_seconds",
        "How long the newest run's last tick took",
        ("command",),
        [((run.command,), run.duration_seconds) for run in runs if run.duration_seconds is not None],
    )
    yield gauge(
        "loco_run_instances",
        "How many instances the newest run's last tick covered",
        ("command",),
        [((run.command,), run.instances) for run in runs if run.instances is not None],
    )
    yield gauge(
        "loco_run_problem",
        "1 when the command's newest run failed, or says that something is wrong though it goes on; /api/runs has it",
        ("command",),
        [((run.command,), run.is_in_trouble) for run in runs],
    )


def _store(fleet: Fleet, volume: Volume) -> Iterator[Metric]:
    yield lone("loco_store_readable", "1 when the API can read the store now, 0 when it can't", not fleet.problem)
    size_bytes = fleet.snapshot.size_bytes if fleet.snapshot and not fleet.problem else None
    yield lone("loco_store_size_bytes", "Size of the store's file; absent while it can't be read", size_bytes)
    yield lone(
        "loco_store_free_bytes",
        "Room that the store's file system has left; absent where it can't be asked",
        volume.free_bytes,
    )


def _snapshot(volume: Volume) -> Iterator[Metric]:
    yield lone(
        "loco_snapshot_size_bytes",
        "Size of ConfigMap loco-health, of which Kubernetes takes 1 MiB; absent without one",
        volume.snapshot_bytes,
    )
    yield lone(
        "loco_snapshot_trimmed",
        "1 when evidence was left out of ConfigMap loco-health for room; absent without one",
        volume.is_snapshot_trimmed,
    )


def _notifications(snapshot: Snapshot | None) -> Iterator[Metric]:
    queues = snapshot.queues if snapshot else {}
    yield gauge(
        "loco_notifications_waiting",
        "What waits to be told, by where it goes; events are Kubernetes' own",
        ("destination",),
        [((name,), queue.waiting) for name, queue in queues.items()],
    )
    yield gauge(
        "loco_notifications_oldest_timestamp_seconds",
        "Since when the oldest of it waits; absent when nothing does",
        ("destination",),
        [((name,), queue.oldest_at_ms / 1000) for name, queue in queues.items() if queue.oldest_at_ms is not None],
    )
    yield counter(
        "loco_notifications",
        "Notifications that were sent or given up",
        ("destination", "outcome"),
        product((name for name in queues if name != EVENTS), (Ending.SENT, Ending.GIVEN_UP)),
        snapshot.notified if snapshot else {},
    )


def _stops(fleet: Fleet) -> Iterator[Metric]:
    """Yield what keeps the whole fleet from being acted on, each as 0 where it doesn't."""
    recovery = fleet.snapshot.recovery if fleet.snapshot else None
    stops = {hold: fleet.stop is not None and fleet.stop.hold is hold for hold in (Hold.KILL_SWITCH, Hold.PAUSED)}
    if recovery:
        stops[Hold.DRY_RUN] = recovery.bounds.is_dry_run
    yield gauge(
        "loco_recovery_stopped",
        "1 when acts are stopped by the kill switch, a pause of the fleet, or a dry run",
        ("hold",),
        [((hold,), is_on) for hold, is_on in stops.items()],
    )
    counts = dict.fromkeys((FLEET_BRAKE, COMMON_CAUSE), 0) if recovery else {}
    for key, incident in fleet.snapshot.incidents.items() if fleet.snapshot and recovery else ():
        if is_common(key):
            counts[FLEET_BRAKE if key == FLEET else COMMON_CAUSE] += len(incident.members)
    yield gauge(
        "loco_brake_instances",
        "How many ill instances an open brake counts; 0 when it is off",
        ("brake",),
        [((brake,), count) for brake, count in counts.items()],
    )
