"""What the code of a service reads and writes, out of its text: which events it makes, and which topics it names.

A module counts for whoever reaches it by imports from its start. That is more than runs, and what is more stands in
`tests/contract/test_accounts_of_services.py` with its reason.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import streams
from schemas import load_topics
from streams.events import SUBJECTS

ROOT = Path(streams.__file__).resolve().parents[1]
_HOUSE = ("streams", "producers", "consumers", "gateway", "radstream", "schemas", "infra")
_EVENTS = {kind.__name__: topic for kind, topic in SUBJECTS.items()}


@dataclass(frozen=True)
class Text:
    """Of one module: modules of the house that it imports, topics of the events that it makes, topics that it names."""

    imports: frozenset[str]
    makes: frozenset[str]
    names: frozenset[str]


@cache
def text_of(module: str) -> Text:
    path = _path(module)
    assert path is not None, module
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return Text(
        imports=frozenset(one for node in nodes for one in _imported(node) if _path(one) is not None),
        makes=frozenset(topic for node in nodes if (topic := _made(node))),
        names=frozenset(topic for node in nodes if (topic := _named(node))),
    )


def reached(*starts: str) -> set[str]:
    """Modules that are loaded when these are, at the latest when something in them is called."""
    found: set[str] = set()
    waiting = list(starts)
    while waiting:
        if (module := waiting.pop()) not in found:
            found.add(module)
            waiting += text_of(module).imports
    return found


def made_in(modules: set[str]) -> Mapping[str, set[str]]:
    """By topic, where its events are made."""
    return _by_topic((topic, module) for module in modules for topic in text_of(module).makes)


def named_in(modules: set[str]) -> Mapping[str, set[str]]:
    """By topic, where it is named: as `SUBJECTS[Event]`, or by its own name."""
    return _by_topic((topic, module) for module in modules for topic in text_of(module).names)


def modules_below(package: str) -> set[str]:
    parts = (path.relative_to(ROOT).with_suffix("").parts for path in (ROOT / package).rglob("*.py"))
    return {".".join(part for part in one if part != "__init__") for one in parts}


def _by_topic(found: Iterator[tuple[str, str]]) -> Mapping[str, set[str]]:
    made = defaultdict(set)
    for topic, module in found:
        made[topic].add(module)
    return made


def _path(module: str) -> Path | None:
    if module.partition(".")[0] not in _HOUSE:
        return None
    stem = ROOT.joinpath(*module.split("."))
    return next((one for one in (stem / "__init__.py", stem.with_suffix(".py")) if one.is_file()), None)


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (one.name for one in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{one.name}" for one in node.names)


def _made(node: ast.AST) -> str | None:
    return _EVENTS.get(node.func.id) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None


def _named(node: ast.AST) -> str | None:
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "SUBJECTS":
        return _EVENTS.get(node.slice.id) if isinstance(node.slice, ast.Name) else None
    said = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
    return said if said in load_topics().topics else None
