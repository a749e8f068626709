"""The house stands as the design draws it: who may import whom, and what every room says at its door."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("streams", "producers", "consumers", "gateway", "radstream", "schemas", "infra", "bench")

# Whom each room may import, beside itself and libraries.
MAY_IMPORT = {
    "schemas": set(),
    "streams": {"schemas"},
    "producers": {"schemas", "streams", "consumers"},
    "consumers": {"schemas", "streams"},
    "gateway": {"schemas", "streams", "consumers"},
    "infra": {"schemas", "streams", "consumers"},
    "bench": {"schemas", "streams", "producers", "consumers", "gateway", "infra", "radstream"},
    "radstream": {"schemas", "streams", "producers", "consumers", "gateway", "infra", "bench"},
}


def modules(package: str) -> Iterator[Path]:
    return (ROOT / package).rglob("*.py")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_only_where_the_design_lets_them(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in imported(path)
        if (top := name.split(".")[0]) in PACKAGES and top != package and top not in MAY_IMPORT[package]
    ]
    assert wrong == []


def test_only_what_asks_the_catalog_imports_consumers() -> None:
    """The worklist is a question to the catalog (docs/decisions/0033); whoever receives never waits for a database."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("producers")
        for name in imported(path)
        if name.startswith("consumers") and (path.parent.name, name.split(".")[1]) != ("worklist", "catalog")
    ]
    assert wrong == []


def test_the_gateway_asks_the_catalog_and_no_other_consumer() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("gateway")
        for name in imported(path)
        if name.startswith("consumers") and name.split(".")[1] != "catalog"
    ]
    assert wrong == []


def test_consumers_do_not_import_each_other() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("consumers")
        for name in imported(path)
        if name.startswith("consumers.") and name.split(".")[1] != path.relative_to(ROOT).parts[1]
    ]
    assert wrong == []


def test_every_package_says_what_flows_in_and_out_and_what_it_touches() -> None:
    silent = []
    for package in PACKAGES:
        for door in (ROOT / package).rglob("__init__.py"):
            said = (ast.get_docstring(ast.parse(door.read_text(encoding="utf-8"))) or "").lower()
            if not all(word in said for word in ("flows in", "flows out", "touches")):
                silent.append(str(door.relative_to(ROOT)))
    assert silent == []


def test_no_file_names_a_package_registry_or_a_folder_of_somebodys_machine() -> None:
    # In parts, so that this file does not find itself.
    registries = "|".join(
        ("pypi" + r"\.org", "python" + "hosted", "repo1?" + r"\.maven", "proxy" + r"\.golang", "crates" + r"\.io/")
    )
    wrong = re.compile(rf"{registries}|(?<![\w.])/(?:home/\w|Users/\w)|(?<![\w./])/ro" + r"ot/")
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in wrong.finditer(text)]
    assert found == []


def test_no_dicom_file_is_kept_in_the_project() -> None:
    kept = []
    for path in tracked():
        with path.open("rb") as file:
            head = file.read(132)
        if head[128:132] == b"DICM" or path.suffix == ".dcm":
            kept.append(str(path.relative_to(ROOT)))
    assert kept == []
