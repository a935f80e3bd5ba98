"""One run of a decoy: make its network, keep its programs running, and leave nothing behind."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType

import msgspec

from agent.decoy.folder import Folder, Record
from agent.decoy.means import Means, find_means
from agent.decoy.network import (
    Network,
    make_links,
    make_namespace,
    of_pod,
    on_loopback,
    remove_links,
    remove_namespace,
)
from agent.decoy.process import Child, boot_id, end, identify
from agent.decoy.programs import Plan, programs

logger = logging.getLogger(__name__)

# The run itself, beside its programs in the record.
RUN = "decoy"

# Asks a run to start at once what waits for its restart.
HURRY = signal.SIGUSR1

# chosen: an exit is noticed within a quarter of a second, for four wake-ups a second.
_ROUND_SECONDS = 0.25

# chosen: PulseAudio was seen to open its socket within 0.1 s; QEMU finds no sound without it.
_PULSE_SECONDS = 5.0

# chosen: what a run needs to end its programs (twice the grace of `end`) and its network.
_STOP_SECONDS = 15.0


def run(folder: Folder, *, key_file: str, in_pod: bool, announce: Callable[[Record], None]) -> None:
    """Run a decoy until SIGTERM or SIGINT, then end its programs and remove its network and sockets.

    key_file: the agent's, empty without. in_pod: the pod is its network, and the agent is another container.
    announce: called once, when QEMU and the agent answer.
    Raises: BadRequest when it runs already; DecoyError when the network can't be made.
    """
    with _listening() as asked, folder.hold():
        sweep(folder)
        means = find_means(in_pod=in_pod)
        for lack in means.lacks:
            logger.warning(lack)
        folder.parking.mkdir(exist_ok=True)
        try:
            if in_pod:
                network = of_pod(has_links=means.has_links)
            else:
                network = make_namespace(_netns(folder)) if means.has_links else on_loopback()
            _Run(folder, network, means, key_file).serve(asked, announce)
        finally:
            sweep(folder)


def stop(folder: Folder) -> str:
    """End the run of a decoy and whatever a killed one left; return what was done."""
    name = folder.path.name
    if not folder.path.exists():
        return f"decoy {name} never ran"
    record = folder.read()
    if record and has_run(record):
        end([record.processes[RUN]], grace_seconds=_STOP_SECONDS)
    with folder.hold():
        sweep(folder)
    return f"decoy {name} is stopped" if record else f"decoy {name} does not run"


def has_run(record: Record) -> bool:
    """Tell whether the run that wrote the record still lives."""
    return record.boot_id == boot_id() and record.processes[RUN].is_alive


def sweep(folder: Folder) -> None:
    """End the programs and remove the network and sockets of a run that is over or was killed."""
    record = folder.read()
    if record and record.boot_id == boot_id():
        end(process for name, process in record.processes.items() if name != RUN)
        if record.bridge and record.netns is None:
            remove_links()
    remove_namespace(_netns(folder))
    folder.clear()


class _Run:
    """A decoy's programs and the record of them."""

    def __init__(self, folder: Folder, network: Network, means: Means, key_file: str) -> None:
        self._folder = folder
        plan = Plan(
            pod=folder.path.name,
            uid=str(uuid.uuid4()),
            folder=folder,
            network=network,
            means=means,
            key_file=key_file,
        )
        self._children = [Child(program) for program in programs(plan, os.environ)]
        self._network = network
        self._run = identify(os.getpid())
        self._record = Record(
            id=plan.pod,
            address=network.address,
            health_url=f"http://{network.address}:{network.health_port}",
            vnc_address=f"{network.address}:{network.vnc_port}",
            netns=network.netns,
            bridge=network.bridge,
            tap=network.tap,
            boot_id=boot_id(),
            is_up=False,
            programs=[child.program.name for child in self._children],
            processes={},
        )

    def serve(self, asked: list[int], announce: Callable[[Record], None]) -> None:
        """Keep the programs running until a signal asks to stop. asked: signals that arrived, oldest first."""
        self._write()
        if self._network.in_pod and self._network.bridge:
            make_links(None)  # after the record, so that whoever sweeps up knows whose they are
        while not {signal.SIGTERM, signal.SIGINT} & set(asked):
            if HURRY in asked:
                asked.remove(HURRY)
                for child in self._children:
                    child.hurry()
            for child in self._children:
                self._tend(child)
            if not self._record.is_up and self._answers():
                self._record = msgspec.structs.replace(self._record, is_up=True)
                self._write()
                announce(self._record)
            time.sleep(_ROUND_SECONDS)

    def _tend(self, child: Child) -> None:
        if not child.tend(time.monotonic()):
            return
        self._write()
        if child.program.name == "pulseaudio":
            deadline = time.monotonic() + _PULSE_SECONDS
            while child.process and time.monotonic() < deadline and not _accepts(self._folder.pulse):
                time.sleep(0.02)

    def _answers(self) -> bool:
        has_agent = _accepts((self._network.address, self._network.health_port))
        return has_agent and ("qemu" not in self._record.programs or _accepts(self._folder.qmp))

    def _write(self) -> None:
        alive = {child.program.name: child.process for child in self._children if child.process}
        self._record = msgspec.structs.replace(self._record, processes={RUN: self._run, **alive})
        self._folder.write(self._record)


@contextmanager
def _listening() -> Iterator[list[int]]:
    """Note the signals that a run understands in the list it yields, instead of dying of them."""
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT, HURRY)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _netns(folder: Folder) -> str:
    """Return the namespace's name: a decoy of the same id in another directory has another one."""
    digest = hashlib.sha256(os.fsencode(folder.path)).hexdigest()[:6]
    return f"loco-{folder.path.name}-{digest}"


def _accepts(place: Path | tuple[str, int]) -> bool:
    """Tell whether somebody accepts connections at a Unix socket or a TCP address."""
    family = socket.AF_UNIX if isinstance(place, Path) else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(place) if isinstance(place, Path) else place)
        except OSError:
            return False
        return True
