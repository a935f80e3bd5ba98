"""Following one namespace from a thread of its own: list, watch until the next list is due, list anew.

One namespace that is slow, silent or forbidden so holds up no other. A watch is only there to be quick: whatever ends
it (410, a cut connection, silence past its own end) is mended by the next list. A list is taken whole or not at all.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from jobs.cluster.client import ClusterClient
from jobs.cluster.fields import at
from jobs.cluster.owners import services_of, statefulset_in
from jobs.cluster.pods import Found, found_in
from jobs.cluster.sight import Sight
from jobs.errors import ClusterError, Forbidden, Gone
from jobs.store.discovery import Namespace

logger = logging.getLogger(__name__)

# architecture section 3
LIST_SECONDS = 30

# chosen: the server ends a watch on time; one that says nothing for so long after is half open.
STALL_SECONDS = 3

# chosen: a server that drips byte by byte passes every shorter deadline.
LATE_LISTS = 3

# chosen: a second try may succeed at once, a server that refuses is asked ever less often.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0

# chosen: a list that expires while it is read is begun anew; one that always does is a problem to be shown.
_MAX_LIST_TRIES = 3


class NamespaceWatch:
    """Keeps the sight of one namespace. clock: Unix milliseconds. connect: makes a client, in the thread."""

    def __init__(
        self,
        namespace: str,
        selector: str,
        *,
        clock: Callable[[], int],
        connect: Callable[[], ClusterClient] = ClusterClient,
        list_seconds: int = LIST_SECONDS,
    ) -> None:
        self._namespace = namespace
        self._selector = selector
        self._clock = clock
        self._connect = connect
        self._list_seconds = list_seconds
        self._lock = threading.Lock()
        self._sight = Sight(Namespace(name=namespace))
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._listed_at = time.monotonic()
        self._looked = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{namespace}", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def close(self) -> None:
        """Stop at the next event; a thread that waits for one ends with the process."""
        self._closed.set()

    def wait_looked(self, seconds: float) -> bool:
        """Wait until the first list has ended, well or not; tell whether it has."""
        return self._looked.wait(seconds)

    @property
    def sight(self) -> Sight:
        """Return what is seen now; the same object as long as nothing has changed.

        Raises: RuntimeError when the thread has died of a bug, so that the run ends and another begins.
        """
        if not self._thread.is_alive() and not self._closed.is_set():
            raise RuntimeError(f"the thread that watches namespace {self._namespace} has died, see its traceback")
        with self._lock:
            late_seconds = LATE_LISTS * self._list_seconds
            if not self._sight.facts.problem and time.monotonic() - self._listed_at > late_seconds:
                late = f"namespace {self._namespace} wasn't listed for over {late_seconds} s"
                problem = f"{late}, the API server is slow or this run stood still"
                self._sight = self._told(problem, is_forbidden=False)
            return self._sight

    def _run(self) -> None:
        while not self._closed.is_set():
            began = time.monotonic()
            try:
                with self._connect() as client:
                    while not self._closed.is_set():
                        began = time.monotonic()
                        self._space(began, self._watch(client, self._list(client)))
            except ClusterError as error:
                self._fail(error)
                self._space(began, error.retry_seconds)

    def _space(self, began: float, least_seconds: float) -> None:
        """Wait before the next list, longer each time when the last one came to its end early."""
        lived_seconds = time.monotonic() - began
        if lived_seconds >= self._list_seconds:
            self._pause_seconds = FIRST_PAUSE_SECONDS
            return
        self._closed.wait(max(self._pause_seconds, least_seconds))
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)

    def _fail(self, error: ClusterError) -> None:
        """Keep what was seen, and say why nothing newer is."""
        is_forbidden = isinstance(error, Forbidden)
        advice = "; apply the component watch-namespace there" if is_forbidden else ""
        problem = f"namespace {self._namespace} can't be listed: {error}{advice}"
        with self._lock:
            if problem != self._sight.facts.problem:
                logger.warning("namespace can't be listed", extra={"namespace": self._namespace, "problem": problem})
            self._sight = self._told(problem, is_forbidden=is_forbidden)
        self._looked.set()

    def _told(self, problem: str, *, is_forbidden: bool) -> Sight:
        """Return what was seen, with why nothing newer is."""
        return replace(self._sight, facts=replace(self._sight.facts, problem=problem, is_forbidden=is_forbidden))

    def _list(self, client: ClusterClient) -> str:
        """Take a whole list; returns the version from which a watch goes on."""
        for remaining in reversed(range(_MAX_LIST_TRIES)):
            try:
                pods, labels, version = self._pods(client)
                break
            except Gone:
                if not remaining:
                    raise
        facts = replace(self._owners(client, labels), listed_at_ms=self._clock(), pods=len(pods))
        with self._lock:
            self._sight = Sight(facts, pods)
            self._listed_at = time.monotonic()
        self._looked.set()
        return version

    def _pods(self, client: ClusterClient) -> tuple[dict[str, Found], list[dict[str, Any]], str]:
        """Return the pods by name, the labels they have, and the list's version."""
        pods: dict[str, Found] = {}
        labels: dict[str, dict[str, Any]] = {}
        version = ""
        for page in client.pages(self._path("pods"), {"labelSelector": self._selector}):
            version = page.version
            for item in page:
                found = found_in(item)
                if found:
                    pods[found.pod.name] = found
                    its = at(item, "metadata", "labels")
                    labels.setdefault(repr(its), its if isinstance(its, dict) else {})
        return pods, list(labels.values()), version

    def _owners(self, client: ClusterClient, labels: list[dict[str, Any]]) -> Namespace:
        """Return the facts of StatefulSets and Services; without the right to list them the pods still count."""
        facts = Namespace(name=self._namespace)
        try:
            sets = self._items(client, "/apis/apps/v1", "statefulsets")
            services = self._items(client, "/api/v1", "services")
        except ClusterError as error:
            return replace(facts, owners_problem=f"{error}; which pods are wanted isn't known")
        return replace(facts, statefulsets=tuple(map(statefulset_in, sets)), services=services_of(services, labels))

    def _items(self, client: ClusterClient, group: str, kind: str) -> list[dict[str, Any]]:
        return [item for page in client.pages(self._path(kind, group)) for item in page]

    def _path(self, kind: str, group: str = "/api/v1") -> str:
        return f"{group}/namespaces/{self._namespace}/{kind}"

    def _watch(self, client: ClusterClient, version: str) -> float:
        """Follow the changes until the next list is due; however the watch ends, that list makes up for it.

        Returns for how many seconds the server wants to be left alone.
        """
        query: Mapping[str, object] = {
            "labelSelector": self._selector,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": self._list_seconds,
        }
        most_seconds = self._list_seconds + STALL_SECONDS
        ends_at = time.monotonic() + most_seconds
        try:
            for event in client.watch(self._path("pods"), query, silence_seconds=most_seconds):
                self._take(event)
                if self._closed.is_set() or time.monotonic() > ends_at:
                    break
        except ClusterError as error:
            logger.info("watch ended early", extra={"namespace": self._namespace, "cause": str(error)})
            return error.retry_seconds
        return 0.0

    def _take(self, event: dict[str, Any]) -> None:
        kind, found = event.get("type"), found_in(event.get("object"))
        if found is None or kind not in ("ADDED", "MODIFIED", "DELETED"):
            return
        with self._lock:
            pods = dict(self._sight.pods or {})
            if kind == "DELETED":
                pods.pop(found.pod.name, None)
            else:
                pods[found.pod.name] = found
            self._sight = Sight(replace(self._sight.facts, pods=len(pods)), pods)
