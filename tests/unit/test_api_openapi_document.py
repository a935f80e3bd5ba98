"""openapi.json is valid, complete, and says the same as the route table."""

import json
import re

import pytest
from jsonschema import Draft202012Validator
from openapi import OPENAPI, resolved
from openapi_spec_validator import validate

from agent import __version__
from api.problem import ProblemReason
from api.routes import ROUTES

COMPONENTS = OPENAPI["components"]
OPERATIONS = [
    (method, path, operation) for path, item in OPENAPI["paths"].items() for method, operation in item.items()
]
NAMES = [f"{method} {path}" for method, path, _ in OPERATIONS]

# An instance that a file names has none of the first, and a wish may be empty.
ALL_OPTIONAL = {"Kubernetes", "RecoveryWish"}

every_operation = pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)


def objects(schema, name):
    """Yield every object of a schema that names its properties, with its place."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield name, schema
        for key, value in schema.items():
            if key != "examples":
                yield from objects(value, f"{name}.{key}")
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value, name)


def test_it_is_openapi():
    validate(OPENAPI)


def test_it_has_the_version_of_the_distribution():
    assert __version__ == OPENAPI["info"]["version"]


def test_it_has_every_path_and_method_of_the_route_table_and_no_other():
    served = {(method.lower(), route.path) for route in ROUTES for method in route.methods if method != "HEAD"}

    assert served == {(method, path) for method, path, _ in OPERATIONS}


def test_it_has_every_problem():
    assert set(ProblemReason) == set(COMPONENTS["schemas"]["Problem"]["properties"]["reason"]["enum"])


def test_every_component_is_used():
    made = {f"#/components/{kind}/{name}" for kind in COMPONENTS for name in COMPONENTS[kind]}

    assert {"#/components/securitySchemes/bearer"} == made - set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(OPENAPI)))


def test_operations_have_names_of_their_own_and_a_known_tag():
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    tags = {tag for _, _, operation in OPERATIONS for tag in operation.get("tags", [None])}

    assert len(names) == len(set(names))
    assert {tag["name"] for tag in OPENAPI["tags"]} == tags


@every_operation
def test_an_operation_says_what_it_does_and_takes(method, path, operation):
    parameters = [resolved(one) for one in operation.get("parameters", [])]

    assert operation["summary"].endswith(".")
    assert [] == [one["name"] for one in parameters if not one.get("description", "").endswith(".")]
    assert ("{id}" in path) == ([("id", "path")] == [(p["name"], p["in"]) for p in parameters if p["in"] == "path"])
    assert ("If-None-Match" in [one["name"] for one in parameters]) == (method == "get")


@every_operation
def test_an_operation_has_the_answers_of_its_kind(method, path, operation):
    answers = operation["responses"]
    route = next(route for route in ROUTES if route.path == path)
    takes_query = any(resolved(one)["in"] == "query" for one in operation.get("parameters", []))
    expected = (
        {"200", "304"} if method == "get" else {"202", "400", "401", "403", "409", "413", "415", "429", "502", "503"}
    )
    expected |= {"404"} if "{id}" in path else set()
    expected |= {"400"} if takes_query else set()
    expected |= {"503"} if route.needs_store and route.answer else set()

    assert set() == expected - set(answers)
    assert method != "post" or [{"bearer": []}] == operation["security"]


@every_operation
def test_every_refusal_is_problem_details(method, path, operation):
    refusals = {code: resolved(one) for code, one in operation["responses"].items() if code >= "400"}

    assert [] == [code for code, one in refusals.items() if "application/problem+json" not in one["content"]]


@every_operation
def test_what_is_read_has_an_age_and_a_tag(method, path, operation):
    if method == "get":
        assert {"Age", "ETag"} <= set(operation["responses"]["200"]["headers"])


@pytest.mark.parametrize("name", sorted(COMPONENTS["schemas"]))
def test_a_schema_says_what_it_is_and_what_is_always_there(name):
    schema = COMPONENTS["schemas"][name]
    vague = [
        place
        for place, one in objects(schema, name)
        if place not in ALL_OPTIONAL and set(one["properties"]) != set(one.get("required", []))
    ]

    assert (True, []) == ("description" in schema or "enum" in schema, vague)


@pytest.mark.parametrize("name", sorted(COMPONENTS["schemas"]))
def test_the_examples_of_a_schema_keep_it(name):
    judge = Draft202012Validator({**COMPONENTS["schemas"][name], "components": COMPONENTS})

    assert [] == [
        error.message for one in COMPONENTS["schemas"][name].get("examples", []) for error in judge.iter_errors(one)
    ]


def test_every_time_is_marked_as_one():
    times = [
        (place, field)
        for name, schema in COMPONENTS["schemas"].items()
        for place, one in objects(schema, name)
        for field, value in one["properties"].items()
        if field in ("at", "from", "until", "since", "timestamp") or field.endswith("At")
        if value.get("format") != "date-time"
    ]

    assert [] == times
