"""One fleet's answers are made once, whoever asks, and none outlives its fleet."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.answer import json_answer
from api.fleet import see
from api.kept import MAX_QUERIES, Kept

ONE, OTHER = see(None, "", 0), see(None, "", 1)
WALL = ("/", "", "text/html")


def always():
    """Tell that an answer holds as long as its fleet."""
    return True


def test_an_answer_is_made_once_a_fleet():
    kept = Kept()
    first = kept.answer(ONE, WALL, lambda: json_answer(1), always)

    assert first is kept.answer(ONE, WALL, lambda: json_answer(2), always)
    assert first is not kept.answer(OTHER, WALL, lambda: json_answer(3), always)
    assert first is not kept.answer(ONE, WALL, lambda: json_answer(4), always)


def test_path_query_and_variant_tell_answers_apart():
    kept = Kept()
    keys = [WALL, ("/x", "", "text/html"), ("/", "a=b", "text/html"), ("/", "", "")]

    assert 4 == len({id(kept.answer(ONE, key, lambda: json_answer(1), always)) for key in keys})


def test_threads_that_ask_at_once_wait_for_one_of_them():
    kept, made, twice = Kept(), [], threading.Event()

    def make():
        made.append(threading.get_ident())
        if len(made) > 1:
            twice.set()
        twice.wait(0.3)  # for those who don't wait for this one
        return json_answer(1)

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(kept.answer, ONE, WALL, make, always) for _ in range(8)]

    assert (1, 1) == (len(made), len({id(answer.result()) for answer in answers}))


def test_what_cant_be_made_is_tried_again_and_leaves_nothing_behind():
    kept = Kept()
    for n in range(1000):
        with pytest.raises(ZeroDivisionError):
            kept.answer(ONE, (f"/{n}", "", ""), lambda: 1 / 0, always)

    assert {} == kept._kept[1]
    assert b"1" == kept.answer(ONE, ("/1", "", ""), lambda: json_answer(1), always).body


def test_an_answer_without_its_fleets_past_is_for_those_who_wait_for_it_and_nobody_later():
    kept, goes_on, asked = Kept(), threading.Event(), threading.Semaphore(0)

    def make():
        goes_on.wait(5)
        return json_answer("history not read yet")

    def ask():
        asked.release()
        return kept.answer(ONE, WALL, make, lambda: False)

    with ThreadPoolExecutor(3) as pool:
        early = [pool.submit(ask) for _ in range(3)]
        for _ in early:
            asked.acquire(timeout=5)
        time.sleep(0.3)  # for the last of them to wait
        goes_on.set()
        shared = {id(one.result()) for one in early}
    whole = kept.answer(ONE, WALL, lambda: json_answer("history"), always)

    assert (1, b'"history"') == (len(shared), whole.body)
    assert whole is kept.answer(ONE, WALL, make, always)


def test_of_queries_only_so_many_are_kept():
    kept = Kept()
    for n in range(MAX_QUERIES + 50):
        kept.answer(ONE, ("/", f"search={n}", ""), lambda: json_answer(1), always)
    kept.answer(ONE, WALL, lambda: json_answer(1), always)

    assert MAX_QUERIES + 1 == len(kept._kept[1])
