"""Files in other formats, looked at first, then written as DICOM objects, a file whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from radstream.importing.assembling import assembled
from radstream.importing.kinds import source_of
from radstream.importing.made import How, Made, Refused, Source
from radstream.importing.said import Said
from radstream.importing.writing import write
from radstream.sending import SendResult


class FileImport(msgspec.Struct, frozen=True, kw_only=True):
    """`reason` says why a file was not imported; `notes` what was done to it, or it lacks. `bytes`: its objects'."""

    file: str
    format: str | None = None
    instances: int = 0
    bytes: int = 0
    sop_classes: dict[str, int] = {}
    study_uid: str | None = None
    series_uids: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str | None = None
    instance_uids: tuple[str, ...] = ()


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """`sent` is what `radstream send --json` says, None where nothing was sent."""

    files: list[FileImport]
    out: str | None
    sent: SendResult | None


def file_of(folder: Path, instance_uid: str) -> Path:
    return folder / f"{instance_uid}.dcm"


def looked_at(files: Sequence[Path], how: How) -> tuple[list[Source], list[FileImport]]:
    """What can be imported, and what cannot, with why. Raises Failure where a library is missing."""
    found, unread = [], []
    for path in files:
        try:
            found.append(source_of(path, how))
        except Refused as error:
            unread.append(FileImport(file=str(path), reason=str(error)))
        except OSError as error:
            unread.append(FileImport(file=str(path), reason=f"cannot be read ({error.strerror})"))
    return found, unread


def converted(sources: Sequence[Source], said: Said, folder: Path, advance: Callable[[], None]) -> list[FileImport]:
    """Each file's objects in `folder`, named by their SOP Instance UIDs. `said` is checked and dated."""
    done = []
    for source in sources:
        done.append(_converted(source, said, folder))
        advance()
    return done


def _converted(source: Source, said: Said, folder: Path) -> FileImport:
    written: list[Path] = []
    classes: Counter[str] = Counter()
    series: dict[str, None] = {}
    notes = dict.fromkeys(source.notes)
    size, study = 0, None
    try:
        for made in source.made():
            whole = assembled(made, source, said)
            path = file_of(folder, str(whole.SOPInstanceUID))
            size += write(path, Made(made.part, whole, made.transfer_syntax, made.pixels))
            written.append(path)
            classes[str(whole.SOPClassUID)] += 1
            series[str(whole.SeriesInstanceUID)] = None
            study = str(whole.StudyInstanceUID)
            notes |= dict.fromkeys(made.notes)
    except (Refused, OSError) as error:
        for path in written:
            path.unlink(missing_ok=True)
        reason = str(error) if isinstance(error, Refused) else f"cannot be read or written ({error.strerror})"
        return FileImport(file=str(source.path), format=source.format, reason=reason)
    return FileImport(
        file=str(source.path),
        format=source.format,
        instances=len(written),
        bytes=size,
        sop_classes=dict(classes),
        study_uid=study,
        series_uids=tuple(series),
        notes=tuple(notes),
        instance_uids=tuple(path.stem for path in written),
    )
