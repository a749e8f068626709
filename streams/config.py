"""One typed TOML file configures a site. Its errors point at the line.

Each service declares its own section beside the shared ones here; sections of other services are not its business.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from streams import logs
from streams.routes.lines import line_of

ENVIRONMENT = "RADSTREAM_CONFIG"
# No archive takes longer: S3's deepest class brings objects back in bulk within 48 hours.
RESTORE_S_MAX: Final = 48 * 3600.0


class ConfigError(Exception):
    """The configuration cannot be used. The text names the file, the line and what to do."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: an unknown key is an error, as it is most likely a misspelt one."""


class Site(Section, frozen=True, kw_only=True):
    tenant: str
    site: str


class Kafka(Section, frozen=True, kw_only=True):
    """`properties` are librdkafka's own: security.protocol, sasl.*, ssl.*. The only place where they are set."""

    bootstrap: str
    properties: dict[str, str] = {}
    schema_ids: Path | None = None


class Registry(Section, frozen=True, kw_only=True):
    url: str


class Store(Section, frozen=True, kw_only=True):
    """An S3-compatible endpoint. `buckets` maps a store's name (hot, warm, cold, backup) to a bucket of its own.

    Without keys, those of the role that the machine or the task has (AWS), which are new every few hours.

    `archived` are stores that do not answer at once (tapes, S3's Glacier classes): readers are not sent there, and what
    lies there alone is brought back by tiering first. `restore_s` is how long that is thought to take until some
    restores have been measured.

    `objects_folder` is where an object above 64 MiB lies, in a file without a name, while a service of this machine has
    it in hand; left out, it is /var/tmp. It must be on a disk, not in memory, and encrypted as the store is.
    """

    endpoint: str
    buckets: dict[str, str]
    access_key: str = ""
    secret_key: str = ""
    region: str = "us-east-1"
    archived: tuple[str, ...] = ()
    restore_s: Annotated[float, Meta(ge=1, le=RESTORE_S_MAX)] = 4 * 3600.0
    objects_folder: Path | None = None

    def __post_init__(self) -> None:
        if unknown := set(self.archived) - set(self.buckets):
            raise ValueError(f"archived names {', '.join(sorted(unknown))}, which buckets does not")
        if {"hot", "warm"} & set(self.archived):
            raise ValueError("hot and warm answer at once; archived may name cold and backup")
        # One object under two names would count as two copies, and the deletion of one would take both.
        if len(set(self.buckets.values())) < len(self.buckets):
            raise ValueError("two stores have one bucket; each copy needs a bucket of its own")

    def __repr__(self) -> str:
        # A traceback or a log that shows its values must not show the keys.
        return f"Store(endpoint={self.endpoint!r}, buckets={self.buckets!r})"


class Protected(Section, frozen=True, kw_only=True):
    """`key_file` holds the site's keys, mode 0600, as `radstream up` writes it."""

    key_file: Path


class Service(Section, frozen=True, kw_only=True):
    """What every service's section has. `http_port` serves /metrics, /healthz and /readyz on loopback."""

    http_port: int
    http_host: str = "127.0.0.1"
    log_level: str = "info"

    def __post_init__(self) -> None:
        logs.number_of(self.log_level)


S = TypeVar("S", bound=msgspec.Struct)


class Config:
    """A configuration file that was read. `section(name, type)` gives one part of it, checked.

    Every path in it is absolute: what was written without its beginning is beside the file, wherever a process starts.
    """

    def __init__(self, path: Path, text: str, values: dict[str, Any]) -> None:
        self.path = path
        self._folder = path.absolute().parent
        self._text = text
        self._values = values

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._values)

    def section(self, name: str, kind: type[S]) -> S:
        """Raises ConfigError where the section is absent or not as `kind` says."""
        if name not in self._values:
            raise ConfigError(f"{self.path}: section [{name}] is missing; add it, or write the file anew: radstream up")
        try:
            return msgspec.convert(self._values[name], kind, dec_hook=self._path)
        except msgspec.ValidationError as error:
            raise ConfigError(self._pointed(name, str(error))) from None

    def written(self, *at: str) -> object:
        """What stands in the file, by section and keys, as it is written there: nothing is checked. None where nothing
        does."""
        value: Any = self._values
        for key in at:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def _pointed(self, section: str, message: str) -> str:
        what, _, where = message.partition(" - at `$")
        path = where.rstrip("`").strip(".")
        at: list[str | int] = [
            section,
            *(int(part) if part.isdecimal() else part for part in re.findall(r"[^.\[\]]+", path)),
        ]
        if unknown := re.search(r"unknown field `([^`]+)`", what):
            at.append(unknown[1])
        return f"{self.path}:{line_of(self._text, at)}: [{section}] {f'{path}: ' if path else ''}{what}"

    def _path(self, kind: type, value: object) -> object:
        """A string where a section wants a path: the one type of ours that TOML does not have."""
        if kind is Path and isinstance(value, str):
            return self._folder / value
        raise TypeError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")


def load(path: Path | None = None) -> Config:
    """Reads the file at `path`, else the one that RADSTREAM_CONFIG names. Raises ConfigError."""
    named = path or (Path(os.environ[ENVIRONMENT]) if ENVIRONMENT in os.environ else None)
    if named is None:
        raise ConfigError(f"no configuration: give --config FILE, or set {ENVIRONMENT}; `radstream up` writes one")
    try:
        text = named.read_text(encoding="utf-8")
        return Config(named, text, tomllib.loads(text))
    except FileNotFoundError:
        raise ConfigError(f"{named}: no such file; `radstream up` writes one for the local stack") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{named}: cannot be read ({error.__class__.__name__})") from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ConfigError(f"{named}:{line[1] if line else 1}: not TOML: {error}") from None


def digest(*sections: msgspec.Struct) -> str:
    """SHA-256 (hex) of the configuration that affects a step's output."""
    return hashlib.sha256(msgspec.json.encode(sections, order="deterministic")).hexdigest()
