"""The DICOM nodes that a site knows by name: scanners, an old PACS, whom images go to. One readable file, a table each.

[ct-1]
ae_title = "CT1"
host = "10.1.2.3"
port = 104

[old-pacs]
ae_title = "PACS"
host = "pacs.example"
port = 2762
tls = true
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from streams.config import Config, ConfigError, Section, load
from streams.titles import AeTitle
from streams.tls.certificate import fingerprint_of
from streams.tls.files import Files

SECTION = "dicom"

NodeName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class Settings(Section, frozen=True, kw_only=True):
    """`nodes` is the file; without a word, nodes.toml beside the configuration (`file_of`).

    `tls` is our side of TLS, where we open the association; `ca` are the roots that nodes' certificates must lead to.
    """

    nodes: Path = Path("nodes.toml")
    tls: Files | None = None


class Node(Section, frozen=True, kw_only=True):
    """An application entity and where it listens.

    With `tls` it shows a certificate that leads to `ca` (PEM; else [dicom.tls] has it) and is for `host`; or, where the
    node says so, has this `common_name`, or is one of `fingerprints` (SHA-256). Nothing else is sent anything.
    `commitment_port` is where it listens for reports of storage commitment, if not at `port`.
    """

    ae_title: AeTitle
    host: Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[!-~]+$")]
    port: Annotated[int, Meta(ge=1, le=65535)]
    tls: bool = False
    ca: Annotated[str, Meta(min_length=1)] | None = None
    common_name: Annotated[str, Meta(min_length=1)] | None = None
    fingerprints: tuple[str, ...] = ()
    commitment_port: Annotated[int, Meta(ge=1, le=65535)] | None = None

    def __post_init__(self) -> None:
        if not self.tls and (self.ca or self.common_name or self.fingerprints):
            raise ValueError("ca, common_name and fingerprints are of a node with TLS: add tls = true")
        if self.common_name and self.fingerprints:
            raise ValueError("a node is known by its common_name or by fingerprints; take one of them away")
        for text in self.fingerprints:
            fingerprint_of(text)  # Its ValueError says how to get one.

    @property
    def for_reports(self) -> Node:
        """Where it is told of storage commitment."""
        return self if self.commitment_port is None else msgspec.structs.replace(self, port=self.commitment_port)

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.host}:{self.port}{' (TLS)' if self.tls else ''}"


def settings_of(config: Config) -> Settings:
    """What a site has set, or nothing. Raises ConfigError for a section [dicom] that cannot be used."""
    return config.section(SECTION, Settings) if SECTION in config.names else Settings()


def file_of(config: Config) -> Path:
    """The file of nodes of a site, there or not. Raises ConfigError for a section [dicom] that cannot be used."""
    return config.path.absolute().parent / settings_of(config).nodes


def read(path: Path) -> Mapping[str, Node]:
    """Nodes by name, in the order of the file; none where there is no file. Raises ConfigError with the line."""
    if not path.exists():
        return {}
    file = load(path)
    for name in file.names:
        try:
            msgspec.convert(name, NodeName)
        except msgspec.ValidationError:
            what = "a name has 1 to 32 small letters, digits, dashes or underscores"
            raise ConfigError(f"{path}: [{name}]: {what}") from None
    return {name: file.section(name, Node) for name in file.names}


def namesakes(nodes: Mapping[str, Node]) -> Mapping[str, tuple[str, ...]]:
    """AE titles that are at more than one address, with the names of their nodes: no C-MOVE goes there (0xA801)."""
    found: dict[str, dict[tuple[str, int, bool], list[str]]] = {}
    for name, node in nodes.items():
        found.setdefault(node.ae_title.strip(), {}).setdefault((node.host, node.port, node.tls), []).append(name)
    return {title: tuple(chain.from_iterable(at.values())) for title, at in found.items() if len(at) > 1}


def node_of(config: Config, name: str) -> Node:
    """One node of a site. Raises ConfigError."""
    path = file_of(config)
    nodes = read(path)
    if name not in nodes:
        known = ", ".join(nodes) or "none yet"
        how = "radstream modality add NAME --ae AE --host HOST --port PORT"
        raise ConfigError(f"{path} has no node {name!r}; there are: {known}. Add it: {how}")
    return nodes[name]
