"""Listing the nodes every 30 s from a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from jobs.cluster.client import ClusterClient
from jobs.cluster.fields import text
from jobs.cluster.nodes import node_problem
from jobs.errors import ClusterError, Forbidden

# As the pods: architecture section 3.
LIST_SECONDS = 30


class NodeWatch:
    """Keeps what is wrong with each node. connect: makes a client, in the thread.

    problem: why there is nothing to be said of the nodes, None while there is.
    """

    def __init__(self, *, connect: Callable[[], ClusterClient] = ClusterClient) -> None:
        self._connect = connect
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch-nodes", daemon=True)
        self._problems: Mapping[str, str] | None = None
        self.problem: str | None = "the nodes weren't listed yet"

    def start(self) -> None:
        """Begin to list."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the list that runs."""
        self._closed.set()

    @property
    def problems(self) -> Mapping[str, str] | None:
        """Return what is wrong with each node, None before the first list and while the nodes can't be listed.

        Raises: RuntimeError when the thread has died of a bug, so that the run ends and another begins.
        """
        if not self._thread.is_alive() and not self._closed.is_set():
            raise RuntimeError("the thread that lists the nodes has died, see its traceback")
        return self._problems

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                with self._connect() as client:
                    items = [item for page in client.pages("/api/v1/nodes") for item in page]
            except ClusterError as error:
                advice = "; apply the component node-facts" if isinstance(error, Forbidden) else ""
                self._problems, self.problem = None, f"the nodes can't be listed: {error}{advice}"
            else:
                self._problems, self.problem = {text(one, "metadata", "name"): node_problem(one) for one in items}, None
            self._closed.wait(LIST_SECONDS)
