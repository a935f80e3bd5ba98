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

# One sign a verdict, drawn in a 16 x 16 box, so that neither colour nor a font is needed to tell them apart.
_SIGNS = {
    Verdict.HEALTHY: "M3 8.5l3.2 3.2L13 5",
    Verdict.DEGRADED: "M8 3v6M8 12.2v.3",
    Verdict.UNHEALTHY: "M4 4l8 8M12 4l-8 8",
    Verdict.UNREACHABLE: "M2.5 8h3M10.5 8h3M7 11l2-6",
    Verdict.UNKNOWN: "M5.5 6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.6M8 12.4v.3",
}


def document(fleet: Fleet, *, title: str, top: str, body: str, up: str = "", scripts: tuple[str, ...] = ()) -> str:
    """Return the whole document.

    title: as a browser's tab shows it. top: HTML of the first line. body: HTML of the main part.
    up: the way to `/` from this page, such as `../`. scripts: names of files in static/, beside the one that all have.
    """
    return _DOCUMENT.format(
        title=escape(title),
        up=up,
        scripts="".join(f'\n<script src="{up}static/{name}" defer></script>' for name in scripts),
        top=top,
        observed=moment(fleet.observed_at_ms, "observed ")
        if fleet.observed_at_ms is not None
        else "nothing observed yet",
        banners="".join(f'<p class="banner" role="status">{text}</p>' for text in _warnings(fleet)),
        body=body,
        version=__version__,
        mode=f", {told}" if (told := prose.mode(fleet)) else "",
    )


def sign(verdict: Verdict) -> str:
    """Return the sign of a verdict as a drawing; the word stands beside it, so it is hidden from readers."""
    return f'<svg class="sign" viewBox="0 0 16 16" aria-hidden="true"><path d="{_SIGNS[verdict]}"/></svg>'


def moment(at_ms: int, lead: str) -> str:
    """Return a moment; the script turns its text into an age, `lead` says of what."""
    at = rfc3339(at_ms)
    return f'<time datetime="{at}" data-lead="{lead}">{at[11:19]} UTC</time>'


def _warnings(fleet: Fleet) -> list[str]:
    """Return, as HTML, everything that keeps this page from telling the truth of now."""
    if fleet.snapshot is None:
        return [f"<b>No data:</b> {escape(fleet.problem)}."]
    warnings = []
    if fleet.problem:
        said = "what it last said" if fleet.source is Source.STORE else "what was published of it last"
        warnings.append(f"<b>The store can't be read now; this is {said}.</b> {escape(fleet.problem)}.")
    stale = sum(standing.is_stale for standing in fleet.standings.values())
    if fleet.is_silent:
        warnings.append(f"<b>Nobody is watching:</b> {escape(prose.silence(fleet))}. Older verdicts read unknown.")
    elif stale:
        warnings.append(f"<b>{stale} of {len(fleet.standings)} not observed lately.</b> Their verdicts read unknown.")
    if fleet.discovery_problem:
        warnings.append(f"<b>The list of instances may be old.</b> {escape(fleet.discovery_problem)}")
    if not fleet.standings:
        warnings.append("<b>No instances.</b> The inventory names none yet.")
    return warnings + [f"<b>{escape(headline)}</b> {escape(detail)}" for headline, detail in prose.banners(fleet)]


_DOCUMENT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · loco-health</title>
<link rel="stylesheet" href="{up}static/page.css">
<link rel="icon" href="{up}static/icon.svg">
<noscript><meta http-equiv="refresh" content="5"></noscript>
<script src="{up}static/page.js" defer></script>{scripts}
</head>
<body>
<header class="top">
  <h1><a href="{up}./">loco-health</a></h1>
  {top}
  <p class="observed">{observed}</p>
</header>
<p class="banner lost" role="alert" hidden><b>This page has lost its source.</b> It was true at <span></span>.</p>
<div class="banners">{banners}</div>
<main>{body}
</main>
<footer class="bottom">
  <a href="{up}api/quality/deep-health">deep health</a>
  <a href="{up}api/incidents">incidents</a>
  <a href="{up}api/runs">runs</a>
  <a href="{up}api/reasons">reasons</a>
  <a href="{up}metrics">metrics</a>
  <a href="{up}openapi.json">OpenAPI</a>
  <span class="mode">loco-health {version}{mode}</span>
</footer>
</body>
</html>
"""
