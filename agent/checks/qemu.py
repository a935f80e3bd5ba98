"""Does QEMU live, run, and answer?"""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime
from typing import Any

import psutil

from agent.checks.process import QemuNotFound, QemuProcess
from agent.planned import Planned
from agent.qmp import Qmp, QmpBusy, QmpError, QmpRefused, QmpTimeout
from agent.report import Qemu, QemuEvent, rfc3339

# chosen: ten minutes of a guest that resets every twelve seconds; the report stays below 8 KiB.
_KEPT_EVENTS = 50

# chosen: a burst of ours lasts 1.2 s at most and a probe of the jobs less; no person looks in for that short.
_PROBE_SECONDS = 3.0

_SHOWN_EVENTS = frozenset(
    {
        "SHUTDOWN", "RESET", "STOP", "RESUME", "GUEST_PANICKED", "GUEST_CRASHLOADED", "WATCHDOG", "BLOCK_IO_ERROR",
        "VNC_CONNECTED", "VNC_INITIALIZED", "VNC_DISCONNECTED",
    }
)  # fmt: skip

# qapi/run-state.json: the states that no operator and no migration leads to.
FAULTY_RUN_STATES = frozenset({"internal-error", "io-error", "guest-panicked", "watchdog", "shutdown"})

# Linux proc(5), field `state`.
_STATE_LETTERS = {
    psutil.STATUS_RUNNING: "R", psutil.STATUS_SLEEPING: "S", psutil.STATUS_DISK_SLEEP: "D", psutil.STATUS_STOPPED: "T",
    psutil.STATUS_TRACING_STOP: "t", psutil.STATUS_ZOMBIE: "Z", psutil.STATUS_DEAD: "X", psutil.STATUS_IDLE: "I",
}  # fmt: skip

# The same page: stopped by a signal or by a debugger; a zombie or dead. None of them executes anything.
_SIGNALLED, _GONE = frozenset({"T", "t"}), frozenset({"Z", "X"})


class QemuCheck:
    """The process as the kernel sees it, joined with what the monitor says.

    is_healthy: the verdict on the block that was measured last, see `judge`.
    """

    def __init__(self, process: QemuProcess, qmp: Qmp | None, planned: Planned) -> None:
        self._process = process
        self._qmp = qmp
        self._planned = planned
        self._seen: psutil.Process | None = None
        self._born_at = 0.0
        self._started_at = ""
        self._restarts = 0
        self._restarted_at: float | None = None
        self._accelerator: str | None = None
        self._asked_connection = 0
        self._block_errors = 0
        self._events: deque[tuple[float, dict[str, Any]]] = deque(maxlen=_KEPT_EVENTS)
        self._qmp_failure: QmpError | None = None
        self.is_healthy: bool | None = None

    def measure(self) -> Qemu:
        """Return the block; what can't be seen is None and `error` or `qmp_error` says why."""
        now = time.monotonic()
        try:
            block = self._block(now)
        except Exception:
            self.is_healthy = None  # what fails leaves nothing of the round before
            raise
        self.is_healthy = judge(block, self._qmp_failure)
        return block

    def _block(self, now: float) -> Qemu:
        facts = self._process_facts(now)
        run_state = self._ask_monitor(is_stopped=facts.get("process_state") in _SIGNALLED)
        self._keep_events()
        return Qemu(
            **facts,
            run_state=run_state,
            accelerator=self._accelerator if run_state else None,
            restarts=None if self._seen is None else self._restarts,
            seconds_since_restart=None if self._restarted_at is None else round(now - self._restarted_at, 1),
            qmp_error=self._qmp_error(),
            block_errors=None if self._qmp is None else self._block_errors,
            events=[_event(arrived_at, message, now) for arrived_at, message in self._events],
        )

    def _process_facts(self, now: float) -> dict[str, Any]:
        try:
            process = self._process.find()
            state = process.status()
            if process != self._seen:
                self._meet(process, now)
        except QemuNotFound as error:
            return {"error": str(error)}
        except psutil.NoSuchProcess:
            return {"error": "the process has just ended"}
        return {
            "process_state": _STATE_LETTERS.get(state, state),
            "started_at": self._started_at,
            "uptime_seconds": round(now - self._born_at, 1),
        }

    def _meet(self, process: psutil.Process, now: float) -> None:
        """Take note of a new process; its birth is read once, because psutil's moves with the wall clock."""
        born = process.create_time()
        self._born_at = now - max(time.time() - born, 0.0)
        self._started_at = datetime.fromtimestamp(born, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        if self._seen is not None:
            self._restarts += 1
            self._restarted_at = None if self._planned.take("qemu") else now
        self._seen = process

    def _ask_monitor(self, *, is_stopped: bool) -> str | None:
        """Return the run state; a stopped process isn't asked, as it can't answer."""
        self._qmp_failure = None
        if self._qmp is None:
            return None
        if is_stopped:
            self._qmp_failure = QmpTimeout("timeout: not asked, as the process is stopped")
            return None
        try:
            run_state = str(self._qmp.execute("query-status")["status"])
            if self._asked_connection != self._qmp.connections:
                self._accelerator = "kvm" if self._qmp.execute("query-kvm")["enabled"] else "tcg"
                self._asked_connection = self._qmp.connections
        except QmpError as error:
            self._qmp_failure = error
            return None
        return run_state

    def _qmp_error(self) -> str | None:
        if self._qmp is None:
            return "no QMP socket is configured"
        return str(self._qmp_failure) if self._qmp_failure else None

    def _keep_events(self) -> None:
        for arrived_at, message in self._qmp.take_events() if self._qmp else []:
            self._block_errors += message["event"] == "BLOCK_IO_ERROR"
            if message["event"] in _SHOWN_EVENTS:
                self._events.append((arrived_at, message))
            if message["event"] == "VNC_DISCONNECTED":
                self._forget_probe(message)

    def _forget_probe(self, farewell: dict[str, Any]) -> None:
        """Drop a VNC connection that was over in a moment: bursts and probes would push the guest's events out."""
        peer = _peer(farewell)
        its_own = [kept for kept in self._events if _peer(kept[1]) == peer]
        if len(its_own) > 1 and _stamp(farewell) - _stamp(its_own[0][1]) < _PROBE_SECONDS:
            self._events = deque((kept for kept in self._events if kept not in its_own), maxlen=_KEPT_EVENTS)


def judge(block: Qemu, failure: QmpError | None) -> bool | None:
    """Tell whether QEMU is there and runs its guest, or may when its operator lets it; None when nobody can tell.

    A guest paused by its operator is healthy here: the process does what it was told to. A monitor that another
    client holds tells nothing. Without a visible process the monitor alone decides.
    """
    if block.process_state in _SIGNALLED | _GONE or isinstance(failure, QmpTimeout):
        return False
    if block.process_state == "D" and failure:  # every disk access is D for a moment; with a silent monitor it is stuck
        return False
    if block.run_state is not None:
        return block.run_state not in FAULTY_RUN_STATES
    if block.process_state is None:
        return None if isinstance(failure, QmpBusy | QmpRefused) else False
    return True if failure is None else None


def _event(arrived_at: float, message: dict[str, Any], now: float) -> QemuEvent:
    data = message.get("data", {})
    detail = data.get("reason") or data.get("action") or data.get("device") or _peer(message)
    return QemuEvent(
        name=message["event"],
        at=rfc3339(_stamp(message)),
        age_seconds=round(max(0.0, now - arrived_at), 1),  # it may have come since this look began
        detail=None if detail is None else str(detail)[:200],
    )


def _stamp(message: dict[str, Any]) -> float:
    """Return when QEMU emitted an event, in Unix seconds."""
    stamp = message.get("timestamp", {})
    return float(stamp.get("seconds", 0) + stamp.get("microseconds", 0) / 1e6)


def _peer(message: dict[str, Any]) -> str | None:
    """Return who a VNC event is about."""
    client = message.get("data", {}).get("client")
    return f"{client['host']}:{client['service']}" if client else None
