"""`models`: the model repository, and the model that the project trains itself."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from consumers.ai import repository
from consumers.ai.entries import MODELS
from consumers.ai.repository import Model
from radstream.errors import Failure
from radstream.options import json_option
from radstream.output import print_table, show

folder_option = click.option(
    "--repository",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=MODELS,
    help="Folder of the models; else the one that comes with radstream.",
)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was read, and whose file is the one that its card names."""

    folder: str
    digest: str
    card_digest: str
    card: repository.Card


@click.group()
def models() -> None:
    """The models that can be deployed, and their cards."""


@models.command("list")
@folder_option
@json_option
def list_(folder: Path, as_json: bool) -> None:
    """Every version of every model; digests are checked."""
    found = [_shown(model) for model in repository.models(folder)]
    rows = [(one.card.name, one.card.version, one.card.kind, one.digest[:16], one.card.purpose) for one in found]
    show(
        as_json,
        found,
        lambda: print_table(f"Models in {folder}", ("model", "version", "kind", "digest", "purpose"), rows),
    )


@models.command("show")
@click.argument("name")
@click.option("--version", help="Version; else the newest.")
@folder_option
@json_option
def show_(name: str, version: str | None, folder: Path, as_json: bool) -> None:
    """The card of NAME: purpose, inputs, training data, metrics, limits, licence, digest."""
    if version is None:
        if not (known := repository.versions(folder, name)):
            raise Failure(f"{folder}: no model is called {name}; see: radstream models list")
        version = known[-1]
    found = _shown(repository.load(folder, name, version))
    show(as_json, found, lambda: _print(found))


@models.group()
def train() -> None:
    """Models that the project trains itself."""


@train.command("demo")
@click.option("--version", help="Version to make; else one more than the newest.")
@folder_option
@json_option
def demo(version: str | None, folder: Path, as_json: bool) -> None:
    """Train the demonstration model on generated phantoms: some three minutes on two cores. Needs the torch extra."""
    if find_spec("torch") is None or find_spec("onnx") is None:
        raise Failure("training needs torch, which is not installed: pip install 'radstream[torch]'")
    from radstream.models_demo import NAME, Effort, trained, written

    version = version or _next(repository.versions(folder, NAME))
    if (folder / NAME / version).exists():
        raise Failure(f"{folder / NAME / version}: is there, and a version never changes; give another --version")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task("phantoms")
        made = trained(Effort(), lambda what, done, of: bars.update(task, description=what, completed=done, total=of))
    try:
        written(folder, version, made, Effort())
    except OSError as error:
        raise Failure(f"{folder}: cannot be written ({error.strerror}); give --repository a folder that can") from None
    found = _shown(repository.load(folder, NAME, version))
    show(as_json, found, lambda: _print(found))


def _next(known: tuple[str, ...]) -> str:
    return str(max((int(one) for one in known if one.isdecimal()), default=0) + 1)


def _shown(model: Model) -> Shown:
    return Shown(folder=str(model.folder), digest=model.digest, card_digest=model.card_digest, card=model.card)


def _print(found: Shown) -> None:
    card = found.card
    rows = [
        ("kind", card.kind),
        ("purpose", card.purpose),
        ("inputs", card.inputs),
        ("outputs", card.outputs),
        ("training data", card.training_data),
        ("metrics", ", ".join(f"{name} {value:g}" for name, value in card.metrics.items()) or None),
        *(("limit", limit) for limit in card.limits),
        ("licence", card.licence),
        ("digest", found.digest),
        ("digest of the card", found.card_digest),
        ("folder", found.folder),
    ]
    print_table(f"{card.name} {card.version}", ("what", "says"), rows)
