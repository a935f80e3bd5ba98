"""The flight recorder: what there is to see right before an act, and what the screen shows after it, in one bundle.

It costs at most about two seconds, also while QEMU hangs, and its failure stops no act: it is said and goes on.
"""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from agent.report import rfc3339
from jobs.errors import StoreError
from jobs.health.model import Instance
from jobs.health.recovery import Attempt
from jobs.probe.actions import AgentCalls
from jobs.probe.screens import MAX_SCREEN_BYTES
from jobs.probe.verify import Look
from jobs.recovery.redaction import redact
from jobs.store import reader
from jobs.store.connection import reading
from jobs.store.evidence import MAX_BUNDLE_BYTES, prune, read_bundle, write_bundle

# issue 6, part 4
SIGNALS_MS = 600_000

# chosen: 2 s for all, most of it for what only the agent sees.
AGENT_SECONDS = 1.2
PICTURE_SECONDS = 0.6

# chosen: half of a bundle, so that the rest of it always finds room.
MAX_AGENT_BYTES = 1024 * 1024

# What goes first where a bundle is too large: the bulkiest, and what can be had elsewhere.
_DISPENSABLE = ("signals", "screens", "agent", "pod", "report")


class Recorder:
    """Keeps bundles beside the store. pod: the pod's JSON as it was read last, None where there is none."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        store: Path,
        calls: AgentCalls,
        *,
        pod: Callable[[], Any],
        wall_ms: Callable[[], int],
    ) -> None:
        self._connection = connection
        self._store = store
        self._calls = calls
        self._pod = pod
        self._wall_ms = wall_ms

    def keep(self, attempt: Attempt, look: Look) -> str:
        """Keep a bundle; returns one clause about why not, empty when it was kept."""
        now_ms = self._wall_ms()
        try:
            screens = self._screens(look.instance, now_ms)
            bundle = {**redact(self._collect(attempt, look, now_ms)), "screens": screens}
            write_bundle(self._store, attempt.id, encode(bundle))
            prune(self._store, at_seconds=now_ms / 1000)
        except OSError as error:
            return f"it can't be written: {error.strerror or error}"
        except (ValueError, StoreError) as error:
            return str(error)
        return ""

    def add_after(self, attempt: Attempt, look: Look) -> str:
        """Add to the attempt's bundle what the last look after the act saw, with a picture; returns as `keep` does."""
        try:
            body = read_bundle(self._store, attempt.id)
            if body is None:
                return "it has no bundle to add to"
            bundle = msgspec.json.decode(body, type=dict[str, Any])
            screen = self._screen_now(look.instance, self._wall_ms())
            bundle["after"] = {**redact(self._seen_after(look)), "screen": screen}
            write_bundle(self._store, attempt.id, encode(bundle))
        except OSError as error:
            return f"it can't be written: {error.strerror or error}"
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            return str(error)
        return ""

    def _seen_after(self, look: Look) -> dict[str, Any]:
        return {
            "collectedAt": rfc3339(self._wall_ms() / 1000),
            "verdict": look.assessment.verdict.value,
            "reasons": _plain(look.assessment.reasons),
        }

    def _collect(self, attempt: Attempt, look: Look, now_ms: int) -> dict[str, Any]:
        instance = look.instance
        return {
            "attempt": attempt.id,
            "instance": instance.public_id,
            "action": attempt.action.value,
            "incident": attempt.incident,
            "uid": attempt.uid,
            "collectedAt": rfc3339(now_ms / 1000),
            "verdict": look.assessment.verdict.value,
            "reasons": _plain(look.assessment.reasons),
            "report": _plain(look.report),
            "agent": self._from_agent(instance),
            "pod": _pod_facts(self._pod()),
            "node": _node_facts(instance),
            "signals": self._signals(instance, now_ms),
        }

    def _from_agent(self, instance: Instance) -> Any:  # noqa: ANN401 - JSON
        """Return what only the agent sees: interfaces, sinks, QMP's state and events."""
        said = self._calls.evidence(instance, seconds=AGENT_SECONDS, max_bytes=MAX_AGENT_BYTES)
        if isinstance(said, str):
            return {"error": said}
        try:
            return msgspec.json.decode(said)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return {"error": f"the agent's evidence is no JSON: {error}"}

    def _screens(self, instance: Instance, now_ms: int) -> list[dict[str, Any]]:
        """Return the picture of now, and the one that was kept before it."""
        with reading(self._connection):
            kept = reader.screen(self._connection, instance.key)
        screens = []
        if kept:
            screens.append(_screen(kept.png, kept.taken_at_ms))
        screens.append(self._screen_now(instance, now_ms))
        return screens

    def _screen_now(self, instance: Instance, now_ms: int) -> dict[str, Any]:
        said = self._calls.picture(instance, seconds=PICTURE_SECONDS, max_bytes=MAX_SCREEN_BYTES)
        return {"error": said} if isinstance(said, str) else _screen(said, now_ms)

    def _signals(self, instance: Instance, now_ms: int) -> list[dict[str, Any]]:
        """Return the last ten minutes' ticks, oldest first."""
        with reading(self._connection):
            ticks = reader.recent(self._connection, SIGNALS_MS // 15_000, only=instance.key).get(instance.key, [])
        return [
            {
                "tick": one.tick,
                "receivedAt": rfc3339(one.received_at_ms / 1000),
                "outcome": one.outcome.value,
                "verdict": one.verdict.value,
                "codes": list(one.codes),
                "report": _plain(one.report),
            }
            for one in ticks
            if now_ms - one.received_at_ms <= SIGNALS_MS
        ]


def encode(bundle: dict[str, Any]) -> bytes:
    """Return a bundle as JSON of at most MAX_BUNDLE_BYTES; `leftOut` names what had to go, before as well."""
    left_out: list[str] = list(bundle.get("leftOut") or ())
    while True:
        body = msgspec.json.encode({**bundle, "leftOut": left_out})
        dispensable = [name for name in _DISPENSABLE if name in bundle and name not in left_out]
        if len(body) <= MAX_BUNDLE_BYTES or not dispensable:
            return body
        left_out.append(dispensable[0])
        bundle = {**bundle, dispensable[0]: None}


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a value as JSON has it."""
    return msgspec.to_builtins(value)


def _screen(png: bytes, taken_at_ms: int) -> dict[str, Any]:
    return {"takenAt": rfc3339(taken_at_ms / 1000), "png": base64.b64encode(png).decode()}


def _pod_facts(pod: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a pod's state as Kubernetes tells it, without its spec: that holds the environment."""
    if not isinstance(pod, dict):
        return {"error": "the instance has no pod that could be read"}
    metadata = pod.get("metadata")
    known = metadata if isinstance(metadata, dict) else {}
    names = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "labels", "ownerReferences")
    return {"metadata": {name: known.get(name) for name in names}, "status": pod.get("status")}


def _node_facts(instance: Instance) -> dict[str, Any]:
    pod = instance.pod
    if pod is None:
        return {"error": "the instance has no pod, so no node is known"}
    if pod.node_problem is None:
        return {"name": pod.node, "problem": None, "error": "node conditions come with component node-facts"}
    return {"name": pod.node, "problem": pod.node_problem}
