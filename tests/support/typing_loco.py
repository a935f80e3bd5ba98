"""`kubectl loco` as typed, in this process or in one of its own, and a real store for it to ask about."""

import io
import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

from api_process import an_api
from pods import a_pod, a_pods_instance
from stores import TICK_MS, Fleet, a_fleet

from api.kubectl.__main__ import main
from jobs.health.model import ProbeOutcome
from jobs.health.recovery import Action, AttemptOutcome, Hold, Limits, Order, Plan
from jobs.store import ledger, plans, reader, writer
from jobs.store.connection import transaction
from jobs.store.ledger import Ending, Moment
from jobs.store.reader import Screen

ILL = {"instance-1": ProbeOutcome.REFUSED}


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


def typed(*words: str) -> Done:
    """Run `kubectl loco WORDS` in this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    before, sys.argv = sys.argv, ["kubectl-loco", *words]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as end:
        out.flush()
        return Done(int(end.code or 0), out.buffer.getvalue().decode(errors="replace"), err.getvalue())
    finally:
        sys.argv = before
    raise AssertionError("it didn't end")


def started(*words: str, stderr: int = subprocess.PIPE, **settings: str) -> subprocess.Popen[str]:
    """Start `kubectl loco WORDS` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "api.kubectl", *words],
        env={**os.environ, "PYTHONUNBUFFERED": "1", **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )


def a_png(width: int = 4, height: int = 4) -> bytes:
    """Return a PNG whose upper half is red and whose lower half is blue."""
    colours = (b"\xff\0\0" if 2 * y < height else b"\0\0\xff" for y in range(height))
    return png_of(width, height, b"".join(b"\0" + colour * width for colour in colours))


def png_of(width: int, height: int, rows: bytes) -> bytes:
    """Return an RGB PNG of rows that begin with their filters."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@contextmanager
def an_ill_fleet(path: Path) -> Iterator[Fleet]:
    """Yield three instances in two namespaces, of which instance-1 is ill, was tried to be mended once, and waits.

    Two pods have one name. instance-0 has a picture.
    """
    pods = [a_pod(name=f"loco-emulator-{n}") for n in range(2)] + [a_pod(name="loco-emulator-0", namespace="arcade")]
    instances = [replace(a_pods_instance(pod), public_id=f"instance-{n}") for n, pod in enumerate(pods)]
    with a_fleet(path, instances, at_ms=int(time.time() * 1000) - 7 * TICK_MS) as fleet:
        fleet.ticks(2)
        fleet.ticks(4, ILL)
        _recovered(fleet, instances[1].key)
        with transaction(fleet.connection):
            writer.record_screen(fleet.connection, instances[0].key, Screen("5f3a9c0b1d2e4f60", fleet.at_ms, a_png()))
        fleet.ticks(1, ILL)
        yield fleet


@contextmanager
def a_served_fleet(path: Path) -> Iterator[tuple[Fleet, str]]:
    """Yield such a fleet, and the address of an API that serves it."""
    with an_ill_fleet(path) as fleet, an_api(path) as api:
        yield fleet, f"http://127.0.0.1:{api.port}"


def freshen(fleet: Fleet, answers: dict | None = None) -> None:
    """Write a tick of now, in which instance-1 is ill unless it is said otherwise."""
    fleet.tick_now(ILL if answers is None else answers)


def _recovered(fleet: Fleet, key: str) -> None:
    """Let one attempt have had no effect, and the next wait for a person."""
    (incident,) = reader.open_incidents(fleet.connection).values()
    plan = Plan(
        incident=incident.id,
        key=key,
        decided_at_ms=fleet.at_ms,
        action=Action.RESTART_QEMU,
        hold=Hold.USER_CONNECTED,
        detail="restart-qemu waits: 1 connected; after 300 s it is done all the same",
        codes=("AgentRefused",),
    )
    moments = (Moment("boot", ms, fleet.at_ms) for ms in range(1000, 10_000, 1000))
    with transaction(fleet.connection):
        ledger.adopt(fleet.connection, [], now=next(moments))
        order = Order(key=key, incident=incident.id, action=Action.RESET_GUEST, uid="uid-1")
        booked = ledger.book(fleet.connection, order, Limits(), now=next(moments))
        ledger.claim(fleet.connection, booked.id, "r", now=next(moments))
        ledger.begin_act(fleet.connection, booked.id, "r", now=next(moments))
        ended = Ending(AttemptOutcome.NO_EFFECT, "so it was")
        ledger.end(fleet.connection, booked.id, ended, now=next(moments), runner="r")
        ledger.witness(fleet.connection, Moment("boot", 120_000, fleet.at_ms))
        plans.put_plans(fleet.connection, [plan])
