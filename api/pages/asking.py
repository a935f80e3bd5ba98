"""The part of an instance's page by which a person asks for a recovery. Pure.

What needs a script stands in a `template`; static/recover.js takes it out. Without one there are the commands.
"""

from __future__ import annotations

from html import escape
from shlex import quote as shell
from urllib.parse import quote

from api.asked import Way, WayKind

_NO_DOOR = "This API only reads: it was given neither the cluster's CA nor a token file."


def asking(public_id: str, way: Way | None, *, up: str) -> str:
    """Return how to ask for a recovery of one instance. way: None where this API takes no POST. up: the way to `/`."""
    command = f"kubectl loco recover {shell(public_id)}"
    if way is None:
        told = f"{_NO_DOOR} In a cluster, this asks all the same:"
        return f'<p>{told}</p><pre tabindex="0">{escape(command)} --dry-run</pre>'
    path = quote(public_id, safe="")
    return _ASKING.format(
        kind=way.kind,
        post=f"{up}api/quality/recover/{path}",
        why=f"{up}api/instances/{path}/why",
        command=escape(command),
        address="" if way.kind is WayKind.CLUSTER else ", with this page's server as API",
        by_hand=escape(_by_hand(way, path, command)),
        token=_token(way),
    )


def _by_hand(way: Way, path: str, command: str) -> str:
    if way.kind is WayKind.CLUSTER:
        return f"{command} --dry-run"
    return (
        f'curl -s -X POST -H "Authorization: Bearer $(cat {shell(way.place)})" -H "Content-Type: application/json" \\\n'
        f"  -d '{{\"dryRun\": true}}' $API/api/quality/recover/{path}"
    )


def _token(way: Way) -> str:
    """Return where to get the token from."""
    if way.kind is WayKind.CLUSTER:
        command = f"kubectl create token loco-requester -n {shell(way.place)} --duration=10m"
        return f"<code>{escape(command)}</code> prints one. It is sent with your request and kept nowhere."
    return f"It is in <code>{escape(way.place)}</code>; the link that <code>make demo</code> prints brings it along."


_ASKING = """
<div class="asking" data-kind="{kind}" data-post="{post}" data-why="{why}">
<div class="by-hand"><p>By hand{address}:</p><pre tabindex="0">{by_hand}</pre></div>
<template class="form">
<form data-kept>
  <p class="token"><label>Token <input type="password" autocomplete="off" spellcheck="false"></label>
    <small>{token}</small></p>
  <p><label><input type="checkbox" class="force"> Wait neither for the cool-down nor for people connected</label>
  </p>
  <p class="buttons"><button type="submit" class="button">Show what would be done</button>
    <button type="button" class="button act" hidden>Do it now</button></p>
  <p class="answer" role="status" tabindex="-1"></p>
  <ol class="progress" aria-live="polite" hidden></ol>
</form>
</template>
<template class="proxied">
<p data-kept>You came by the API server's service proxy, which takes tokens away. Ask in a terminal:
  <code>{command} --dry-run</code>, then without <code>--dry-run</code>.</p>
</template>
</div>"""
