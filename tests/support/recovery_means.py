"""What one recovery works with in the world: `jobs.recovery.means` over its pods, its network and its seed."""

from __future__ import annotations

from typing import Any

import msgspec
from builders import a_report, an_assessment
from pods import a_pod, a_pods_instance
from recovery_network import Wire
from recovery_world import Sender, World

from agent.report import Actions
from jobs.errors import Conflict
from jobs.health.control import Stop
from jobs.health.model import Instance, InstanceKey
from jobs.health.recovery import Action, Hold
from jobs.probe.actions import ActOrder, Challenge, Done, Refused, Silent
from jobs.probe.verify import Look

CODE = "AudioMuted"
KEY = b"\x07" * 32
HEALTHY, SICK = an_assessment(), an_assessment(CODE)
REPORT = msgspec.structs.replace(
    a_report(), actions=Actions(checked_at="2026-11-25T00:00:00Z", can=[action.value for action in Action])
)


class Ground:
    """Pod and switches as the world has them."""

    def __init__(self, world: World, key: InstanceKey, sender: Sender) -> None:
        self._world, self._key, self._sender = world, key, sender

    def stop(self) -> Stop | None:
        """Return what the switches forbid."""
        self._world.request("GET loco-control")
        self._world.take_leave(self._sender)
        if self._world.is_stopped or self._world.falls(0.5):
            return Stop(Hold.KILL_SWITCH, "as the seed says")
        self._world.give_leave(self._sender)
        return None

    def instance(self) -> Instance | None:
        """Return the pod of now."""
        self._world.request("GET pod")
        return instance_of(self._world, self._key)

    def delete_pod(self, uid: str) -> None:
        """Delete the pod of that uid."""
        self._world.request("DELETE pod")
        pod = self._world.pods[self._key]
        if pod.uid != uid:
            raise Conflict(f"DELETE pod answered 409: its uid is {pod.uid}")
        self._world.sender = self._sender
        try:
            self._world.act(pod, Action.DELETE_POD, 0.5)
        finally:
            self._world.sender = None
        self._world.replace_pod(self._key)
        self._world.lose_reply("DELETE pod")


class Agent:
    """The real calls over the world's network, with the instance's key."""

    def __init__(self, world: World, key: InstanceKey, sender: Sender) -> None:
        self._world, self._sender = world, sender
        self._wire = Wire(world, key, sender)

    def challenge(self, instance: Instance) -> Challenge | Refused | Silent:
        """Ask for a challenge, after which the switches are to be read once more."""
        answer = self._wire.challenge(instance)
        self._world.take_leave(self._sender)
        return answer

    def act(self, instance: Instance, order: ActOrder, challenge: Challenge) -> Done | Refused | Silent:
        """Have one act done."""
        return self._wire.act(instance, order, challenge, (b"\x08" * 32, KEY))


class Eyes:
    """Looks that tell what the world knows, or nothing."""

    def __init__(self, world: World, key: InstanceKey) -> None:
        self._world, self._key = world, key

    def look(self, instance: Instance) -> Look:
        """Look once."""
        self._world.scheduler.hook("look")
        pod = self._world.pods[self._key]
        pod.sequence += 1
        report = replace_sequence(pod.sequence) if not self._world.falls() else None
        assessment = SICK if pod.is_sick else HEALTHY
        return Look(self._world.scheduler.now_ms / 1000, instance, assessment, report)


class Keeper:
    """Keeps nothing, and says so at times."""

    def __init__(self, world: World) -> None:
        self._world = world

    def keep(self, *_: object) -> str:
        """Return why nothing was kept, or nothing."""
        self._world.scheduler.hook("keep evidence")
        return "the disk is full" if self._world.falls() else ""

    def add_after(self, *_: object) -> str:
        """Keep nothing of after; nothing hangs on it."""
        return ""


def instance_of(world: World, key: InstanceKey) -> Instance:
    """Return what an inventory says of a pod."""
    pod = world.pods[key]
    name = key.rpartition("/")[2]
    told = a_pod(namespace="loco-instances", name=name, restarts=pod.restarts)
    return a_pods_instance(told, public_id=f"instance-{name.rpartition('-')[2]}", uid=pod.uid)


def replace_sequence(sequence: int) -> Any:
    """Return a healthy report of a round."""
    agent = msgspec.structs.replace(REPORT.agent, sequence=sequence)
    return msgspec.structs.replace(REPORT, agent=agent)
