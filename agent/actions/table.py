"""Every act that an agent knows, from least to most disruptive; there is no way to do anything else."""

from __future__ import annotations

import operator
import time

from agent.actions import audio, display, emulator, guest, links, stream
from agent.actions.act import Act
from agent.actions.keys import why_off
from agent.actions.scene import Scene
from agent.report import Actions, HealthReport, rfc3339
from agent.settings import Settings

_RESTART, _LOWER = operator.attrgetter("restart_stream"), operator.attrgetter("lower_quality")

ACTS = {
    act.name: act
    for act in (
        Act("reset-interface", links.why_not_reset, links.reset_interface),
        Act("rebuild-bridge", links.why_not_rebuild, links.rebuild_bridge),
        Act("reset-audio", audio.why_not, audio.perform),
        Act("reset-display", display.why_not, display.perform),
        Act("reset-guest", guest.why_not, guest.perform),
        Act("restart-qemu", emulator.why_not, emulator.perform),
        Act("restart-stream", stream.why_not(_RESTART, "LOCO_RESTART_STREAM"), stream.perform(_RESTART)),
        Act("lower-quality", stream.why_not(_LOWER, "LOCO_LOWER_QUALITY"), stream.perform(_LOWER)),
    )
}


def why_not(act: Act, scene: Scene, report: HealthReport) -> str | None:
    """Return why an act can't be done here, by what is forbidden and what the act itself says."""
    return forbidden(act.name, scene.settings) or act.why_not(scene, report)


def forbidden(name: str, settings: Settings) -> str | None:
    """Return why an act isn't allowed here, None when it is."""
    if not settings.actions or name in settings.actions:
        return None
    return f"LOCO_ACTIONS allows only {', '.join(settings.actions)}"


def block(scene: Scene, report: HealthReport) -> Actions:
    """Return the report's block. Cost: the key file is read, nothing else is asked."""
    cannot = {name: reason for name, act in ACTS.items() if (reason := why_not(act, scene, report))}
    return Actions(
        checked_at=rfc3339(time.time()),
        can=[name for name in ACTS if name not in cannot],
        cannot=cannot,
        error=why_off(scene.settings),
    )
