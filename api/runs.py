"""The route of runs: what the jobs did, and whether it went well."""

from __future__ import annotations

import sqlite3

from api import paging, query
from api.answer import Answer, json_answer
from api.call import Call
from api.views import history as past
from jobs.store import reader
from jobs.store.reader import Run

_LIST = "runs"


def runs(call: Call) -> Answer:
    """Answer with runs, the newest first, in pages."""
    values = query.read_query(call.query, ("limit", "cursor"))
    limit = query.whole_number(values, "limit", default=query.DEFAULT_ROWS, highest=query.MAX_ROWS)
    before = paging.last_seen(values, of=_LIST)

    def question(connection: sqlite3.Connection) -> list[Run] | None:
        if before is not None and not reader.has_run(connection, before):
            return None
        return reader.runs(connection, limit + 1, before=before)

    found = call.ask(question)
    if found is None:
        raise paging.gone(values)
    page = found[:limit]
    headers = (paging.link(values, of=_LIST, last=page[-1].id),) if len(found) > limit else ()
    return json_answer([past.run(one) for one in page], headers=headers)
