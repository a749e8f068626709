"""The schema registry keeps what we register, and refuses a break."""

from __future__ import annotations

import uuid

import pytest

from schemas import Schema, load_subjects
from streams.config import Kafka, Registry, Store
from streams.registry import COMPATIBILITY, RegistryAway, RegistryRefused, packaged, register, registry_subject
from streams.registry import Registry as Client
from streams.schema_ids import read_ids
from tests.ports import free_port
from tests.running_stack import RunningStack


@pytest.fixture
def url(stack: RunningStack) -> str:
    return stack.config.section("registry", Registry).url


def changed(definition: dict[str, object], **field: object) -> dict[str, object]:
    fields = definition["fields"]
    assert isinstance(fields, list)
    return {**definition, "fields": [*fields, field]}


def test_registering_again_changes_nothing_and_services_know_the_ids(stack: RunningStack, url: str) -> None:
    first = register(url)
    assert register(url) == first
    assert set(first) == {(schema.subject, schema.version) for schema in packaged()}
    assert len(set(first.values())) == len(first)
    path = stack.config.section("kafka", Kafka).schema_ids
    assert path is not None
    assert read_ids(path).ids == first


def test_every_rule_that_was_set_reads_back(url: str) -> None:
    """Apicurio drops rule sets without a word; compatibility is the one rule that we set and rely on."""
    register(url)
    with Client(url) as client:
        assert client.compatibility() == COMPATIBILITY
        for schema in packaged():
            assert client.compatibility(registry_subject(schema)) == COMPATIBILITY


def test_the_registry_gives_anybody_the_schema_of_an_id(url: str) -> None:
    register(url)
    with Client(url) as client:
        for schema in packaged():
            found = client.find(schema)
            assert found is not None
            assert found.version == schema.version


def test_a_break_is_refused_and_a_growth_is_taken(url: str) -> None:
    definition = load_subjects()["imaging.step.generation"].latest.definition
    subject = f"test.{uuid.uuid4()}"
    first = Schema(subject, 1, definition)
    required = Schema(subject, 2, changed(definition, name="added", type="string", doc="Required."))
    optional = Schema(subject, 2, changed(definition, name="added", type=["null", "string"], default=None, doc="Not."))
    with Client(url) as client:
        client.require(COMPATIBILITY, registry_subject(first))
        client.register(first)
        with pytest.raises(RegistryRefused, match="409"):
            client.register(required)
        assert client.find(required) is None
        client.register(optional)
        found = client.find(optional)
        assert found is not None
        assert found.version == 2


def test_what_is_no_schema_is_refused(url: str) -> None:
    with Client(url) as client, pytest.raises(RegistryRefused, match="422"):
        client.register(Schema(f"test.{uuid.uuid4()}", 1, {"type": "nonsense"}))


def test_a_level_that_no_registry_has_is_refused(url: str) -> None:
    with Client(url) as client, pytest.raises(RegistryRefused):
        client.require("SOMEHOW", f"test.{uuid.uuid4()}-value")


def test_an_absent_registry_is_away() -> None:
    with pytest.raises(RegistryAway, match="start it"):
        register(f"http://127.0.0.1:{free_port()}/apis/ccompat/v7")


def test_something_else_is_no_registry(stack: RunningStack, url: str) -> None:
    with pytest.raises(RegistryRefused):
        register(stack.config.section("store", Store).endpoint)
    with pytest.raises(RegistryRefused):
        register(url.removesuffix("/apis/ccompat/v7"))


def test_schemas_are_registered_in_one_order() -> None:
    """A registry that is lost and filled again then gives the same ids, and old records stay readable to all."""
    assert [(schema.subject, schema.version) for schema in packaged()] == sorted(
        (schema.subject, schema.version) for schema in packaged()
    )
