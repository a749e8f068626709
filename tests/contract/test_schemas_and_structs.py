"""Every Avro schema and its Struct say the same: names, order of nothing, types, what may be left out, and defaults."""

from __future__ import annotations

from typing import Any

import fastavro
import msgspec
import msgspec.inspect as inspect
import pytest

from schemas import load_subjects
from streams.events import EVENTS

Shape = Any  # a name, or a tuple that begins with one: ("array", item), ("record", {field: (shape, default)})
REQUIRED = "required"

PRIMITIVE = {
    inspect.StrType: "string",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.BoolType: "boolean",
    inspect.BytesType: "bytes",
    inspect.DateTimeType: "instant",
}
AVRO_PRIMITIVE = {
    "string": "string",
    "int": "integer",
    "long": "integer",
    "double": "number",
    "boolean": "boolean",
    "bytes": "bytes",
    "null": "null",
}


def of_struct(kind: inspect.Type) -> Shape:
    if name := PRIMITIVE.get(type(kind)):
        return name
    match kind:
        case inspect.LiteralType():
            return ("enum", tuple(sorted(str(value) for value in kind.values)))
        case inspect.UnionType() if kind.includes_none:
            (other,) = (item for item in kind.types if not isinstance(item, inspect.NoneType))
            return ("optional", of_struct(other))
        case inspect.VarTupleType():
            return ("array", of_struct(kind.item_type))
        case inspect.DictType():
            return ("map", of_struct(kind.value_type))
        case inspect.StructType():
            return ("record", {field.name: (of_struct(field.type), default_of(field)) for field in kind.fields})
    raise AssertionError(f"no Avro type is agreed for {kind}")


def default_of(field: inspect.Field) -> Any:
    value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    if value is msgspec.NODEFAULT:
        return REQUIRED
    return list(value) if isinstance(value, tuple) else value


def of_avro(schema: Any, named: dict[str, Any]) -> Shape:
    if isinstance(schema, list):
        null, other = schema
        assert null == "null"
        return ("optional", of_avro(other, named))
    if isinstance(schema, str):
        return AVRO_PRIMITIVE[schema] if schema in AVRO_PRIMITIVE else of_avro(named[schema], named)
    if schema.get("logicalType") == "timestamp-millis":
        return "instant"
    if schema["type"] in ("record", "enum"):
        named[schema["name"]] = schema
    match schema["type"]:
        case "record":
            fields = schema["fields"]
            return ("record", {f["name"]: (of_avro(f["type"], named), f.get("default", REQUIRED)) for f in fields})
        case "enum":
            return ("enum", tuple(sorted(schema["symbols"])))
        case "array":
            return ("array", of_avro(schema["items"], named))
        case "map":
            return ("map", of_avro(schema["values"], named))
    return of_avro(schema["type"], named)


def every(schema: Any) -> list[dict[str, Any]]:
    """Every JSON object inside a schema, the schema itself first."""
    if isinstance(schema, dict):
        return [schema, *(found for value in schema.values() for found in every(value))]
    return [found for item in schema for found in every(item)] if isinstance(schema, list) else []


def test_every_subject_has_a_struct_and_every_struct_a_subject() -> None:
    assert set(load_subjects()) == set(EVENTS)


@pytest.mark.parametrize("subject", EVENTS)
def test_the_struct_is_the_latest_schema(subject: str) -> None:
    assert of_struct(inspect.type_info(EVENTS[subject])) == of_avro(load_subjects()[subject].latest.definition, {})


@pytest.mark.parametrize("subject", EVENTS)
def test_versions_count_from_one_without_a_gap_and_each_is_avro(subject: str) -> None:
    versions = load_subjects()[subject].versions
    assert [schema.version for schema in versions] == list(range(1, len(versions) + 1))
    for schema in versions:
        fastavro.parse_schema(schema.definition)


@pytest.mark.parametrize("subject", EVENTS)
def test_every_field_is_documented_and_every_enum_can_grow(subject: str) -> None:
    """A reader that meets a new symbol takes the enum's default (Avro 1.12 specification, schema resolution)."""
    for part in every(load_subjects()[subject].latest.definition):
        if part.get("type") in ("record", "enum"):
            assert part["type"] == "enum" or part["doc"], part["name"]
        if part.get("type") == "enum":
            assert part["default"] in part["symbols"], part["name"]
        for field in part.get("fields", ()):
            assert field["doc"].endswith((".", ":")), field["name"]
