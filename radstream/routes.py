"""`radstream routes`: the site's rules, and what they would do. Offline: no broker, no store, no node is asked."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from producers.dicom_router.header import SOP_CLASS, read_header
from radstream.errors import Failure
from radstream.items import files_below
from radstream.options import config_option, json_option, open_config
from radstream.output import console, print_table, show
from radstream.routes_trying import Tried, Unread, tried
from streams.elements import Malformed, TooComplex
from streams.part10 import DEFLATED, EXPLICIT_VR_LITTLE_ENDIAN, Part10, read
from streams.routes.matching import Facts
from streams.routes.routes import Routes, load
from streams.routes.rules import Rule
from streams.routes.section import file_of

rules_option = click.option(
    "--rules",
    "rules_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Rules file; else the one that section [routes] of the configuration names.",
)


@click.group()
def routes() -> None:
    """The site's rules: what is forwarded, tagged, held."""


@routes.command()
@rules_option
@config_option
@json_option
def check(rules_path: Path | None, config_path: Path, as_json: bool) -> None:
    """Say whether the rules can be used; else every line that is wrong, with exit code 1."""
    path = _path(rules_path, config_path)
    found = load(path)
    facts = {"file": str(path), "rules": len(found.rules), "destinations": len(found.destinations)}
    show(as_json, facts, lambda: click.echo(f"{path}: {facts['rules']} rules, {facts['destinations']} destinations"))


@routes.command("show")
@rules_option
@config_option
@json_option
def show_(rules_path: Path | None, config_path: Path, as_json: bool) -> None:
    """Show destinations and rules as they are understood. Values that are matched with are not shown."""
    found = load(_path(rules_path, config_path))
    facts = {
        "destinations": dict(found.destinations),
        "rules": [
            {
                "name": one.rule.name,
                "matches_on": [condition.name for condition in one.conditions],
                "forward": one.rule.forward,
                "do_not_forward": one.rule.do_not_forward,
                "lane": one.rule.lane,
                "tag": one.rule.tag,
                "hold": one.rule.hold is not None,
                "outside": one.rule.outside,
            }
            for one in found.rules
        ],
    }
    show(as_json, facts, lambda: _print_rules(found))


@routes.command("test")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, exists=True))
@click.option("--calling-ae", metavar="TITLE", help="Who would send it; without it no rule on the calling AE fits.")
@click.option("--called-ae", metavar="TITLE", help="Under which title the router would be called.")
@rules_option
@config_option
@json_option
def test(
    paths: Sequence[Path],
    calling_ae: str | None,
    called_ae: str | None,
    rules_path: Path | None,
    config_path: Path,
    as_json: bool,
) -> None:
    """Say what the rules would do with DICOM files, and why. Nothing is sent, held or written.

    Ends with exit code 1 where a file could not be read; the others are tried all the same.
    """
    found = load(_path(rules_path, config_path))
    files = files_below(paths)
    if not files:
        raise Failure(f"{', '.join(map(str, paths))}: no file in there")
    results = [_tried(found, path, calling_ae, called_ae) for path in files]
    show(as_json, results, lambda: _print_tried(results))
    if any(isinstance(one, Unread) for one in results):
        sys.exit(1)


def _path(rules_path: Path | None, config_path: Path) -> Path:
    if rules_path is not None:
        return rules_path
    path = file_of(open_config(config_path))
    if path is None:
        raise Failure(f"{config_path} has no [routes] file, so there are no rules; name one there, or by --rules FILE")
    return path


def _tried(routes: Routes, path: Path, calling_ae: str | None, called_ae: str | None) -> Tried | Unread:
    try:
        file = read(path.read_bytes())
    except OSError as error:
        return Unread(str(path), f"it cannot be read ({error.strerror})")
    except (Malformed, TooComplex) as error:
        return Unread(str(path), f"no DICOM file that could be forwarded: {error}")
    return tried(routes, str(path), _facts(file, calling_ae, called_ae))


def _facts(file: Part10, calling_ae: str | None, called_ae: str | None) -> Facts:
    """As they would be in the events: the router reads the same header."""
    header = read_header(memoryview(file.data)[file.start :], _shown(file))
    technical = header.technical()
    return Facts(
        calling_ae=calling_ae,
        called_ae=called_ae,
        modality=technical.modality,
        body_part=technical.body_part,
        sop_class=header.uid(SOP_CLASS) or None,
        transfer_syntax=file.transfer_syntax_uid,
        file=file,
    )


def _shown(file: Part10) -> str:
    """What `file.data` is in: where the file was deflated, it is not any more."""
    return EXPLICIT_VR_LITTLE_ENDIAN if file.transfer_syntax_uid in DEFLATED else file.transfer_syntax_uid


def _print_rules(found: Routes) -> None:
    nodes = [
        (name, f"{node.ae_title}@{node.host}:{node.port}", node.calling_ae, node.associations)
        for name, node in found.destinations.items()
    ]
    print_table("Destinations", ("name", "node", "calling as", "associations"), nodes, numbers=("associations",))
    rows = []
    for one in found.rules:
        on = ", ".join(condition.name for condition in one.conditions) or "everything"
        rows.append((one.rule.name, on, _does(one.rule)))
    print_table("Rules", ("name", "matches on", "does"), rows)


def _does(rule: Rule) -> str:
    said = [f"forwards to {', '.join(rule.forward)}"] if rule.forward else []
    said += [f"never to {', '.join(rule.do_not_forward)}"] if rule.do_not_forward else []
    said += [f"lane {rule.lane}"] if rule.lane else []
    said += [f"tags {', '.join(rule.tag)}"] if rule.tag else []
    said += ["holds"] if rule.hold is not None else []
    return "; ".join([*said, *([f"from outside, by {rule.outside}"] if rule.outside else [])])


def _print_tried(results: Sequence[Tried | Unread]) -> None:
    for one in results:
        out = console()
        out.print(one.file, soft_wrap=True, highlight=False)
        for line in one.lines():
            out.print(f"  {line}", soft_wrap=True, highlight=False)
