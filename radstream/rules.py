"""`radstream rules`: the rules of validation, and what the site's file says of them. Offline."""

from __future__ import annotations

from pathlib import Path

import click

from consumers.validate.config import Settings
from consumers.validate.levels import Facts, Levels
from consumers.validate.levels_reading import load, of_site
from radstream.errors import Failure
from radstream.options import config_option, json_option, open_config
from radstream.output import print_table, show
from radstream.rules_listing import Listed, listed, page
from streams.config import Config, Site
from streams.routes.conditions import Unknown, uid_of


@click.group()
def rules() -> None:
    """The rules of validation: what each means, and how much it matters here."""


@rules.command("list")
@click.option("--markdown", is_flag=True, help="Print the page docs/findings.md.")
@json_option
def list_(markdown: bool, as_json: bool) -> None:
    """Every rule, its severity, where the standard says so, and what to do."""
    if markdown:
        click.echo(page(), nl=False)
        return
    found = listed(Levels(), Facts())
    show(as_json, found, lambda: _print(found, site=False))


@rules.command()
@click.argument("file", required=False, metavar="[FILE]", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@json_option
def check(file: Path | None, config_path: Path, as_json: bool) -> None:
    """Say whether a file of levels can be used; else every line that is wrong, with exit code 1."""
    path, levels = _levels(file, config_path)
    facts = {"file": str(path), "levels": levels.count}
    show(as_json, facts, lambda: click.echo(f"{path}: {levels.count} levels"))


@rules.command()
@click.argument("file", required=False, metavar="[FILE]", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--calling-ae", metavar="TITLE", help="Who would send it; without it no word on a calling AE fits.")
@click.option("--sop-class", metavar="KEYWORD|UID", help="Of what SOP class it would be.")
@click.option("--modality", metavar="CODE", help="Of what modality it would be.")
@click.option("--site", metavar="NAME", help="Where it would be received; else the configuration's site.")
@click.option("--all", "all_", is_flag=True, help="Also the rules that the file says nothing of.")
@config_option
@json_option
def test(
    file: Path | None,
    calling_ae: str | None,
    sop_class: str | None,
    modality: str | None,
    site: str | None,
    all_: bool,
    config_path: Path,
    as_json: bool,
) -> None:
    """Say how much each rule would matter for an image, and which line of the file says so."""
    _, levels = _levels(file, config_path)
    try:
        uid = None if sop_class is None else uid_of(sop_class, "SOP Class")
    except Unknown as error:
        raise Failure(f"--sop-class: {error}") from None
    facts = Facts(calling_ae=calling_ae, sop_class=uid, modality=modality, site=site or _site(config_path))
    found = [one for one in listed(levels, facts) if all_ or one.where is not None]
    show(as_json, found, lambda: _print(found, site=True))


def _levels(file: Path | None, config_path: Path) -> tuple[Path, Levels]:
    if file is not None:
        return file, load(file)
    config: Config = open_config(config_path)
    settings = config.section("validate", Settings)
    if settings.rules is None:
        raise Failure(f"[validate] of {config_path} names no file of rules; name one there, or give FILE")
    return settings.rules, of_site(settings.rules)


def _site(config_path: Path) -> str | None:
    return open_config(config_path).section("site", Site).site if config_path.is_file() else None


def _print(found: list[Listed], *, site: bool) -> None:
    if not found:
        click.echo("the file says nothing of any rule for such an image")
        return
    columns = ("rule", "level", "said by", "text") if site else ("rule", "severity", "section", "text", "what to do")
    rows = [
        (one.name, one.level, one.where, one.text) if site else (one.name, one.level, one.section, one.text, one.todo)
        for one in found
    ]
    print_table(f"{len(found)} rules", columns, rows)
