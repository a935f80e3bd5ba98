"""Which instances the wall shows: read from its query, kept in its links, asked for by its form. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from html import escape
from urllib.parse import urlencode

from api import query
from api.fleet import Standing
from jobs.health.model import FailureClass, Verdict

ALL = "all"
SICK = "sick"

# The words that the query takes; the first is what an absent or empty one means.
VERDICTS = (ALL, SICK, *Verdict)
CLASSES = (ALL, *FailureClass)

# chosen: a search is a few words; a longer one is no search.
MAX_SEARCH_CHARACTERS = 100

# A node's name is a DNS subdomain (RFC 1123 section 2.1, as Kubernetes has it).
MAX_NODE_CHARACTERS = 253

# chosen: more than any fleet has, so that it only stops nonsense.
MAX_START = 1_000_000


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for. node, search: empty for any. start: how many of the sorted instances are passed over."""

    verdict: str = ALL
    failure_class: str = ALL
    node: str = ""
    search: str = ""
    start: int = 0

    @property
    def is_narrow(self) -> bool:
        """Tell whether it can leave an instance out."""
        return replace(self, start=0) != Filter()

    def takes(self, standing: Standing) -> bool:
        """Tell whether an instance is shown."""
        is_sick = standing.verdict is not Verdict.HEALTHY
        return (
            (self.verdict in (ALL, standing.verdict) or (self.verdict == SICK and is_sick))
            and self.failure_class in (ALL, standing.failure_class)
            and self.node in ("", node_of(standing))
            and _is_found(self.search.casefold().split(), standing)
        )

    def link(self, **changes: str | int) -> str:
        """Return the relative address of the wall with this filter, changed by some of its fields."""
        made = replace(self, **changes)  # type: ignore[arg-type]
        pairs = {
            "verdict": made.verdict if made.verdict != ALL else "",
            "class": made.failure_class if made.failure_class != ALL else "",
            "node": made.node,
            "search": made.search,
            "start": made.start or "",
        }
        return f"./?{urlencode(kept)}" if (kept := {name: value for name, value in pairs.items() if value}) else "./"


EVERYTHING = Filter()


def read_filter(text: str) -> Filter:
    """Return what a query asks for; a field that is there and empty, as a form sends it, asks for nothing.

    Raises: Problem (400).
    """
    values = query.read_query(text, ("verdict", "class", "node", "search", "start"))
    values = {name: value for name, value in values.items() if value}
    return Filter(
        verdict=query.word(values, "verdict", allowed=VERDICTS),
        failure_class=query.word(values, "class", allowed=CLASSES),
        node=query.short_text(values, "node", longest=MAX_NODE_CHARACTERS),
        search=query.short_text(values, "search", longest=MAX_SEARCH_CHARACTERS),
        start=query.whole_number(values, "start", default=0, highest=MAX_START),
    )


def node_of(standing: Standing) -> str:
    """Return the node that the instance's pod is on, empty where none is told."""
    pod = standing.instance.pod
    return (pod.node if pod else None) or ""


def form(wanted: Filter, standings: Iterable[Standing]) -> str:
    """Return the form that asks for another filter; without script its button sends it."""
    nodes = sorted({node_of(standing) for standing in standings} - {""} | {wanted.node} - {""})
    return _FORM.format(
        search=escape(wanted.search),
        longest=MAX_SEARCH_CHARACTERS,
        verdict=_select("verdict", "Verdict", ((word, word) for word in VERDICTS), wanted.verdict),
        failure_class=_select("class", "Class", ((word, word) for word in CLASSES), wanted.failure_class),
        node=_select("node", "Node", (("", ALL), *((node, node) for node in nodes)), wanted.node) if nodes else "",
        clear='<a class="clear" href="./">show all</a>' if wanted.is_narrow else "",
    )


def _is_found(words: list[str], standing: Standing) -> bool:
    """Tell whether each word is somewhere in what people call the instance, or in what is wrong with it."""
    if not words:
        return True
    instance = standing.instance
    told = [instance.public_id, instance.name, instance.description, instance.key, node_of(standing)]
    text = "\n".join(told + [reason.code for reason in standing.reasons]).casefold()
    return all(word in text for word in words)


def _select(name: str, label: str, options: Iterable[tuple[str, str]], chosen: str) -> str:
    """Return a list of words to choose from; the word for everything is sent as nothing."""
    made = "".join(
        f'<option value="{"" if value == ALL else escape(value)}"{" selected" if value == chosen else ""}>'
        f"{escape(word)}</option>"
        for value, word in options
    )
    return f'<label>{label} <select name="{name}">{made}</select></label>'


_FORM = """
<form class="filters" role="search" action="./" aria-label="Which instances are shown">
  <label>Search <input type="search" name="search" value="{search}" maxlength="{longest}"
    placeholder="name, id, reason" autocomplete="off" spellcheck="false"></label>
  {verdict}{failure_class}{node}
  <button>Show</button>{clear}
</form>"""
