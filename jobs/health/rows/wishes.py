"""Rows about what the pod's owner asked for by annotations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from jobs.health.model import Evidence, FailureClass, Severity
from jobs.health.pods import is_opted_out
from jobs.health.rule import Rule, View


def _opt_out(view: View) -> Iterator[Evidence]:
    """Show who asked for it, and until when."""
    pod = view.instance.pod
    if pod:
        yield Evidence("loco-health/monitoring-reason", pod.off_reason, witness="pod")
        yield Evidence("loco-health/monitoring-until", _rfc3339(pod.off_until_ms), witness="pod")


def _rfc3339(at_ms: int | None) -> str | None:
    return None if at_ms is None else f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _notes(view: View) -> Iterator[Evidence]:
    """Show every annotation that wasn't taken."""
    for note in view.instance.pod.notes if view.instance.pod else ():
        yield Evidence("annotation", note, witness="pod")


ROWS = (
    Rule(
        "AnnotationRefused",
        FailureClass.NONE,
        Severity.FINDING,
        lambda view: view.instance.pod is not None and bool(view.instance.pod.notes),
        _notes,
        "An annotation of the pod says something that can't be taken; the evidence says what is done instead.",
        "Correct the annotation; docs/configuration.md lists them.",
    ),
    Rule(
        "OptOutExpired",
        FailureClass.NONE,
        Severity.FINDING,
        lambda view: (
            view.instance.pod is not None
            and view.instance.pod.off_until_ms is not None
            and not is_opted_out(view.instance.pod, view.at_ms)
        ),
        _opt_out,
        "The time for which monitoring was switched off has passed; the pod is watched again.",
        "Take the annotations away, or set a later instant.",
    ),
    Rule(
        "MonitoringOff",
        FailureClass.NONE,
        Severity.UNKNOWN,
        lambda view: view.instance.pod is not None and is_opted_out(view.instance.pod, view.at_ms),
        _opt_out,
        "Somebody switched monitoring off for this pod, with a reason and until an instant.",
        "Nothing; it is watched again by itself at that instant.",
        is_planned=True,
        is_final=True,
    ),
)
