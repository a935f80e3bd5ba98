"""One fleet's answers are made once, whoever asks, and none outlives its fleet."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.answer import json_answer
from api.fleet import see
from api.kept import MAX_QUERIES, Kept

ONE, OTHER = see(None, "", 0), see(None, "", 1)
WALL = ("/", "", "text/html")


def test_an_answer_is_made_once_a_fleet():
    kept = Kept()
    first = kept.answer(ONE, WALL, lambda: json_answer(1))

    assert first is kept.answer(ONE, WALL, lambda: json_answer(2))
    assert first is not kept.answer(OTHER, WALL, lambda: json_answer(3))
    assert first is not kept.answer(ONE, WALL, lambda: json_answer(4))


def test_path_query_and_variant_tell_answers_apart():
    kept = Kept()
    keys = [WALL, ("/x", "", "text/html"), ("/", "a=b", "text/html"), ("/", "", "")]

    assert 4 == len({id(kept.answer(ONE, key, lambda: json_answer(1))) for key in keys})


def test_threads_that_ask_at_once_wait_for_one_of_them():
    kept, made, twice = Kept(), [], threading.Event()

    def make():
        made.append(threading.get_ident())
        if len(made) > 1:
            twice.set()
        twice.wait(0.3)  # for those who don't wait for this one
        return json_answer(1)

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(kept.answer, ONE, WALL, make) for _ in range(8)]

    assert (1, 1) == (len(made), len({id(answer.result()) for answer in answers}))


def test_what_cant_be_made_is_tried_again_and_leaves_nothing_behind():
    kept = Kept()
    for n in range(1000):
        with pytest.raises(ZeroDivisionError):
            kept.answer(ONE, (f"/{n}", "", ""), lambda: 1 / 0)

    assert {} == kept._kept[1]
    assert b"1" == kept.answer(ONE, ("/1", "", ""), lambda: json_answer(1)).body


def test_of_queries_only_so_many_are_kept():
    kept = Kept()
    for n in range(MAX_QUERIES + 50):
        kept.answer(ONE, ("/", f"search={n}", ""), lambda: json_answer(1))
    kept.answer(ONE, WALL, lambda: json_answer(1))

    assert MAX_QUERIES + 1 == len(kept._kept[1])
