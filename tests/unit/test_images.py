"""The Dockerfile, read and not built: each service has an image with all that it imports and nothing of the others."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.local.founding import HTTP
from infra.local.parts.services import MODULES
from infra.local.tools import triton

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "infra" / "compose"
HOUSE = {**MODULES, "windows": "streams.windows"}  # absent from MODULES where its extra is not installed
BESIDE = {"torch": "consumers.ai", "triton": "infra.container.triton", "cli": "infra.compose.__main__"}
HEAVY = {"torch", "onnxruntime", "tritonclient", "highdicom", "faust-streaming"}
MAY_CARRY = {
    "ai": {"onnxruntime", "tritonclient", "highdicom"},
    "torch": HEAVY - {"faust-streaming"},
    "triton": {"onnxruntime", "tritonclient", "highdicom"},
    "windows": {"faust-streaming"},
    "cli": HEAVY - {"torch"},
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@dataclass(frozen=True)
class Stage:
    name: str
    base: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def last(self, instruction: str) -> str | None:
        found = [line.removeprefix(f"{instruction} ") for line in self.lines if line.startswith(f"{instruction} ")]
        return found[-1] if found else None


def stages() -> dict[str, Stage]:
    joined = re.sub(r"\\\n\s*", "", (FOLDER / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    found: dict[str, Stage] = {}
    for line in lines:
        if match := re.fullmatch(r"FROM (\S+) AS (\S+)", line):
            found[match[2]] = Stage(match[2], match[1], ())
        elif found:
            last = list(found.values())[-1]
            found[last.name] = Stage(last.name, last.base, (*last.lines, line))
    return found


ONLY = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import {module}
"""
STAGES = stages()
TARGETS = {**HOUSE, **BESIDE}


def test_every_service_has_a_target_and_there_is_no_other() -> None:
    assert STAGES.keys() - {"wheels", "wheels-torch", "viewer", "base"} == TARGETS.keys()
    for name in TARGETS:
        assert STAGES[name].base == "base"


def test_the_base_has_a_version() -> None:
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-slim-\w+$", text, re.MULTILINE)
    assert re.search(r"^ARG NODE=\d+\.\d+\.\d+-\w+-slim$", text, re.MULTILINE)
    assert {stage.base for stage in STAGES.values()} <= {*STAGES, "python:${PYTHON}", "node:${NODE}"}


def test_what_is_copied_is_there_and_not_ignored() -> None:
    let_in = {line[1:] for line in (FOLDER / "Dockerfile.dockerignore").read_text().split() if line.startswith("!")}
    for stage in STAGES.values():
        for line in stage.lines:
            # Out of another stage nothing is asked of the checkout.
            if line.startswith("COPY ") and not line.startswith("COPY --from="):
                *sources, _ = line.split()[1:]
                for source in sources:
                    assert (ROOT / source).exists(), source
                    assert source.split("/")[0] in let_in, source


def test_packages_come_by_hash_once_and_by_name_never_again() -> None:
    for stage in STAGES.values():
        for command in re.findall(r"pip (?:install|download)[^&]*", stage.text):
            assert "--require-hashes" in command or "--no-index" in command, f"{stage.name}: {command}"


@pytest.mark.parametrize("name", TARGETS)
def test_an_image_runs_as_nobody_special_and_says_whether_it_lives(name: str) -> None:
    stage = STAGES[name]
    assert stage.last("USER") == "radstream"
    if name in HOUSE:
        assert stage.last("CMD") == f'["python", "-P", "-m", "{HOUSE[name]}"]'
        assert stage.last("ENV") == f"RADSTREAM_HTTP_PORT={HTTP[f'{name}-http']}"
        assert stage.last("HEALTHCHECK") is None  # the base's
    assert 'CMD ["python", "-m", "infra.container", "healthy"]' in STAGES["base"].text


def test_triton_is_where_its_programs_are_looked_for() -> None:
    assert f"--target /opt/radstream/triton-{triton.VERSION}" in STAGES["triton"].text
    assert "RADSTREAM_TOOLS=/opt/radstream" in STAGES["triton"].text


@pytest.mark.parametrize("name", TARGETS)
def test_a_service_starts_with_what_its_image_has(name: str) -> None:
    """It is imported in an interpreter that finds no other package: what is optional is done without."""
    module = TARGETS[name] if name in BESIDE else f"{TARGETS[name]}.__main__"
    if name == "torch":
        module = "consumers.ai.backends.with_torch"
    pytest.importorskip(module, exc_type=ImportError)
    script = ONLY.format(absent=absent(in_image(name)), module=module)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", TARGETS)
def test_an_image_carries_nothing_heavy_that_is_not_its_own(name: str) -> None:
    assert in_image(name) & HEAVY <= MAY_CARRY.get(name, set())


@cache
def in_image(name: str) -> frozenset[str]:
    """Distributions that the image's pip command brings, with all they need."""
    (wanted,) = re.findall(r'--find-links /wheels "?(radstream[^\s"&]*)"?((?: \w+)*)', STAGES[name].text)
    found: set[str] = set()
    for one in (wanted[0], *wanted[1].split()):
        gather(Requirement(one), found)
    return frozenset(found)


def gather(wanted: Requirement, found: set[str], asked: set[str] | None = None) -> None:
    asked = set() if asked is None else asked
    name = canonicalize_name(wanted.name)
    if str(wanted) in asked:
        return
    asked.add(str(wanted))
    found.add(name)
    for needed in requirements(name, wanted.extras):
        gather(needed, found, asked)


def requirements(name: str, extras: set[str]) -> Iterator[Requirement]:
    if name == "radstream":
        lines = [
            *PROJECT["dependencies"],
            *(one for extra in extras for one in PROJECT["optional-dependencies"][extra]),
        ]
        yield from map(Requirement, lines)
        return
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        return  # not for this machine
    for one in map(Requirement, lines):
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            yield one


def absent(carried: frozenset[str]) -> list[str]:
    """Top-level packages that are installed here and would not be in an image with these distributions."""
    return [
        top
        for top, distributions in packages_distributions().items()
        if not {canonicalize_name(one) for one in distributions} & carried and top not in sys.stdlib_module_names
    ]
