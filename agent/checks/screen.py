"""What does the guest show, and does it move?"""

from __future__ import annotations

import mmap
import os
import time

import msgspec

from agent.png import Picture, fit, largest_colour_ratio, parse_ppm, picture_hash, single_colour, thumbnail
from agent.qmp import Qmp
from agent.report import Screen, rfc3339

# chosen: a screen frozen for 20 s must be known within 30 s, so dumps are 3 s apart while they are cheap;
# a dump may take QEMU 1/300 of its time (720x400 took 2 ms), so a dear one waits, up to 15 s.
DUMP_PAUSE_RATIO = 300
_MAX_PAUSE_SECONDS = 15.0

# The number that QEMU knows our file by; the monitor is ours alone, so no one else takes it.
_FDSET = 7


class ScreenCheck:
    """Pictures from QMP screendump, in memory that is handed to QEMU: no folder is shared, no disk written."""

    def __init__(self, qmp: Qmp | None, *, pause_ratio: float) -> None:
        self._qmp, self._pause_ratio = qmp, pause_ratio
        self._file = _MemoryFile()
        self._handed_over_to = -1
        self._next_dump_at = 0.0
        self._hash = ""
        self._changed_at: float | None = None
        self._dumps = 0
        self._block = Screen(error="no picture yet")
        # Each pair is a picture and the hash of the dump that it shows, swapped as one between threads.
        self._small: tuple[Picture, str] | None = None
        self._thumbnail = (b"", "")

    def measure(self) -> Screen:
        """Return the block of the latest dump, with its time. Raises: QmpError, PictureInvalid."""
        if self._qmp is None:
            return Screen(error="no QMP socket is configured")
        is_same_qemu = self._qmp.is_open and self._qmp.connections == self._handed_over_to
        if not is_same_qemu or time.monotonic() >= self._next_dump_at:
            started_at = time.monotonic()
            checked_at = rfc3339(time.time())
            picture = parse_ppm(self._dump(self._qmp))
            now = time.monotonic()
            self._next_dump_at = now + min((now - started_at) * self._pause_ratio, _MAX_PAUSE_SECONDS)
            self._block = msgspec.structs.replace(self._judge(picture, now), checked_at=checked_at)
        return self._block

    def thumbnail(self) -> tuple[bytes, str]:
        """Return the latest dump as a PNG, and its hash; both empty until there is one.

        It is made when asked for: 3 ms that an instance which nobody looks at never pays.
        """
        small = self._small
        if small and small[1] != self._thumbnail[1]:
            self._thumbnail = thumbnail(small[0]), small[1]
        return self._thumbnail

    def _dump(self, qmp: Qmp) -> memoryview:
        """Return one dump as QEMU wrote it."""
        self._file.empty()
        if self._handed_over_to != qmp.connections:
            qmp.execute("add-fd", {"fdset-id": _FDSET}, fds=[self._file.write_only])
            self._handed_over_to = qmp.connections
        qmp.execute("screendump", {"filename": f"/dev/fdset/{_FDSET}"})
        return self._file.read()

    def _judge(self, picture: Picture, now: float) -> Screen:
        digest = picture_hash(picture)
        if digest != self._hash:
            self._hash, self._changed_at = digest, now
            self._dumps += 1
            self._small = fit(picture), digest  # a copy: the next dump overwrites the memory
        still_seconds = now - (self._changed_at or now)
        colour = single_colour(picture)
        return Screen(
            width=picture.width,
            height=picture.height,
            hash=digest,
            still_seconds=round(still_seconds, 1),
            largest_colour_ratio=1.0 if colour else largest_colour_ratio(picture),
            verdict=verdict(colour, still_seconds, pictures=self._dumps),
        )


def verdict(colour: bytes | None, still_seconds: float, *, pictures: int) -> str | None:
    """Return the word for a picture; None while one picture can't tell motion from stillness.

    colour: of a picture that has only one. pictures: how many different ones have been seen.
    """
    if colour is not None:
        return "single-colour" if any(colour) else "blank"
    if still_seconds > 0:
        return "still"
    return "moving" if pictures > 1 else None


class _MemoryFile:
    """A file without a name; QEMU gets a descriptor that can only write."""

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("screen")
        # QEMU matches the access mode of a descriptor exactly (monitor/fds.c), and a memfd is born read-write.
        self.write_only = os.open(f"/proc/self/fd/{self._descriptor}", os.O_WRONLY)

    def empty(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.lseek(self.write_only, 0, os.SEEK_SET)  # the position is shared with QEMU's copy

    def read(self) -> memoryview:
        """Return what was written; it lives outside the heap and goes with its last reader."""
        size = os.fstat(self._descriptor).st_size
        return memoryview(mmap.mmap(self._descriptor, size, access=mmap.ACCESS_READ) if size else b"")
