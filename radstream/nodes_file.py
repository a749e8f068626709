"""Writes the file of nodes. Comments and order are the person's: a node is added at the end, or cut out."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import msgspec

from radstream.errors import Failure
from streams.config import ConfigError
from streams.nodes import Node, NodeName, read

HEAD: Final = """\
# DICOM nodes by name: scanners, an old PACS, whom images go to. Yours to change; see docs/hospitals.md.
"""


def add(path: Path, name: str, node: Node) -> None:
    """Raises Failure for a name that is taken, and for values that are none; ConfigError for a file that is broken."""
    try:
        msgspec.convert(name, NodeName)
    except msgspec.ValidationError:
        raise Failure(f"{name}: a name has 1 to 32 small letters, digits, dashes or underscores") from None
    try:
        msgspec.convert(msgspec.to_builtins(node), Node)
    except msgspec.ValidationError:
        raise Failure(
            f"{node}: an AE title has 1 to 16 ASCII characters, not only spaces and no backslash; a host has no spaces"
        ) from None
    nodes = read(path)
    if name in nodes:
        raise Failure(
            f"{path} has a node {name} already ({nodes[name]}); remove it first: radstream modality remove {name}"
        )
    text = path.read_text(encoding="utf-8").rstrip("\n") + "\n" if path.exists() else HEAD
    _write(path, f"{text}\n[{name}]\n{_lines(node)}", {**nodes, name: node})


def remove(path: Path, name: str) -> Node:
    """The node that was there. Raises Failure where there is none, ConfigError for a file that is broken."""
    nodes = dict(read(path))
    if name not in nodes:
        raise Failure(f"{path} has no node {name}; see: radstream modality list")
    removed = nodes.pop(name)
    # Its header and the lines below, up to a comment or a blank line: those may belong to the next one.
    table = re.compile(rf"^[ \t]*\[[ \t]*[\"']?{name}[\"']?[ \t]*\].*\n?(?:(?!\s*[\[#]).*\S.*\n?)*\n?", re.MULTILINE)
    text = path.read_text(encoding="utf-8")
    _write(path, table.sub("", text).rstrip("\n") + "\n", nodes)
    return removed


def _write(path: Path, text: str, nodes: dict[str, Node]) -> None:
    """All of it or nothing, and only what reads as it was meant."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if dict(read(part)) != nodes:
            raise ConfigError("")
        part.replace(path)
    except ConfigError:
        raise Failure(f"{path}: written in a way that this command cannot change safely; change it by hand") from None
    except OSError as error:
        raise Failure(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        part.unlink(missing_ok=True)


def _lines(node: Node) -> str:
    """A node as a table has it, without what is left out."""
    lines = [f"ae_title = {_quoted(node.ae_title)}", f"host = {_quoted(node.host)}", f"port = {node.port}"]
    if node.commitment_port is not None:
        lines.append(f"commitment_port = {node.commitment_port}")
    if node.tls:
        lines.append("tls = true")
    if node.ca is not None:
        lines.append(f"ca = {_quoted(node.ca)}")
    if node.common_name is not None:
        lines.append(f"common_name = {_quoted(node.common_name)}")
    if node.fingerprints:
        lines.append(f"fingerprints = [{', '.join(map(_quoted, node.fingerprints))}]")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string: an AE title may hold a quotation mark."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
