"""A decoy's folder: where its sockets, logs and record are, and the lock that keeps a second run out."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.decoy.errors import BadRequest, DecoyError
from agent.decoy.process import Process

# unix(7): sun_path holds 108 bytes with its final NUL.
MAX_SOCKET_PATH_BYTES = 107

# Kubernetes' names (RFC 1123 label), because an id stands where a pod's name does.
_ID = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a run tells about itself in decoy.json. netns: None without a network namespace of its own.

    is_up: QEMU and the agent have answered since the start.
    programs: what this machine had the means for.
    processes: by program (`decoy` is the run itself); one that is away until its restart is left out.
    """

    id: str
    address: str
    health_url: str
    vnc_address: str
    netns: str | None
    bridge: str
    tap: str
    boot_id: str
    is_up: bool
    programs: list[str]
    processes: dict[str, Process]


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of one decoy; a folder without a record is one where nothing runs."""

    path: Path

    @property
    def qmp(self) -> Path:
        """Return the QMP socket that faults and healing use."""
        return self.path / "qmp.sock"

    @property
    def agent_qmp(self) -> Path:
        """Return the QMP socket that is the agent's alone."""
        return self.path / "qmp-agent.sock"

    @property
    def pulse(self) -> Path:
        """Return PulseAudio's socket."""
        return self.path / "pulse.sock"

    @property
    def qemu_pid(self) -> Path:
        """Return the pid file that QEMU writes."""
        return self.path / "qemu.pid"

    @property
    def parking(self) -> Path:
        """Return an empty folder that a mount namespace may use while it rearranges /sys."""
        return self.path / "parking"

    @property
    def pulse_server(self) -> str:
        """Return the server string that PulseAudio's clients take."""
        return f"unix:{self.pulse}"

    def log(self, program: str) -> Path:
        """Return where a program's output goes."""
        return self.path / f"{program}.log"

    def write(self, record: Record) -> None:
        """Write the record so that a reader finds the old one or the new one, never a part."""
        fresh = self.path / "decoy.json.new"
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
        fresh.replace(self._record)

    def read(self) -> Record | None:
        """Return the record, or None where there is none."""
        try:
            return msgspec.json.decode(self._record.read_bytes(), type=Record)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise DecoyError(f"{self._record} is not a decoy's record: {error}; remove it by hand") from error

    def clear(self) -> None:
        """Remove the record and the sockets; logs stay for whoever asks why."""
        for path in (self._record, self.qmp, self.agent_qmp, self.pulse, self.qemu_pid):
            path.unlink(missing_ok=True)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep every other run and stop out until the block ends, however it ends.

        Raises: BadRequest while another process holds it, or where it can't be made.
        """
        try:
            # One by one: the mode given with `parents` is the last one's alone.
            if not self.path.parent.exists():
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise BadRequest(
                f"folder {self.path} can't be made ({error.strerror}); choose another by --dir; nothing was started"
            ) from error
        with (self.path / "lock").open("w", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadRequest(
                    f"decoy {self.path.name} in {self.path.parent} runs already; this one was not started"
                ) from None
            yield

    @property
    def _record(self) -> Path:
        return self.path / "decoy.json"


def default_directory() -> Path:
    """Return where decoys live unless told otherwise: short, as socket paths must be, and one a user."""
    return Path(f"/tmp/loco-decoy-{os.getuid()}")  # noqa: S108 - mode 0700, and refused when somebody else's


def folder_of(directory: Path, decoy_id: str) -> Folder:
    """Return the folder of a decoy, running or not.

    Raises: BadRequest for an id that can't be a pod's name, a path too long for sockets, or a stranger's directory.
    """
    if not _ID.fullmatch(decoy_id):
        raise BadRequest(
            f"decoy id {decoy_id!r} must be at most 63 of a-z, 0-9 and '-', with no '-' at an end; nothing was done"
        )
    folder = Folder(directory.absolute() / decoy_id)
    length = len(os.fsencode(folder.agent_qmp))
    if length > MAX_SOCKET_PATH_BYTES:
        raise BadRequest(
            f"directory {directory} makes socket paths of {length} bytes, "
            f"the kernel takes {MAX_SOCKET_PATH_BYTES}; choose a shorter one by --dir; nothing was done"
        )
    if directory.exists() and directory.stat().st_uid != os.getuid():
        raise BadRequest(f"directory {directory} belongs to another user; choose another by --dir; nothing was done")
    return folder
