"""A Job that a person asks for, the same from the API and from `kubectl loco recover`; pure but for `new_suffix`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from jobs.health.recovery import Action
from jobs.template import ACTION, CRONJOB, FORCE, INSTANCE, MAX_NAME_CHARACTERS, REQUESTED_BY, render_job

DISCOVER = "discover"

# Letters that no other is mistaken for. No digits: a Job named CRONJOB-DIGITS is one of the schedule.
_ALPHABET = "bcdfghjklmnpqrstvwxz"
_SUFFIX_CHARACTERS = 6

# A label of a pod takes 63 characters, a name of a person or account may have more.
_MAX_ANNOTATION_CHARACTERS = 253


def new_suffix() -> str:
    """Return what makes a Job's name one of its own: one of 64 million."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_SUFFIX_CHARACTERS))


def recovery_job(
    cronjob: Mapping[str, Any],
    public_id: str,
    *,
    suffix: str,
    action: Action | None = None,
    is_forced: bool = False,
    requested_by: str = "",
) -> dict[str, Any]:
    """Return the Job of one recovery. requested_by: as the API server says it, a label for people and no proof.

    Raises: KeyError, TypeError for an object that is no CronJob.
    """
    annotations = {INSTANCE: public_id, **_by(requested_by)}
    if action:
        annotations[ACTION] = action.value
    if is_forced:
        annotations[FORCE] = "true"
    return render_job(cronjob, name=_name(CRONJOB, public_id, suffix), annotations=annotations)


def refresh_job(cronjob: Mapping[str, Any], *, suffix: str, requested_by: str = "") -> dict[str, Any]:
    """Return the Job of one look at the inventory; by its name `discover` knows that it is no run of the schedule.

    Raises: KeyError, TypeError for an object that is no CronJob.
    """
    return render_job(cronjob, name=_name(DISCOVER, "refresh", suffix), annotations=_by(requested_by))


def _by(requested_by: str) -> dict[str, str]:
    printable = "".join(c for c in requested_by if c.isprintable())[:_MAX_ANNOTATION_CHARACTERS]
    return {REQUESTED_BY: printable} if printable else {}


def _name(cronjob: str, what: str, suffix: str) -> str:
    """Return `recover-instance-3-bcdfgh`; an id that is no name, or too long for one, is made to fit.

    The annotation has it whole.
    """
    room = MAX_NAME_CHARACTERS - len(cronjob) - len(suffix) - 2
    fit = re.sub(r"[^a-z0-9-]", "-", what.lower())[:room].strip("-")
    return f"{cronjob}-{fit}-{suffix}" if fit else f"{cronjob}-{suffix}"
