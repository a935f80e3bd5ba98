"""`reset-interface` and `rebuild-bridge`: the guest's tap and its bridge, as they were while all was well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from agent.actions.act import ActFailed, CannotAct, Done, Work
from agent.actions.scene import Scene
from agent.capabilities import CAP_NET_ADMIN, has_capability
from agent.links import add_address, join, make_bridge, set_up
from agent.netlink import Link, read_addresses, read_link
from agent.report import HealthReport

_NO_RIGHT = "this process lacks CAP_NET_ADMIN"


def why_not_reset(scene: Scene, _report: HealthReport) -> str | None:
    """Return why the tap can't be reset here."""
    if not scene.settings.tap:
        return "no tap is configured"
    return None if has_capability(CAP_NET_ADMIN) else _NO_RIGHT


def reset_interface(scene: Scene, work: Work) -> Done:
    """Take the tap down and up, and put it back into its bridge. Raises: CannotAct, ActFailed."""
    tap, bridge = scene.settings.tap, scene.settings.bridge
    with _kernel_asked(tap):
        found = read_link(tap)
        if found is None:
            raise CannotAct(f"there is no {tap}; QEMU makes it, or what starts QEMU")
        set_up(found.index, is_up=False)
        set_up(found.index, is_up=True)
        work.note(f"{tap} was taken down and up")
        return _joined(tap, bridge, work) if bridge else _verdict(tap, read_link(tap), None)


def why_not_rebuild(scene: Scene, _report: HealthReport) -> str | None:
    """Return why the bridge can't be rebuilt here."""
    if not scene.settings.bridge:
        return "no bridge is configured"
    return None if has_capability(CAP_NET_ADMIN) else _NO_RIGHT


def rebuild_bridge(scene: Scene, work: Work) -> Done:
    """Bring the bridge up; make it again where it is gone, with the address and members it had.

    One that is up isn't taken down: it may carry more than the guest. Raises: ActFailed.
    """
    bridge, known = scene.settings.bridge, scene.network.known_bridge
    with _kernel_asked(bridge):
        if read_link(bridge) is None:
            make_bridge(bridge)
            work.note(f"{bridge} is made again")
        found = _present(bridge)
        for address in known.addresses if known else ():
            if address not in read_addresses(found.index):
                add_address(found.index, address)
                work.note(f"{bridge} has address {address}")
        if not found.is_up:
            set_up(found.index, is_up=True)
            work.note(f"{bridge} is up")
        for member in known.members if known else ():
            _take_back(member, found, work)
        tap = scene.settings.tap
        if tap and read_link(tap):
            return _joined(tap, bridge, work)
        held = _present(bridge).is_up
        return Done(held, f"{bridge} is up" if held else f"{bridge} is still down")


def _joined(tap: str, bridge: str, work: Work) -> Done:
    """Have the tap in its bridge, up, and return whether both are."""
    target = read_link(bridge)
    if target is None:
        return Done(held=False, detail=f"{tap} is up, but there is no {bridge} to put it into")
    _take_back(tap, target, work)
    return _verdict(tap, read_link(tap), target)


def _take_back(member: str, bridge: Link, work: Work) -> None:
    """Put an interface that is still there into the bridge, up."""
    found = read_link(member)
    if found is None:
        return
    if found.master != bridge.index:
        join(found.index, bridge=bridge.index)
        work.note(f"{member} is back in its bridge")
    if not found.is_up:
        set_up(found.index, is_up=True)
        work.note(f"{member} is up")


def _verdict(tap: str, found: Link | None, bridge: Link | None) -> Done:
    if found is None or not found.is_up:
        return Done(held=False, detail=f"{tap} is not up")
    if bridge is not None and found.master != bridge.index:
        return Done(held=False, detail=f"{tap} is not in its bridge")
    return Done(held=True, detail=f"{tap} is up" + (" in its bridge" if bridge else ""))


def _present(name: str) -> Link:
    found = read_link(name)
    if found is None:
        raise ActFailed(f"{name} is gone again")
    return found


@contextmanager
def _kernel_asked(name: str) -> Iterator[None]:
    """Say the kernel's refusal as an act's."""
    try:
        yield
    except OSError as error:
        raise ActFailed(f"{name}: the kernel says {error.strerror or error}") from error
