"""One copy of one instance: whether its bytes are those that were linked, and if not, what they are."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from msgspec import structs

from radstream.verifying.finding import Finding, Kind, Part, next_of_copy
from radstream.verifying.parts import changed_part, uids
from streams.events import ChainLink, ObjectRef
from streams.identity import original_key
from streams.objects import Absent, Archived, ObjectStore, StoreAway

# Of a damaged file, what is kept in memory to see which part it is.
KEPT_BYTES_MAX = 256 << 20
_TRIES = 2
_WORDS: dict[Part, str] = {
    "metadata": "elements other than pixel data have changed",
    "pixels": "pixel data have changed, and nothing else",
    "header": "the file's header (preamble, group 0002) has changed",
    "structure": "it is no readable DICOM file any more",
    "cut": "its end is missing",
    "unknown": "bytes have changed",
}


@dataclass(frozen=True)
class Wanted:
    """An instance as its chain has it, or its event where it is in none.

    `versions` are the versions to read, by store; none is an object that is absent. `siblings` are the digests (hex) of
    what was linked with it, with their SOP Instance UIDs.
    """

    tenant: str
    study_uid: str
    series_uid: str
    key: str
    link: ChainLink
    versions: Mapping[str, Collection[str | None]]
    siblings: Mapping[str, str]

    def ref(self, store: str, version_id: str | None) -> ObjectRef:
        return ObjectRef(
            tenant=self.tenant, store=store, key=self.key, version_id=version_id, length=0, size=0, sha256=""
        )


@dataclass(frozen=True)
class Looked:
    """`copies` and `bytes` are what was read; `archived` are copies in archives, which are there and were not."""

    wanted: Wanted
    findings: tuple[Finding, ...]
    copies: int
    bytes: int
    archived: int


@dataclass(frozen=True)
class _Wrong:
    store: str
    version_id: str | None
    kind: Kind
    text: str
    part: Part | None = None


def look(store: ObjectStore, wanted: Wanted) -> Looked:
    """Reads every copy, in pieces."""
    wrong: list[_Wrong] = []
    good: list[str] = []
    asleep: list[str] = []
    copies = size = 0
    for name, versions in wanted.versions.items():
        if not versions:
            wrong.append(_Wrong(name, None, "lost", f"no object is at its key in {name}"))
        before = len(wrong) + len(asleep)
        for version_id in versions:
            read = _read(store, wanted, name, version_id)
            if isinstance(read, _Wrong):
                wrong.append(read)
            elif read is None:
                asleep.append(name)
            else:
                copies, size = copies + 1, size + read
        if versions and len(wrong) + len(asleep) == before:
            good.append(name)
    findings = tuple(_finding(wanted, one, tuple(good), tuple(dict.fromkeys(asleep))) for one in wrong)
    return Looked(wanted, findings, copies, size, len(asleep))


def _read(store: ObjectStore, wanted: Wanted, name: str, version_id: str | None) -> int | _Wrong | None:
    """How many bytes there are, where they are the right ones; None where the site has them in an archive."""
    ref = wanted.ref(name, version_id)
    for left in reversed(range(_TRIES)):
        try:
            digest, size = _hashed(store.stream(ref))
            if digest == wanted.link.digest.hex():
                return size
            return _described(store, wanted, ref, digest, size)
        except Archived:
            if name in store.archived:
                return None
            text = (
                f"{name} has it in an archive of its own and does not give its bytes, and [store] archived does not "
                "name it: readers are sent there. radstream tier restore brings the study back"
            )
            return _Wrong(name, version_id, "unreadable", text)
        except Absent:
            return _Wrong(name, version_id, "lost", f"no object is at its key in {name}, though one is listed or known")
        except StoreAway as error:
            if not left:
                return _Wrong(name, version_id, "unreadable", f"{name} does not give its bytes: {error}")
    raise AssertionError("the last try returns")


def _hashed(pieces: Iterator[bytes]) -> tuple[str, int]:
    sha256, size = hashlib.sha256(), 0
    for piece in pieces:
        sha256.update(piece)
        size += len(piece)
    return sha256.hexdigest(), size


def _described(store: ObjectStore, wanted: Wanted, ref: ObjectRef, digest: str, size: int) -> _Wrong:
    if digest in wanted.siblings:
        other = wanted.siblings[digest]
        return _Wrong(ref.store, ref.version_id, "swapped", f"its key holds instance {other} of its study")
    if size > KEPT_BYTES_MAX:
        return _Wrong(ref.store, ref.version_id, "changed", f"in {ref.store}: {_WORDS['unknown']}", "unknown")
    part, file = changed_part(b"".join(store.stream(ref)), wanted.link.metadata)
    if file is not None:
        study_uid, series_uid, sop_instance_uid = uids(file)
        theirs = original_key(wanted.tenant, study_uid, series_uid, sop_instance_uid, digest)
        # Whole, and of another key that there is: the two were exchanged, or one was copied over the other.
        if theirs != wanted.key and store.exists(structs.replace(ref, key=theirs, version_id=None)):
            text = f"its key holds instance {sop_instance_uid} of study {study_uid}"
            return _Wrong(ref.store, ref.version_id, "swapped", text)
    return _Wrong(ref.store, ref.version_id, "changed", f"in {ref.store}: {_WORDS[part]}", part)


def _finding(wanted: Wanted, wrong: _Wrong, good: tuple[str, ...], asleep: tuple[str, ...]) -> Finding:
    return Finding(
        kind=wrong.kind,
        text=wrong.text,
        next=next_of_copy(wrong.kind, good, asleep, wanted.study_uid),
        study_uid=wanted.study_uid,
        series_uid=wanted.series_uid,
        sop_instance_uid=wanted.link.sop_instance_uid,
        store=wrong.store,
        key=wanted.key,
        version_id=wrong.version_id,
        part=wrong.part,
        good=good,
    )
