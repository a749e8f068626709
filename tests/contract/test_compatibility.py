"""FULL_TRANSITIVE without a registry: every version reads what every other version of its subject wrote."""

from __future__ import annotations

import io
import itertools
from typing import Any

import fastavro
import pytest
from fastavro.utils import generate_many

from schemas import load_subjects

SAMPLES = 50
SUBJECTS = sorted(load_subjects())


def without_logical_types(schema: Any) -> Any:
    """Random numbers are not all dates; on the wire a date is a number."""
    if isinstance(schema, dict):
        return {name: without_logical_types(value) for name, value in schema.items() if name != "logicalType"}
    return [without_logical_types(item) for item in schema] if isinstance(schema, list) else schema


def reads(reader: Any, writer: Any) -> bool:
    """Whether random records of `writer` resolve to `reader` (Avro 1.12 specification, schema resolution)."""
    written, read = (fastavro.parse_schema(without_logical_types(schema)) for schema in (writer, reader))
    try:
        for record in generate_many(written, SAMPLES):
            body = io.BytesIO()
            fastavro.schemaless_writer(body, written, record)
            body.seek(0)
            fastavro.schemaless_reader(body, written, read)
    except (fastavro.read.SchemaResolutionError, ValueError, TypeError):
        return False
    return True


def changed(definition: Any, **field: Any) -> Any:
    return {**definition, "fields": [*definition["fields"], field]}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_all_versions_read_each_other(subject: str) -> None:
    versions = load_subjects()[subject].versions
    for reader, writer in itertools.product(versions, repeat=2):
        assert reads(reader.definition, writer.definition), f"version {reader.version} cannot read {writer.version}"


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_break_would_be_seen(subject: str) -> None:
    definition = load_subjects()[subject].latest.definition
    required = changed(definition, name="added", type="string", doc="")
    optional = changed(definition, name="added", type=["null", "string"], default=None, doc="")
    assert not reads(required, definition)
    assert reads(definition, required)
    assert reads(optional, definition)
    assert reads(definition, optional)
    retyped = changed({**definition, "fields": definition["fields"][1:]}, name="meta", type="string")
    assert not reads(retyped, definition)
