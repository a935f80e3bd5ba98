"""A running decoy as faults and healing find it: its processes now, its monitor, its network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.decoy import instance
from agent.decoy.errors import BadRequest, DecoyError
from agent.decoy.folder import Folder, Record, folder_of
from agent.decoy.process import Process
from agent.decoy.waiting import until

# chosen: a restart that was asked for takes a quarter of a second; a loaded machine gets forty times that.
_RESTART_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Running:
    """A decoy whose run was alive when it was looked up. record: as it was then."""

    folder: Folder
    record: Record

    def process(self, program: str) -> Process | None:
        """Return a program's process as it is now, or None while it waits for its restart."""
        record = self.folder.read()
        found = record.processes.get(program) if record else None
        return found if found and found.is_alive else None

    def require(self, program: str) -> Process:
        """Return a program's process. Raises: DecoyError while there is none."""
        found = self.process(program)
        if found is None:
            raise DecoyError(f"decoy {self.record.id} has no {program} process now; nothing was done")
        return found

    def require_links(self) -> Record:
        """Return the record of a decoy with bridge and tap. Raises: DecoyError when it has none."""
        if not self.record.bridge:
            raise DecoyError(
                f"decoy {self.record.id} has neither bridge nor tap (making them needs CAP_NET_ADMIN); nothing was done"
            )
        return self.record

    def restart(self, program: str) -> Process:
        """Have a program started at once that waits for its restart. Raises: DecoyError when it doesn't come."""

        def is_there() -> bool:
            self.record.processes[instance.RUN].send(instance.HURRY)
            return self.process(program) is not None

        until(is_there, seconds=_RESTART_SECONDS)
        found = self.process(program)
        if found is None:
            raise DecoyError(f"{program} of decoy {self.record.id} did not start within {_RESTART_SECONDS:.0f} s")
        return found


def find(directory: Path, decoy_id: str) -> Running:
    """Return a running decoy. Raises: BadRequest, which names those that run, when this one doesn't."""
    folder = folder_of(directory, decoy_id)
    record = folder.read()
    if record and instance.has_run(record):
        return Running(folder, record)
    others = sorted(path.parent.name for path in directory.glob("*/decoy.json"))
    there = f"there are {', '.join(others)}" if others else "none runs there"
    raise BadRequest(f"no decoy {decoy_id!r} runs in {directory} ({there}); nothing was done")
