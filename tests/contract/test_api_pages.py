"""Lists in pages: every row once, in order, whatever is added while somebody reads on."""

import itertools
import re
import sqlite3
import time
from contextlib import closing

import pytest
from api_process import an_api
from filled_store import fill

ROWS = 7
LISTS = ("/api/incidents", "/api/runs")


@pytest.fixture
def store(tmp_path):
    """A store with seven incidents, all but one closed, and seven runs."""
    store = tmp_path / "loco.db"
    fill(store)
    for n in range(ROWS - 2):
        add(store, f"incident-{n}", opened_at_ms=1000 * (n // 2))  # two of the same instant
    with closing(sqlite3.connect(store)) as writing:
        for n in range(ROWS - 1):
            add_run(writing, f"run-of-old-{n}")
        writing.commit()
    return store


@pytest.fixture
def api(store):
    with an_api(store) as running:
        yield running


def add(store, incident_id, *, opened_at_ms):
    """Copy the newest closed incident under another id and time."""
    with closing(sqlite3.connect(store)) as writing:
        writing.execute(
            "INSERT INTO incidents SELECT ?1, key, ?2, opened_tick, ?2, failure_class, verdict, codes,"
            " json_set(incident, '$.id', ?1, '$.opened_at_ms', ?2)"
            " FROM incidents WHERE closed_at_ms IS NOT NULL LIMIT 1",
            (incident_id, opened_at_ms),
        )
        writing.commit()


def add_run(writing, run_id):
    """Write a run."""
    writing.execute("INSERT INTO runs (id, command, holder, started_at_ms) VALUES (?, 'compact', 'x', 1)", (run_id,))


def ids(rows):
    """Return the ids of rows."""
    return [row["id"] for row in rows]


def following(path, reply):
    """Return the path of the page that a Link names, as a client resolves it; None on the last page."""
    link = reply.headers.get("link")
    return link and path.partition("?")[0] + re.fullmatch(r'<(\?[^>]+)>; rel="next"', link)[1]


def walk(api, path):
    """Return the ids of each page from here on."""
    pages = []
    while path:
        reply = api.ask(path)
        assert 200 == reply.status, reply
        pages.append(ids(reply.json))
        path = following(path, reply)
    return pages


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", [1, 2, 3, ROWS - 1, ROWS, 500])
def test_pages_hold_every_row_once_and_in_order(api, path, limit):
    everything = ids(api.ask(path).json)
    pages = walk(api, f"{path}?limit={limit}")

    assert ROWS == len(set(everything))
    assert [everything[n : n + limit] for n in range(0, ROWS, limit)] == pages


def test_pages_keep_their_filter(api):
    assert [[one] for one in ids(api.ask("/api/incidents?instance=instance-1").json)] == walk(
        api, "/api/incidents?instance=instance-1&limit=1"
    )
    assert 1 == len(walk(api, "/api/incidents?state=open&limit=1"))


def test_rows_that_are_added_meanwhile_move_no_page(api, store):
    everything = ids(api.ask("/api/incidents").json)
    first = api.ask("/api/incidents?limit=3")
    add(store, "new-one", opened_at_ms=int(time.time() * 1000) + 60_000)
    rest = walk(api, following("/api/incidents", first))

    assert everything == [*ids(first.json), *itertools.chain(*rest)]
    assert "new-one" == api.ask("/api/incidents").json[0]["id"]


@pytest.mark.parametrize(
    ("path", "delete"),
    [("/api/incidents", "DELETE FROM incidents WHERE id = ?"), ("/api/runs", "DELETE FROM runs WHERE id = ?")],
)
def test_a_page_after_a_row_that_was_deleted_is_refused(api, store, path, delete):
    first = api.ask(f"{path}?limit=3")
    with closing(sqlite3.connect(store)) as writing:
        writing.execute(delete, (first.json[-1]["id"],))
        writing.commit()
    stale = api.ask(following(path, first))

    assert (400, "BadQuery") == (stale.status, stale.json["reason"])
    assert "query parameter cursor is of a row that isn't there; begin without it" == stale.json["detail"]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("cursor", ["", "x", "WyJydW5zIix7fSwieCJd", "%00", "A" * 9000, "'%20OR%201=1--"])
def test_a_cursor_that_is_made_up_is_refused(api, path, cursor):
    reply = api.ask(f"{path}?cursor={cursor}")

    assert (400, "BadQuery", True) == (reply.status, reply.json["reason"], len(reply.body) < 400)


def test_a_cursor_of_another_list_is_refused(api):
    cursor = following("/api/incidents", api.ask("/api/incidents?limit=1")).partition("cursor=")[2]

    assert (
        "query parameter cursor is of another list or filter; begin without it"
        == (api.ask(f"/api/runs?cursor={cursor}").json["detail"])
    )


def test_incidents_can_be_read_on_from_an_id_too(api):
    everything = ids(api.ask("/api/incidents").json)

    assert everything[3:] == ids(api.ask(f"/api/incidents?before={everything[2]}").json)
    assert [everything[3:5], everything[5:]] == walk(api, f"/api/incidents?before={everything[2]}&limit=2")
    assert [] == api.ask(f"/api/incidents?before={everything[-1]}").json
    assert 400 == api.ask("/api/incidents?before=nobody").status
