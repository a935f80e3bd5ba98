"""The record of each cluster, written before anything else of it: whatever happens then, it can be removed."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localkind import network
from localkind.errors import LocalkindError
from localkind.layout import RUN, STATE, Cluster, state_folder


@dataclass(frozen=True)
class Record:
    """What is kept of a cluster. kubeconfig: the file of the user's that has its context."""

    cluster: Cluster
    kubeconfig: Path


def read(name: str) -> Record | None:
    """Return the record of the cluster of that name, None where there is none."""
    try:
        document = json.loads((state_folder(name) / "cluster.json").read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: killed while it was written
        return None
    return Record(Cluster(name, document["number"], document["workers"]), Path(document["kubeconfig"]))


def register(name: str, *, workers: int, kubeconfig: Path) -> Record:
    """Write the record of a new cluster, under a number that no other cluster has and whose subnet is free."""
    with _lock():
        records = [read(path.name) for path in STATE.glob("*")]
        taken = {record.cluster.number for record in records if record}
        for number in network.NUMBERS:
            cluster = Cluster(name, number, workers)
            if number not in taken and network.is_free(cluster.network):
                return _write(Record(cluster, kubeconfig.absolute()))
    raise LocalkindError("all of 10.89.0.0/16 is in use on this machine; no cluster was made")


def _write(record: Record) -> Record:
    cluster = record.cluster
    cluster.folder.mkdir(parents=True)
    document = {"number": cluster.number, "workers": cluster.workers, "kubeconfig": str(record.kubeconfig)}
    (cluster.folder / "cluster.json").write_text(json.dumps(document))
    return record


@contextmanager
def _lock() -> Iterator[None]:
    RUN.mkdir(parents=True, exist_ok=True)
    with (RUN / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
