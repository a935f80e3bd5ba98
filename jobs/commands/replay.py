"""Classify stored reports again, as if they had come 15 s apart: what would have been said, and under which policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from agent.report import HealthReport, ReportInvalid, decode
from jobs.commands.options import policy_option
from jobs.errors import ConfigError
from jobs.health.incident import IncidentChange
from jobs.health.model import Assessment, Instance, InstanceKey, ProbeOutcome, ProbeResult
from jobs.health.policy import Policy
from jobs.health.watched import Watched, see_probe
from jobs.policy import read_policy

TICK_SECONDS = 15


@dataclass(frozen=True, slots=True)
class ReplayedTick:
    """One report's verdict. seconds: since the first report. source: the file, and the line in a file of lines."""

    tick: int
    seconds: int
    source: str
    assessment: Assessment
    incident: IncidentChange | None


@click.command(short_help="Classify stored reports again.")
@click.argument("reports", nargs=-1, required=True, type=click.Path(path_type=Path))
@policy_option
@click.option("--expect-motion-seconds", type=click.FloatRange(min=0), help="Longest stillness that is normal.")
@click.option("--expect-sound-seconds", type=click.FloatRange(min=0), help="Longest silence that is normal.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="Plain columns, or one JSON array."
)
def replay(
    *,
    reports: tuple[Path, ...],
    policy: Path | None,
    expect_motion_seconds: float | None,
    expect_sound_seconds: float | None,
    output: str,
) -> int:
    """Print the verdict of each of REPORTS: files of one JSON report, or *.jsonl files of one report a line.

    They count as ticks of one instance, 15 s apart. Nothing is written and no instance is asked.

    Example: python -m jobs replay --expect-motion-seconds 20 before.json after.json
    """
    instance = Instance(
        InstanceKey("static/replay"),
        "replay",
        "replay",
        health_url="",
        expect_motion_seconds=expect_motion_seconds,
        expect_sound_seconds=expect_sound_seconds,
    )
    ticks = list(timeline(instance, _read(reports), read_policy(policy)))
    click.echo(msgspec.json.encode(ticks).decode() if output == "json" else "\n".join(_table(ticks)))
    return 0


def timeline(instance: Instance, reports: Iterable[tuple[str, HealthReport]], policy: Policy) -> Iterator[ReplayedTick]:
    """Yield what each report means after those before it."""
    watched = Watched(instance)
    for tick, (source, report) in enumerate(reports, start=1):
        seconds = (tick - 1) * TICK_SECONDS
        probe = ProbeResult(instance.key, ProbeOutcome.OK, seconds * 1000, 0.0, report=report)
        watched, assessment, change = see_probe(watched, probe, tick=tick, policy=policy)
        yield ReplayedTick(tick, seconds, source, assessment, change)


def _read(paths: Iterable[Path]) -> Iterator[tuple[str, HealthReport]]:
    """Yield each report with its place."""
    for path in paths:
        try:
            body = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"reports {path} can't be read: {error.strerror}; nothing was replayed") from error
        for place, text in _texts(path, body):
            try:
                yield place, decode(text)
            except ReportInvalid as error:
                raise ConfigError(f"reports {place} hold no health report: {error}; nothing was replayed") from error


def _texts(path: Path, body: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the JSON texts of one file."""
    if path.suffix != ".jsonl":
        yield str(path), body
        return
    for number, line in enumerate(body.splitlines(), start=1):
        if line.strip():
            yield f"{path} line {number}", line


def _table(ticks: Iterable[ReplayedTick]) -> Iterator[str]:
    """Yield the lines of the plain form."""
    yield f"{'TICK':>4}  {'SECONDS':>7}  {'VERDICT':<11}  {'CLASS':<7}  {'INCIDENT':<8}  REASONS"
    for one in ticks:
        assessment = one.assessment
        incident = one.incident.kind.value if one.incident else "-"
        reasons = " ".join(reason.code for reason in assessment.reasons) or "-"
        yield (
            f"{one.tick:>4}  {one.seconds:>7}  {assessment.verdict:<11}  {assessment.failure_class:<7}"
            f"  {incident:<8}  {reasons}"
        )
