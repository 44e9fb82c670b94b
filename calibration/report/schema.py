"""The JSON Schema of report.json, from the dataclasses that it is written from.

``docs/report.schema.json`` holds it; a test holds the two together.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .report import SCHEMA, Report

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number"}
Schema = dict[str, Any]


def report_schema() -> Schema:
    """The schema of what ``Report.encoded`` writes."""
    definitions: dict[type, Schema] = {}
    whole = _object(Report, definitions)
    whole["properties"]["schema"] = {"const": SCHEMA}
    words = {"type": "object", "additionalProperties": {"type": "string"}}
    whole["properties"].update(labels=words, sources=words)
    whole["required"] += ["labels", "sources"]
    return {
        "$schema": DIALECT,
        "title": f"snn-deploy report.json, schema {SCHEMA}",
        **whole,
        "$defs": _named(definitions),
    }


def _named(definitions: dict[type, Schema]) -> Schema:
    """By the classes' names, of which no two may be the same."""
    named = {kind.__name__: definition for kind, definition in definitions.items()}
    if len(named) < len(definitions):
        names = sorted(kind.__name__ for kind in definitions)
        raise TypeError(f"two dataclasses of a report share one of the names {names}")
    return dict(sorted(named.items()))


def _object(kind: type, definitions: dict[type, Schema]) -> Schema:
    """Of a dataclass; those within it are among the definitions."""
    hints = get_type_hints(kind)
    return {
        "type": "object",
        "description": (kind.__doc__ or "").partition("\n")[0],
        "additionalProperties": False,
        "required": [f.name for f in fields(kind) if _needed(f)],
        "properties": {f.name: _of(hints[f.name], definitions) for f in fields(kind)},
    }


def _needed(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _of(kind: Any, definitions: dict[type, Schema]) -> Schema:
    origin, args = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        if kind not in definitions:
            definitions[kind] = {}  # known, though not yet what
            definitions[kind] = _object(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if origin is tuple and args[-1] is ...:
        return {"type": "array", "items": _of(args[0], definitions)}
    if origin is tuple:
        items = [_of(each, definitions) for each in args]
        return {"type": "array", "prefixItems": items, "items": False}
    if origin is Mapping:
        return {
            "type": "object",
            "additionalProperties": _of(args[1], definitions),
        }
    if origin in (Union, types.UnionType):
        return {"anyOf": [_of(args[0], definitions), {"type": "null"}]}
    if origin is Literal:
        return {"enum": list(args)}
    return {"type": PLAIN[kind]}
