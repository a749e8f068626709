"""`bench`: figures of the running stack."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.console import Console

from bench import ai as inference
from bench import derive as deriving
from bench.ai_figures import figures as figures_of_inference
from bench.derive_figures import figures as figures_of_deriving
from bench.derive_images import CASES as DERIVE_CASES
from bench.figures import figures
from bench.ingest import NAMES, Asked
from bench.ingest import measure as measure_ingest
from bench.ingest_cases import CASES, QUICK
from bench.ingest_figures import figures as figures_of_ingest
from bench.ingest_profile import profiler
from bench.pipeline import measure
from bench.tiering import measure as measure_tiering
from bench.tiering_figures import figures as figures_of_tiering
from bench.view import Asked as ViewAsked
from bench.view import measure as measure_view
from bench.view_cases import CASES as VIEW_CASES
from bench.view_figures import figures as figures_of_view
from infra.local.home import default_home
from radstream.errors import Failure
from radstream.options import Names, config_option, json_option, open_config
from radstream.output import show
from radstream.stack_state import NOT_DURABLE, stack_state
from streams.config import Config

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group()
def bench() -> None:
    """Measure the running stack, and receivers beside each other."""


@bench.command()
@click.option("--instances", type=click.IntRange(10, 100_000), default=2000, show_default=True, help="Images to send.")
@click.option("--associations", type=click.IntRange(1, 64), default=4, show_default=True, help="How many at once.")
@config_option
@json_option
def pipeline(instances: int, associations: int, config_path: Path, as_json: bool) -> None:
    """Send a generated CT study through everything: images per second, CPU and memory by process, latencies.

    The study stays in the archive: every run makes a new one. Measure on a machine that does nothing else.
    """
    config, roots = _running(config_path)
    with Console(stderr=True).status("warming up") as line:
        report = measure(
            config, roots, instances, associations, lambda stage, count: line.update(f"{stage}: {count} of {instances}")
        )
    show(as_json, report, lambda: click.echo(figures(report), file=sys.stdout))


@bench.command()
@click.option("--objects", type=click.IntRange(10, 100_000), default=5000, show_default=True, help="Images to move.")
@config_option
@json_option
def tiering(objects: int, config_path: Path, as_json: bool) -> None:
    """Send generated CT studies, and move them from hot to warm to cold by a simulated clock, as fast as can be.

    Objects per second and CPU by process, beside a bare loop that reads, writes, reads back and deletes. Only the
    studies that it sends are moved; they stay in the archive.
    """
    config, roots = _running(config_path)
    with Console(stderr=True).status("making images") as line:
        report = measure_tiering(
            config, roots, objects, lambda stage, count: line.update(f"{stage}: {count} of {objects}")
        )
    show(as_json, report, lambda: click.echo(figures_of_tiering(report), file=sys.stdout))


def _running(config_path: Path) -> tuple[Config, Mapping[str, int]]:
    """The configuration, and the process of each part. Raises Failure where one does not run."""
    config = open_config(config_path)
    stack = stack_state(config_path.absolute().parent)
    if stack is None:
        raise Failure(
            f"{config_path.parent}: no local stack; processes are measured on this machine. Run: radstream up"
        )
    if stack.missing:
        raise Failure(f"not running: {', '.join(stack.missing)}; start it: radstream up")
    if stack.durable is False:
        click.echo(NOT_DURABLE, err=True)
    return config, {part.name: part.pid for part in stack.parts if part.pid is not None}


@bench.command()
@click.option("--studies", type=click.IntRange(2, 1000), default=8, show_default=True, help="Series to analyse.")
@click.option("--images", type=click.IntRange(8, 500), default=64, show_default=True, help="Images of each.")
@config_option
@json_option
def ai(studies: int, images: int, config_path: Path, as_json: bool) -> None:
    """Images per minute through the inference service with each backend, beside the bare model.

    Takes onnxruntime, the stack's Triton, and torch where it is installed; on a GPU where there is one. What it stores
    belongs to a tenant of its own, and the site's own service is left alone.
    """
    config = open_config(config_path)
    with Console(stderr=True).status("making studies") as line:
        report = inference.measure(
            config, studies, images, lambda what, of, done: line.update(f"{what}: {done} of {of}")
        )
    show(as_json, report, lambda: click.echo(figures_of_inference(report), file=sys.stdout))


@bench.command()
@click.option(
    "--instances", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="Images of a CT case."
)
@click.option("--rounds", type=click.IntRange(1, 99), default=1, show_default=True, help="Of which the median counts.")
@click.option("--seconds", type=click.IntRange(1, 600), default=15, show_default=True, help="Most of a case.")
@click.option("--receivers", type=Names(NAMES), default=NAMES, help=f"Some of: {', '.join(NAMES)}.")
@click.option("--cases", type=Names(CASES), default=None, help=f"Some of: {', '.join(CASES)}.")
@click.option("--quick", is_flag=True, help=f"200 images, 5 s, and the cases {', '.join(QUICK)}.")
@click.option(
    "--folder", type=_FOLDER, help="Where receivers write; else beside the stack. /dev/shm takes the disk away."
)
@click.option("--programs", type=_FOLDER, help="Where to look for peers before the PATH.")
@click.option("--profile", type=_FOLDER, help="Folder for collapsed stacks of our own receivers; takes py-spy.")
@json_option
def ingest(
    instances: int,
    rounds: int,
    seconds: int,
    receivers: Sequence[str],
    cases: Sequence[str] | None,
    quick: bool,
    folder: Path | None,
    programs: Path | None,
    profile: Path | None,
    as_json: bool,
) -> None:
    """C-STORE to this router, with its promise and without, beside other receivers on this machine.

    Each is started for each case and ended again; peers that are not installed are named. Nothing that runs is touched,
    and nothing stays. Measure on a machine that does nothing else: it takes some 20 minutes, or 3 with --quick.
    """
    beside = default_home().parent
    beside.mkdir(parents=True, exist_ok=True)
    if profile:
        profiler()
        profile.mkdir(parents=True, exist_ok=True)
    asked = Asked(
        receivers=receivers,
        cases=cases or (QUICK if quick else tuple(CASES)),
        instances=200 if quick else instances,
        rounds=rounds,
        seconds_max=5 if quick else seconds,
        folder=folder or beside,
        programs=programs,
        profiles=profile,
    )
    # What it started ends with it, and what it wrote is removed, also where somebody else ends it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with Console(stderr=True).status("making images") as line:
        report = measure_ingest(asked, line.update)
    show(as_json, report, lambda: click.echo(figures_of_ingest(report), file=sys.stdout))


@bench.command()
@click.option("--seconds", type=click.IntRange(1, 600), default=10, show_default=True, help="Of each, at least.")
@click.option(
    "--cases", type=Names(DERIVE_CASES), default=tuple(DERIVE_CASES), help=f"Some of: {', '.join(DERIVE_CASES)}."
)
@click.option(
    "--contenders", type=Names(deriving.NAMES), default=deriving.NAMES, help=f"Some of: {', '.join(deriving.NAMES)}."
)
@click.option("--folder", type=_FOLDER, default=Path("/dev/shm"), show_default=True, help="Where peers read and write.")  # noqa: S108
@json_option
def derive(seconds: int, cases: Sequence[str], contenders: Sequence[str], folder: Path, as_json: bool) -> None:
    """Objects per minute and core: a lossless copy, its proof and the pictures, beside others that make copies alone.

    Needs no stack. CT, CR and multi-frame US, each after the other in one thread; peers that are absent are named.
    """
    with Console(stderr=True).status("making images") as line:
        report = deriving.measure(deriving.Asked(cases, contenders, seconds, folder), line.update)
    show(as_json, report, lambda: click.echo(figures_of_deriving(report), file=sys.stdout))


@bench.command()
@click.option(
    "--studies", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="Sent to each server."
)
@click.option(
    "--more-studies",
    type=click.IntRange(0, 10_000_000),
    default=1_000_000,
    show_default=True,
    help="Rows made in our catalog for the lists of many; 0 for none.",
)
@click.option("--slices", type=click.IntRange(10, 5000), default=500, show_default=True, help="Images of the series.")
@click.option("--cases", type=Names(VIEW_CASES), default=tuple(VIEW_CASES), help=f"Some of: {', '.join(VIEW_CASES)}.")
@click.option("--quick", is_flag=True, help="50 studies, 5,000 more, 40 slices.")
@click.option("--alone", is_flag=True, help="Without Orthanc.")
@json_option
def view(
    studies: int, more_studies: int, slices: int, cases: Sequence[str], quick: bool, alone: bool, as_json: bool
) -> None:
    """What a viewer asks for, of this gateway and of Orthanc with its DICOMweb plugin, on the same studies.

    Each server is started for it and ended again; nothing that runs is touched, and nothing stays. Measure on a machine
    that does nothing else: it takes some 15 minutes, most of them to fill the servers.
    """
    if quick:
        studies, more_studies, slices = 50, 5000, 40
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with Console(stderr=True).status("making images") as line:
        report = measure_view(ViewAsked(studies, more_studies, slices, not alone, cases), line.update)
    show(as_json, report, lambda: click.echo(figures_of_view(report), file=sys.stdout))
