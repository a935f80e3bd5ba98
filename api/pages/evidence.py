"""An attempt's evidence, readable in place: pictures before and after, and everything else folded. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import msgspec

from api.views.evidence import Bundle, Screen
from jobs.health.recovery import Attempt

# chosen: a full report is 5 KiB when it is indented; the link beside it has the whole bundle.
MAX_PART_CHARACTERS = 32 * 1024

_PARTS = {
    "report": "the agent's report",
    "agent": "what only the agent sees: interfaces, sinks, QMP",
    "pod": "the pod",
    "node": "the node",
}


def evidence(attempt: Attempt, kept: Bundle | str, *, up: str) -> str:
    """Return what was seen before the act and after it, or why that can't be told. up: the way to `/`."""
    if isinstance(kept, str):
        return f'<p class="why-not">No evidence: {escape(kept)}.</p>'
    return (
        f'<div class="pictures">{_before(attempt, kept, up)}{_after(attempt, kept, up)}</div>'
        f"<details><summary>What was seen right before the act</summary>"
        f"{_signals(kept)}{''.join(_part(title, getattr(kept, name)) for name, title in _PARTS.items())}"
        f"{_left_out(kept)}"
        f'<p><a href="{up}api/attempts/{attempt.id}/evidence">The whole bundle as JSON</a></p></details>'
    )


def _before(attempt: Attempt, kept: Bundle, up: str) -> str:
    told = f"{escape(kept.verdict or 'not judged')}{_codes(kept.reasons)}"
    return _picture(f"{up}api/attempts/{attempt.id}/before.png", kept.before, "before", told)


def _after(attempt: Attempt, kept: Bundle, up: str) -> str:
    after = kept.after
    if after is None:
        why = "the attempt hasn't ended" if attempt.outcome is None else "nothing was kept after the act"
        return _picture("", Screen(error=why), "after", "")
    told = f"{escape(after.verdict or 'not judged')}{_codes(after.reasons)}"
    return _picture(f"{up}api/attempts/{attempt.id}/after.png", after.screen, "after", told)


def _picture(source: str, screen: Screen, when: str, told: str) -> str:
    if screen.picture is None:
        shown = f'<p class="no-picture">no picture<small>{escape(screen.error or "none was kept")}</small></p>'
    else:
        shown = f'<img src="{source}" alt="The screen right {when} the act" loading="lazy">'
    at = f" <small>{escape(screen.takenAt[11:19])} UTC</small>" if screen.takenAt else ""
    return f'<figure><div class="screen">{shown}</div><figcaption><b>{when}</b>{at} {told}</figcaption></figure>'


def _codes(reasons: list[object]) -> str:
    codes = [str(one["code"]) for one in reasons if isinstance(one, Mapping) and "code" in one]
    return "".join(f" <code>{escape(code)}</code>" for code in codes)


def _signals(kept: Bundle) -> str:
    """Return the last ten minutes by ticks, neighbours that say the same as one row."""
    rows: list[tuple[str, str, int]] = []
    for one in kept.signals or []:
        if not isinstance(one, Mapping):
            continue
        codes = one.get("codes")
        said = f"{one.get('verdict')}{''.join(f' {code}' for code in codes if code) if isinstance(codes, list) else ''}"
        at = str(one.get("receivedAt"))[11:19]
        rows.append((at, said, 1))
        if len(rows) > 1 and rows[-2][1] == said:
            (first, _, count), _ = rows[-2:]
            rows[-2:] = [(first, said, count + 1)]
    if not rows:
        return ""
    shown = "".join(
        f"<tr><td>{escape(at)}</td><td>{escape(said)}</td><td>{count}</td></tr>" for at, said, count in rows
    )
    return (
        "<table><caption>the ticks of the ten minutes before</caption>"
        f'<tr><th scope="col">from, UTC</th><th scope="col">verdict</th><th scope="col">ticks</th></tr>{shown}</table>'
    )


def _part(title: str, value: object) -> str:
    """Return one part as indented JSON, cut where it is longer than people read."""
    if value is None:
        return ""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    if len(text) > MAX_PART_CHARACTERS:
        text = f"{text[:MAX_PART_CHARACTERS]}\n... {len(text) - MAX_PART_CHARACTERS} more characters"
    return f'<details><summary>{title}</summary><pre tabindex="0">{escape(text)}</pre></details>'


def _left_out(kept: Bundle) -> str:
    if not kept.leftOut:
        return ""
    return f'<p class="why-not">Left out, as the bundle was too large: {escape(", ".join(kept.leftOut))}.</p>'
