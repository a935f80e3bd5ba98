"""A path leads to its route, and the docs list the same ones."""

import re
from pathlib import Path

import pytest

from api import wording
from api.problem import Problem, ProblemReason
from api.routes import ROUTES, find

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "api.md").read_text()
PATHS = {route.path for route in ROUTES}


def section(title):
    """Return one section of docs/api.md."""
    return DOCS.split(f"## {title}\n")[1].split("\n## ")[0]


def test_every_route_has_its_row_and_every_row_its_route():
    rows = re.findall(r"^\| (`/[^|]*) \|", section("Routes"), re.MULTILINE)

    assert {path for row in rows for path in re.findall(r"`([^`]+)`", row)} == PATHS


def test_every_problem_has_its_row():
    assert set(re.findall(r"^\| `(\w+)` \|", section("Problems"), re.MULTILINE)) - {"reason"} == set(ProblemReason)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/quality/deep-health", ("/api/quality/deep-health", "")),
        ("/api/quality/deep-health/instance-0", ("/api/quality/deep-health/{id}", "instance-0")),
        ("/api/instances/live", ("/api/instances/live", "")),
        ("/api/instances/a b/why", ("/api/instances/{id}/why", "a b")),
    ],
)
def test_a_path_leads_to_its_route(path, expected):
    route, variable = find(path)

    assert expected == (route.path, variable)


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/api/instances/",
        "/api/quality/deep-health/a/b",
        "/static/../openapi.json",
        "/static/page.css\n",
        "/api/instances/../../etc/passwd/why",
        "//",
    ],
)
def test_any_other_path_is_unknown(path):
    with pytest.raises(Problem) as raised:
        find(path)

    assert ProblemReason.UNKNOWN_ROUTE is raised.value.reason


def test_every_reason_is_told_once_with_what_to_do():
    told = wording.reasons()

    assert len({reason["code"] for reason in told}) == len(told)
    assert [] == [reason["code"] for reason in told if not (reason["means"] and reason["advice"])]
    assert "ObservationStale" in {reason["code"] for reason in told}
