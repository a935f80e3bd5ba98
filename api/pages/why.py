"""Why an instance is judged as it is: reasons with value, limit and since when, and which witnesses agree. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from api.fleet import Standing
from api.pages.tables import Row, wide_table
from api.pages.times import when
from api.witnesses import Witness, witnesses
from jobs.health.model import Evidence, Reason, Severity, Verdict
from jobs.health.wording import meaning, measure

_AGREES = {True: "agrees", False: "disagrees", None: "neither"}
_SPEAKS_FOR = {True: "well", False: "a fault", None: "nothing"}


def why(standing: Standing) -> str:
    """Return reasons, advice and witnesses."""
    told = reasons_table(standing.reasons) if standing.reasons else "<p>Nothing is wrong as far as anybody looked.</p>"
    advice = "".join(f"<li>{escape(one)}</li>" for one in standing.recommendations)
    advised = f'<ul class="advice">{advice}</ul>' if advice else ""
    return f"{told}{advised}{_before(standing)}{_witnesses(standing)}"


def reasons_table(reasons: Iterable[Reason]) -> str:
    """Return one group of rows a reason: its meaning, then each measured fact."""
    return "".join(_reason(reason) for reason in reasons)


def _reason(reason: Reason) -> str:
    kind = "finding" if reason.severity is Severity.FINDING else "fault"
    rows = [_fact(one) for one in reason.evidence]
    heads = ("measured", "value", "limit", "since", "witness")
    facts = wide_table(f"What was measured for {reason.code}", heads, rows) if rows else ""
    layer = "" if kind == "finding" else f' <span class="layer">{reason.severity}, class {reason.failure_class}</span>'
    return (
        f'<div class="reason {kind}" data-id="{escape(reason.code)}"><p>{escape(meaning(reason.code))} '
        f"<code>{escape(reason.code)}</code>{layer}</p>{facts}</div>"
    )


def _fact(one: Evidence) -> Row:
    limit = "" if one.limit is None else escape(measure(one.limit, one.unit))
    since = "" if one.since_ms is None else when(one.since_ms)
    return "", (escape(one.fact), escape(measure(one.value, one.unit)), limit, since, escape(one.witness))


def _before(standing: Standing) -> str:
    """Return what the latest assessment said, when it is too old to be the verdict."""
    if standing.latest is None or not standing.is_stale:
        return ""
    made = standing.latest.assessment
    return (
        f"<h3>What was last known, {when(made.observed_at_ms)}</h3><p>It was {made.verdict}.</p>"
        f"{reasons_table(made.reasons)}"
    )


def _witnesses(standing: Standing) -> str:
    rows = [_witness(one, standing.verdict) for one in witnesses(standing)]
    heads = ("witness", "speaks for", "with the verdict", "says", "as of")
    return wide_table("Witnesses", heads, rows, caption="Who says so")


def _witness(one: Witness, verdict: Verdict) -> Row:
    at = "" if one.at_ms is None else when(one.at_ms)
    return "", (one.name, _SPEAKS_FOR[one.is_well], _AGREES[one.agrees_with(verdict)], escape(one.said), at)
