"""Which process is QEMU: by pid file or by the name of its executable."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import psutil

from agent.settings import Settings


class QemuNotFound(Exception):
    """No process, or no way to tell which; the text says why."""


class QemuProcess:
    """QEMU's process, looked for again only when the one known has ended.

    current: the process as of the last `find`, for checks that come after it. missing: why there is none.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.current: psutil.Process | None = None
        self.missing = "not looked for yet"

    def find(self) -> psutil.Process:
        """Return QEMU's process, a zombie included.

        Raises: QemuNotFound. Cost: one stat of /proc while it lives, a walk of /proc when not.
        """
        if self.current is None or not self.current.is_running():
            self.current = None
            try:
                self.current = self._by_pid_file() if self._settings.qemu_pid_file else self._by_name()
            except QemuNotFound as error:
                self.missing = str(error)
                raise
        return self.current

    def _by_pid_file(self) -> psutil.Process:
        path = Path(self._settings.qemu_pid_file)
        try:
            pid = int(path.read_text(encoding="ascii"))
            process = psutil.Process(pid)
            name = process.name()
        except OSError as error:
            raise QemuNotFound(f"no pid file {path}: {error.strerror}") from error
        except ValueError as error:
            raise QemuNotFound(f"pid file {path} holds no pid") from error
        except psutil.NoSuchProcess as error:
            raise QemuNotFound(f"process {pid} of {path} has ended or isn't visible from here") from error
        if not self._is_qemu(name):
            raise QemuNotFound(f"process {pid} of {path} is {name}, not {self._settings.qemu_pattern}")
        return process

    def _by_name(self) -> psutil.Process:
        found = [process for process in psutil.process_iter() if self._is_qemu(_name(process))]
        if len(found) > 1:
            found = [process for process in found if self._has_our_socket(process)] or found
        if len(found) > 1:
            raise QemuNotFound(f"{len(found)} processes match {self._settings.qemu_pattern}; a pid file would tell")
        if not found:
            raise QemuNotFound(f"no process matches {self._settings.qemu_pattern}, or none is visible from here")
        return found[0]

    def _is_qemu(self, name: str) -> bool:
        """Compare names, not command lines: a shell that merely mentions QEMU doesn't match."""
        return fnmatchcase(name, self._settings.qemu_pattern)

    def _has_our_socket(self, process: psutil.Process) -> bool:
        socket = self._settings.qmp_socket
        try:
            return bool(socket) and any(socket in argument for argument in process.cmdline())
        except psutil.Error:
            return False


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""
