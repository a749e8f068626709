"""The schema registry, through its Confluent-compatible API (Schema Registry API v7).

It serves everybody else and refuses incompatible versions. No service of ours needs it to run: what is registered is
written into a file of ids (`streams.schema_ids`). Nothing here relies on rule sets: Apicurio drops them silently.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import urllib3

from schemas import Schema, load_subjects

COMPATIBILITY = "FULL_TRANSITIVE"
MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
TIMEOUT_S = 10.0
NOT_FOUND = 404


class RegistryAway(Exception):
    """The registry cannot be reached or fails. Wait and try again."""


class RegistryRefused(Exception):
    """The registry refused a schema or a setting, or did not keep it. Trying again does not help."""


@dataclass(frozen=True)
class Registered:
    """A schema as the registry has it: its id, and its version among those of the registry's subject."""

    id: int
    version: int


def registry_subject(schema: Schema) -> str:
    """The subject's name in the registry: TopicNameStrategy of the topic that it is named after."""
    return f"{schema.subject}-value"


def packaged() -> tuple[Schema, ...]:
    """Every packaged schema version, in the one order in which they are registered.

    The order is fixed so that a registry that was lost and registered anew gives the same ids.
    """
    return tuple(schema for subject in load_subjects().values() for schema in subject.versions)


class Registry:
    """A registry at `url`, the base of the API (for example http://host:port/apis/ccompat/v7)."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._http = urllib3.PoolManager(timeout=TIMEOUT_S, retries=False)

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.clear()

    def compatibility(self, subject: str | None = None) -> str | None:
        """The level that is set, globally or of one subject; None where the subject has none. Raises RegistryAway."""
        path = "/config" if subject is None else f"/config/{subject}?defaultToGlobal=false"
        answer = self._call("GET", path)
        return None if answer is None else str(answer["compatibilityLevel"])

    def require(self, level: str, subject: str | None = None) -> None:
        """Sets a compatibility level and reads it back. Raises RegistryRefused where it was not kept."""
        self._call("PUT", "/config" if subject is None else f"/config/{subject}", {"compatibility": level})
        if (kept := self.compatibility(subject)) != level:
            raise RegistryRefused(f"compatibility {level} of {subject or 'all subjects'} reads back as {kept}")

    def register(self, schema: Schema) -> int:
        """Registers a version, or finds it registered already; returns its id. Raises RegistryRefused."""
        subject = registry_subject(schema)
        answer = self._call("POST", f"/subjects/{subject}/versions", _body(schema))
        if answer is None:
            raise RegistryRefused(f"{subject}: {self._url} is not a schema registry; mend [registry] url")
        return int(answer["id"])

    def find(self, schema: Schema) -> Registered | None:
        """The registered version that is equal to a packaged one, or None. Raises RegistryAway."""
        answer = self._call("POST", f"/subjects/{registry_subject(schema)}", _body(schema))
        return None if answer is None else Registered(int(answer["id"]), int(answer["version"]))

    def _call(self, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any] | None:
        """One call; None for 404."""
        try:
            response = self._http.request(
                method,
                self._url + path,
                body=None if body is None else json.dumps(body),
                headers={"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE},
            )
        except urllib3.exceptions.HTTPError as error:
            raise RegistryAway(
                f"the schema registry at {self._url} does not answer; start it, or mend [registry] url"
            ) from error
        if response.status == NOT_FOUND:
            return None
        if response.status >= 500:
            raise RegistryAway(f"the schema registry at {self._url} answered {response.status} to {method} {path}")
        return self._content(response, f"{method} {path}")

    def _content(self, response: urllib3.BaseHTTPResponse, call: str) -> dict[str, Any]:
        try:
            content = response.json()
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise RegistryRefused(f"{self._url} is not a schema registry ({call}: no JSON); mend [registry] url")
        if response.status >= 400:
            raise RegistryRefused(f"{call}: {response.status} {content.get('message', '')}")
        return content


def _body(schema: Schema) -> dict[str, str]:
    return {"schema": schema.text, "schemaType": "AVRO"}


def register(url: str) -> dict[tuple[str, int], int]:
    """Registers every packaged schema under FULL_TRANSITIVE; the ids by (subject, version). Can be repeated.

    What is there is looked for and not written again: each `radstream up` asks, and a registry takes its time.
    Raises RegistryAway, and RegistryRefused where a schema is not compatible or a setting is not kept.
    """
    with Registry(url) as registry:
        if registry.compatibility() != COMPATIBILITY:
            registry.require(COMPATIBILITY)
        subjects = dict.fromkeys(registry_subject(schema) for schema in packaged())
        known = {subject for subject in subjects if registry.compatibility(subject) == COMPATIBILITY}
        for subject in subjects:
            if subject not in known:
                registry.require(COMPATIBILITY, subject)
        return {(schema.subject, schema.version): _registered(registry, schema, known) for schema in packaged()}


def _registered(registry: Registry, schema: Schema, known: Collection[str]) -> int:
    """The id of a schema, which must be there under the same version number, and under its compatibility rule still."""
    subject = registry_subject(schema)
    found = registry.find(schema) if subject in known else None
    if found is None:
        number = registry.register(schema)
        found = registry.find(schema)
        if found is not None and found.id != number:
            found = None
        if (kept := registry.compatibility(subject)) != COMPATIBILITY:
            raise RegistryRefused(f"compatibility {COMPATIBILITY} of {subject} reads back as {kept} after registration")
    if found is None or found.version != schema.version:
        raise RegistryRefused(
            f"{subject} version {schema.version} reads back as another version; start with an empty one"
        )
    return found.id
