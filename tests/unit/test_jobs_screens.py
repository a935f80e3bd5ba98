"""When a picture is asked for, and which answer holds one."""

import pytest
from builders import a_probe, a_report, an_instance
from msgspec.structs import replace

from jobs.health.model import ProbeOutcome
from jobs.health.watched import Watched
from jobs.probe.answers import Answer
from jobs.probe.screens import MAX_SCREEN_BYTES, Pictures

KEY = an_instance().key
PNG = b"\x89PNG\r\n\x1a\n..."


def watched(screen_hash="new", *, tick=1):
    screen = replace(a_report().screen, hash=screen_hash)
    return Watched(an_instance(), tick=tick, probe=a_probe(a_report(screen=screen)))


def test_a_moved_picture_is_asked_for_beside_the_report_and_kept_under_its_hash():
    pictures = Pictures({KEY: "old"})
    (request,) = pictures.requests([watched("new")])

    assert ("http://127.0.0.1:8080/screen.png", MAX_SCREEN_BYTES) == (request.url, request.max_bytes)
    assert "new" == pictures.take(Answer(request, 0, 0.0, status=200, content_type="image/png", body=PNG))
    assert [] == pictures.requests([watched("new", tick=2)])


def test_a_picture_that_stands_still_is_not_asked_for():
    assert [] == Pictures({KEY: "same"}).requests([watched("same")])


def test_a_picture_is_asked_for_once_a_tick_and_again_when_none_came():
    pictures = Pictures({})
    asked = [len(pictures.requests([watched(tick=tick)])) for tick in (1, 1, 2)]

    assert [1, 0, 1] == asked


def test_the_picture_that_comes_is_the_one_that_was_asked_for_whatever_moved_since():
    pictures = Pictures({})
    (request,) = pictures.requests([watched("first", tick=1)])
    answer = Answer(request, 0, 0.0, status=200, content_type="image/png", body=PNG)

    assert "first" == pictures.take(answer)
    assert 1 == len(pictures.requests([watched("second", tick=2)]))


@pytest.mark.parametrize("report", [None, a_report(screen=None), a_report(screen={"hash": None})])
def test_without_a_hash_there_is_nothing_to_ask_for(report):
    probe = a_probe(report) if report else a_probe(outcome=ProbeOutcome.REFUSED)

    assert [] == Pictures({}).requests([Watched(an_instance(), tick=1, probe=probe), Watched(an_instance())])


@pytest.mark.parametrize(
    "flaw",
    [
        {"status": 404},
        {"content_type": "text/html"},
        {"body": b"GIF89a"},
        {"outcome": ProbeOutcome.TOO_LARGE},
    ],
)
def test_any_other_answer_holds_no_picture(flaw):
    pictures = Pictures({})
    (request,) = pictures.requests([watched()])
    whole = {"status": 200, "content_type": "image/png", "body": PNG}

    assert None is pictures.take(Answer(request, 0, 0.0, **{**whole, **flaw}))
