"""What every page for people has around it: head, banners, footer, and the small parts that all are made of. Pure.

Every text that comes from the store is escaped; every address is relative, so that a proxy may put it under any path.
"""

from __future__ import annotations

from html import escape

from agent import __version__
from api import prose
from api.fleet import Fleet, Source
from api.instants import rfc3339
from jobs.health.model import Verdict
from jobs.health.staleness import STALE_AFTER_MS
from jobs.store.snapshot import SNAPSHOT_STALE_AFTER_MS

# One sign a verdict, drawn in a 16 x 16 box, so that neither colour nor a font is needed to tell them apart.
_SIGNS = {
    Verdict.HEALTHY: "M3 8.5l3.2 3.2L13 5",
    Verdict.DEGRADED: "M8 3v6M8 12.2v.3",
    Verdict.UNHEALTHY: "M4 4l8 8M12 4l-8 8",
    Verdict.UNREACHABLE: "M2.5 8h3M10.5 8h3M7 11l2-6",
    Verdict.UNKNOWN: "M5.5 6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.6M8 12.4v.3",
}


def document(  # noqa: PLR0913 - one for each part
    fleet: Fleet,
    *,
    title: str,
    top: str,
    body: str,
    up: str = "",
    scripts: tuple[str, ...] = (),
    styles: tuple[str, ...] = (),
) -> str:
    """Return the whole document.

    title: as a browser's tab shows it. top: HTML of the first line, the h1 in it. body: HTML of the main part.
    up: the way to `/` from this page, such as `../`. scripts, styles: names of files in static/, beside the one that
    all have.
    """
    return _DOCUMENT.format(
        title=escape(title),
        up=up,
        scripts="".join(f'\n<script src="{up}static/{name}" defer></script>' for name in scripts),
        styles="".join(f'\n<link rel="stylesheet" href="{up}static/{name}">' for name in styles),
        top=top,
        clock=_clock(fleet),
        banners="".join(_banner(level, text) for level, text in _warnings(fleet)),
        body=body,
        version=__version__,
        mode=f", {told}" if (told := prose.mode(fleet)) else "",
    )


def sign(verdict: Verdict) -> str:
    """Return the sign of a verdict as a drawing; the word stands beside it, so it is hidden from readers."""
    return f'<svg class="sign" viewBox="0 0 16 16" aria-hidden="true"><path d="{_SIGNS[verdict]}"/></svg>'


def moment(at_ms: int, lead: str) -> str:
    """Return a moment; the script turns it into an age, `lead` says of what: `observed ` or, for how long, `for `."""
    at = rfc3339(at_ms)
    told = "since " if lead == "for " else lead
    return f'<time datetime="{at}" data-lead="{lead}">{told}{at[11:19]} UTC</time>'


def trouble(fleet: Fleet) -> str:
    """Return in a few words what keeps all of this from being that of now, empty for nothing."""
    if fleet.snapshot is None:
        return "no data"
    if fleet.is_silent:
        return "nobody is watching"
    return "store unreadable" if fleet.problem else ""


def _clock(fleet: Fleet) -> str:
    """Return how fresh all of this is: a word and the newest observation, whose age the script counts on."""
    at_ms, word = fleet.observed_at_ms, trouble(fleet)
    return _CLOCK.format(
        loud=" loud" if word else "",
        word=word or "live",
        fresh_ms=SNAPSHOT_STALE_AFTER_MS if fleet.source is Source.CONFIGMAP else STALE_AFTER_MS,
        told="nothing observed yet" if at_ms is None else moment(at_ms, "observed "),
    )


def _warnings(fleet: Fleet) -> list[tuple[str, str]]:
    """Return, as HTML with how loud it is, everything that keeps this page from the truth of now, or from acts."""
    if fleet.snapshot is None:
        return [(_ALARM, f"<b>No data:</b> {escape(fleet.problem)}.")]
    warnings = []
    if fleet.problem:
        said = "what it last said" if fleet.source is Source.STORE else "what was published of it last"
        warnings.append((_ALARM, f"<b>The store can't be read now; this is {said}.</b> {escape(fleet.problem)}."))
    stale = sum(standing.is_stale for standing in fleet.standings.values())
    if fleet.is_silent:
        told = f"<b>Nobody is watching:</b> {escape(prose.silence(fleet))}. Older verdicts read unknown."
        warnings.append((_ALARM, told))
    elif stale:
        told = f"<b>{stale} of {len(fleet.standings)} not observed lately.</b> Their verdicts read unknown."
        warnings.append((_NOTE, told))
    if fleet.discovery_problem:
        warnings.append((_NOTE, f"<b>The list of instances may be old.</b> {escape(fleet.discovery_problem)}"))
    if not fleet.standings:
        warnings.append((_NOTE, "<b>No instances.</b> The inventory names none yet."))
    return warnings + [(_NOTE, f"<b>{escape(head)}</b> {escape(detail)}") for head, detail in prose.banners(fleet)]


def _banner(level: str, text: str) -> str:
    """Return one banner; a loud one interrupts what a screen reader says."""
    return f'<p class="banner {level}" role="{"alert" if level == _ALARM else "status"}">{text}</p>'


# How loud a banner is: what is shown isn't that of now, or it is and something else should be known.
_ALARM, _NOTE = "alarm", "note"

_CLOCK = (
    """<p class="clock{loud}" data-fresh-ms="{fresh_ms}" data-word="{word}"><b>{word}</b> <span>{told}</span></p>"""
)

_DOCUMENT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · loco-health</title>
<link rel="stylesheet" href="{up}static/page.css">{styles}
<link rel="icon" href="{up}static/icon.svg">
<noscript><meta http-equiv="refresh" content="30"></noscript>
<script src="{up}static/page.js" defer></script>{scripts}
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="top">
  <p class="brand"><a href="{up}./">loco-health</a></p>
  {top}
  {clock}
</header>
<p class="banner alarm lost" role="alert" hidden></p>
<div class="banners">{banners}</div>
<main id="main" tabindex="-1">{body}
</main>
<footer class="bottom">
  <a href="{up}incidents">incidents</a>
  <span>for programs:</span>
  <a href="{up}api/quality/deep-health">deep health</a>
  <a href="{up}api/runs">runs</a>
  <a href="{up}api/reasons">reasons</a>
  <a href="{up}metrics">metrics</a>
  <a href="{up}openapi.json">OpenAPI</a>
  <span class="mode">loco-health {version}{mode}</span>
</footer>
</body>
</html>
"""
