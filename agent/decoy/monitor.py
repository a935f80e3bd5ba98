"""A decoy's QEMU from outside, through its own QMP socket: keys, run state, picture."""

from __future__ import annotations

import time
from contextlib import closing

from agent.decoy.errors import DecoyError
from agent.decoy.folder import Folder
from agent.decoy.waiting import until, until_it_works
from agent.qmp import Qmp, QmpError

# QEMU doubles the guest's 320 x 200 mode; the BIOS has a text mode of another size.
_GUEST_HEADER = b"P6\n640 400\n255\n"

# chosen: the guest moves 18 times a second, so two pictures this far apart differ unless it stands still.
_MOVE_SECONDS = 0.3

# chosen: a guest was seen to boot in 3.5 s under nested KVM; a busy machine gets several times that.
_BOOT_SECONDS = 20.0

# chosen: QEMU was seen to answer within 0.3 s of its start.
_START_SECONDS = 10.0

# chosen: the guest looks for keys 18 times a second.
_KEY_SECONDS = 3.0


def wait_for_qemu(folder: Folder) -> None:
    """Wait until QEMU answers. Raises: DecoyError when it doesn't in the time of a start."""
    until_it_works(lambda: run_state(folder), seconds=_START_SECONDS)


def press(folder: Folder, key: str) -> None:
    """Press a key of the guest, and return when its picture stands still, as every key makes it.

    Raises: DecoyError when the guest doesn't boot or doesn't take the key.
    """
    if not has_booted(folder):
        raise DecoyError(f"the guest of decoy {folder.path.name} did not boot within {_BOOT_SECONDS:.0f} s")
    execute(folder, "send-key", {"keys": [{"type": "qcode", "data": key}]})
    if not until(lambda: not is_moving(folder), seconds=_KEY_SECONDS):
        raise DecoyError(f"the guest of decoy {folder.path.name} did not take the key {key!r}")


def has_booted(folder: Folder) -> bool:
    """Wait until the guest shows its graphics mode, and tell whether it did in the time of a slow boot."""
    return until(lambda: _picture(folder).startswith(_GUEST_HEADER), seconds=_BOOT_SECONDS)


def moves_again(folder: Folder) -> bool:
    """Wait until the guest's picture moves, and tell whether it did in the time of a slow boot."""
    return until(lambda: is_moving(folder), seconds=_BOOT_SECONDS)


def is_moving(folder: Folder) -> bool:
    """Tell whether the guest's picture moves; the BIOS's never counts. Cost: a third of a second."""
    before = _picture(folder)
    time.sleep(_MOVE_SECONDS)
    after = _picture(folder)
    return before != after and before.startswith(_GUEST_HEADER) and after.startswith(_GUEST_HEADER)


def execute(folder: Folder, command: str, arguments: dict[str, object] | None = None) -> object:
    """Run one QMP command and return its answer. Raises: DecoyError when QEMU doesn't answer or refuses."""
    with closing(Qmp(str(folder.qmp))) as qmp:
        try:
            answer: object = qmp.execute(command, arguments)
        except QmpError as error:
            raise DecoyError(f"QEMU of decoy {folder.path.name} does not do as asked: {error}") from error
        return answer


def run_state(folder: Folder) -> str:
    """Return QMP's word for what the virtual machine does (`running`, `paused`, ...)."""
    status = execute(folder, "query-status")
    return str(status["status"]) if isinstance(status, dict) else "unknown"


def _picture(folder: Folder) -> bytes:
    """Return the guest's screen as a PPM file."""
    path = folder.path / "picture.ppm"
    execute(folder, "screendump", {"filename": str(path)})
    return path.read_bytes()
