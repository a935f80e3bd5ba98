"""What was read of a span is kept while it can't change any more."""

from itertools import pairwise

import pytest

from api.shelf import GRACE_MS, Shelf
from api.spans import Span
from jobs.errors import StoreLocked

LONG_MS = 10 * GRACE_MS
SPANS = [Span(*pair) for pair in pairwise(range(0, 6 * LONG_MS, LONG_MS))]
LAST = SPANS[-1]


class Store:
    """A store that tells how often each of its spans was read."""

    def __init__(self):
        self.connection = object()
        self.reads = []
        self.fails_at = None

    def ask(self, question):
        """Answer as a follower does."""
        return question(self.connection)

    def read(self, _connection, span):
        """Return what is found in a span: how often it was read by now."""
        if len(self.reads) == self.fails_at:
            raise StoreLocked("held")
        self.reads.append(span)
        return span, self.reads.count(span)


def take(shelf, store, spans=SPANS, now_ms=LAST.from_ms + 1):
    """Return the spans that this visit read, after a look at what it returned."""
    began = len(store.reads)
    found = shelf.take(spans, store.ask, store.read, now_ms=now_ms)

    assert list(spans) == [span for span, _ in found]
    return store.reads[began:]


def test_the_first_visit_reads_every_span_once():
    assert SPANS == take(Shelf(), Store())


def test_a_later_visit_reads_what_may_have_changed_and_one_span_that_was_over():
    store, shelf = Store(), Shelf()
    now_ms = LAST.from_ms + GRACE_MS
    take(shelf, store, now_ms=now_ms)

    assert [[SPANS[0], LAST], [SPANS[1], LAST], [SPANS[2], LAST], [SPANS[3], LAST], [SPANS[0], LAST]] == [
        take(shelf, store, now_ms=now_ms) for _ in range(5)
    ]


def test_a_span_that_has_just_ended_is_read_anew():
    store, shelf = Store(), Shelf()
    now_ms = LAST.from_ms + GRACE_MS - 1
    take(shelf, store, now_ms=now_ms)

    assert [SPANS[0], SPANS[-2], LAST] == take(shelf, store, now_ms=now_ms)


def test_a_span_that_was_read_while_it_was_open_is_read_anew_however_late_the_next_visit_comes():
    store, shelf = Store(), Shelf()
    take(shelf, store, now_ms=SPANS[2].from_ms + 1)

    assert {*SPANS[2:]} <= {*take(shelf, store, now_ms=LAST.to_ms + LONG_MS)}


def test_a_clock_that_is_set_back_opens_spans_again():
    store, shelf = Store(), Shelf()
    take(shelf, store, now_ms=LAST.to_ms + GRACE_MS)
    reads = take(shelf, store, now_ms=SPANS[2].from_ms)

    assert {*SPANS[2:]} <= {*reads}


def test_what_is_wanted_no_more_is_forgotten():
    store, shelf = Store(), Shelf()
    take(shelf, store)
    take(shelf, store, SPANS[3:])

    # Of those that were kept all the same, two visits would have read two anew.
    assert SPANS[:3] == [span for span in take(shelf, store) if span in SPANS[:3]]


def test_another_file_is_read_from_the_start():
    store, shelf = Store(), Shelf()
    take(shelf, store)
    store.connection = object()

    assert {*SPANS} == {*take(shelf, store)}


def test_a_file_that_is_replaced_on_the_way_gives_no_mixture():
    store, shelf = Store(), Shelf()

    def read(connection, span):
        if len(store.reads) == 3:
            store.connection = object()
        store.reads.append(span)
        return connection

    assert 1 == len(set(shelf.take(SPANS, store.ask, read, now_ms=LAST.from_ms)))


def test_a_store_that_refuses_loses_nothing_that_was_read():
    store, shelf = Store(), Shelf()
    store.fails_at = 3
    with pytest.raises(StoreLocked):
        take(shelf, store)
    store.fails_at = None

    # The first of them in turn, and what was missing.
    assert [SPANS[0], *SPANS[3:]] == take(shelf, store)
