"""`radstream import`: files in other formats as DICOM, through the router's door. `imports` is about what came in."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from radstream.errors import Failure
from radstream.import_converting import FileImport, Imported, converted, file_of, looked_at
from radstream.import_files_lines import converting_progress, print_imported, print_missing
from radstream.import_saying import Words, said_by
from radstream.importing.made import How, Wanting
from radstream.importing.said import check, dated
from radstream.items import files_below
from radstream.options import AeTitled, Moment, config_option, json_option
from radstream.output import print_json, show
from radstream.send import REFUSED, UNSENT, destination
from radstream.send_audited import Sending, auditing, send_audited
from radstream.sending import CALLING_AE

MISSING: Final = 2

_KIND_OPTIONS: Final = (
    click.option(
        "--as",
        "as_",
        type=click.Choice(("capture", "photo", "endoscopy")),
        default="capture",
        show_default=True,
        help="Pictures: as secondary capture, or as visible light. Video is photo, where not endoscopy.",
    ),
    click.option("--modality", metavar="TERM", help="Of volumes CT, MR or PT; of captures any (else OT)."),
    click.option("--with-label", is_flag=True, help="Label and overview of slides too; labels name patients."),
)
_PATIENT_OPTIONS: Final = (
    click.option("--order", "order", metavar="ACCESSION", help="Patient, accession and study out of this order."),
    click.option("--issuer", metavar="NAME", help="Issuer of the accession number, where several have it."),
    click.option("--patient-id", metavar="ID"),
    click.option("--patient-id-issuer", metavar="NAME"),
    click.option("--patient-name", metavar="FAMILY^GIVEN"),
    click.option("--birth-date", metavar="YYYYMMDD"),
    click.option("--sex", type=click.Choice(("M", "F", "O"))),
)
_STUDY_OPTIONS: Final = (
    click.option("--study-uid", metavar="UID", help="Else the order's, or made of patient, date and description."),
    click.option("--series-uid", metavar="UID", help="Else made of study and kind of file."),
    click.option("--description", metavar="TEXT", help="Study Description."),
    click.option("--series-description", metavar="TEXT"),
    click.option("--date", "at", type=Moment(), help="Of the study; else the earliest that the files say."),
    click.option("--body-part", metavar="TERM", help="Body Part Examined, such as HAND."),
    click.option("--laterality", type=click.Choice(("L", "R"))),
    click.option(
        "--attributes",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="More, as DICOM keywords in TOML or (.json) JSON; names there stand in no list of processes.",
    ),
)
_SENDING_OPTIONS: Final = (
    click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write DICOM files; send nothing."),
    click.option("--to", metavar="NODE", help="A node's name, or AE@HOST:PORT; else the router."),
    click.option("--tls", is_flag=True, help="By TLS, as radstream send does."),
    click.option("--stow", metavar="URL", help="Send by STOW-RS to this URL instead."),
    click.option(
        "--calling", "calling_ae", type=AeTitled(), default=CALLING_AE, show_default=True, help="Calling AE title."
    ),
)


def _options(command: Any) -> Any:
    for option in reversed((*_KIND_OPTIONS, *_PATIENT_OPTIONS, *_STUDY_OPTIONS, *_SENDING_OPTIONS)):
        command = option(command)
    return command


@click.command("import", short_help="Wrap NIfTI, whole-slide images, TIFF, PNG, JPEG and MP4 as DICOM, and send that.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE_OR_FOLDER...")
@_options
@config_option
@json_option
def import_(paths: tuple[Path, ...], config_path: Path, as_json: bool, **words: Any) -> None:
    """Wrap NIfTI, whole-slide images, TIFF, PNG, JPEG and MP4 as DICOM, and send that to the router by C-STORE.

    Say whose the files are (--order, or --patient-id and --patient-name), and from when (--date) where they do not.
    The same file with the same words is the same instance, however often it is imported. Pixels are kept as they are,
    or it says what was done to them.

    Studies that came from outside as DICOM are another matter: radstream imports.

    Exit code: 0 where every file was imported and acknowledged with 0x0000, 3 where some objects were refused with
    another status, 1 where some files could not be imported or sent, 2 where something is missing, and then nothing
    was sent.
    """
    said = Words(**words)
    if said.out and (said.to or said.stow or said.tls):
        raise Failure("--out writes files and sends nothing; leave --to, --tls and --stow out")
    files = files_below(paths)
    if not files:
        raise Failure(f"{', '.join(map(str, paths))}: no file in there")
    how = How(said.as_, said.modality, said.with_label)
    found, unread = looked_at(files, how)
    whose = said_by(said, config_path)
    try:
        check(whose, found)
    except Wanting as error:
        _missing(error.things, as_json)
    with _folder(said.out) as folder, converting_progress(len(found), shown=_on_terminal(as_json)) as advance:
        done = converted(found, dated(whose, found), folder, advance) if found else []
        sending = None if said.out else _sent(done, folder, said, config_path, as_json=as_json)
    sent = None if sending is None else sending.result
    imported = Imported(
        files=sorted([*unread, *done], key=lambda one: one.file), out=str(said.out) if said.out else None, sent=sent
    )
    try:
        show(as_json, imported, lambda: print_imported(imported))
    finally:
        if sending is not None:
            sending.audit()
    if any(one.reason for one in imported.files) or (sent and sent.unsent):
        sys.exit(UNSENT)
    if sent and sent.refused:
        sys.exit(REFUSED)


def _missing(things: list[str], as_json: bool) -> None:
    if as_json:
        print_json({"missing": things})
    print_missing(things)
    sys.exit(MISSING)


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Failure(f"--out {out}: cannot be made ({error.strerror})") from None
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="radstream-import-") as made:
        yield Path(made)


def _sent(done: list[FileImport], folder: Path, said: Words, config_path: Path, *, as_json: bool) -> Sending | None:
    objects = [file_of(folder, uid) for uid in dict.fromkeys(uid for one in done for uid in one.instance_uids)]
    if not objects:
        return None
    target = destination(said.to, said.stow, config_path, tls=said.tls)
    config = auditing(config_path, said.to or said.stow)
    return send_audited(objects, target, config, "import", calling_ae=said.calling_ae, shown=_on_terminal(as_json))


def _on_terminal(as_json: bool) -> bool:
    return not as_json and sys.stderr.isatty()
