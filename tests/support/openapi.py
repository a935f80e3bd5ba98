"""api/openapi.json as the judge of answers."""

import copy
import json
from pathlib import Path

from jsonschema import Draft202012Validator

OPENAPI = json.loads((Path(__file__).parents[2] / "api" / "openapi.json").read_text())

# Paths that answer GET.
READABLE = [path for path, item in OPENAPI["paths"].items() if "get" in item]


def resolved(value):
    """Return what a reference points to, the value itself where it is none."""
    while "$ref" in value:
        found = OPENAPI
        for step in value["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        value = found
    return value


def broken_promises(schema, value):
    """Return what a value holds against a schema, or a component's name, one short line each."""
    if isinstance(schema, str):
        schema = OPENAPI["components"]["schemas"][schema]
    judge = Draft202012Validator({**_strict(copy.deepcopy(schema)), "components": _strict(OPENAPI["components"])})
    return [f"{list(error.path)}: {error.message}"[:300] for error in judge.iter_errors(value)]


def _strict(schema):
    """Return a schema that takes no field beside those it names, so that none goes undocumented."""
    if isinstance(schema, dict):
        made = {name: _strict(value) for name, value in schema.items()}
        if "properties" in made and made.get("type") == "object":
            made.setdefault("additionalProperties", False)
        return made
    return [_strict(one) for one in schema] if isinstance(schema, list) else schema
