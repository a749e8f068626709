"""The images of a study revision: which there are, where they are, and of what kind each series is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from streams import part10
from streams.elements import Malformed, TooComplex
from streams.events import ObjectRef, Technical
from streams.fetching import read_copy
from streams.objects import Absent, ObjectStore
from streams.revisions.step import set_digest

_SOP_CLASS, _MODALITY, _BODY_PART, _FRAMES = 0x00080016, 0x00080060, 0x00180015, 0x00280008
# Structured reports and segmentations of all kinds (PS3.4 annex B.5): what people and models say of images.
_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
_SEGMENTATIONS = frozenset(f"1.2.840.10008.5.1.4.1.1.66.{number}" for number in (4, 5, 7))


@dataclass(frozen=True)
class Image:
    """`ref` says where it is now. Its digest names it."""

    series_uid: str
    sop_instance_uid: str
    ref: ObjectRef

    @property
    def digest(self) -> str:
        return self.ref.sha256


@dataclass(frozen=True)
class Series:
    """A series of one revision, and what the header of one of its images says."""

    uid: str
    images: tuple[Image, ...]
    sop_class_uid: str
    technical: Technical

    @property
    def digest(self) -> str:
        return set_digest(image.digest for image in self.images)

    @property
    def size(self) -> int:
        return sum(image.ref.size for image in self.images)

    @property
    def count(self) -> int:
        """Images, as far as one header tells: frames, where they are multi-frame."""
        return len(self.images) * (self.technical.frames or 1)


def is_statement(sop_class_uid: str) -> bool:
    """Whether a model never looks at it. What inference makes is among these, so it never sees its own output."""
    return sop_class_uid.startswith(_REPORTS) or sop_class_uid in _SEGMENTATIONS


def series_of(
    store: ObjectStore, stores: Iterable[str], tenant: str, study_uid: str, digests: Collection[str]
) -> tuple[Series, ...]:
    """The series that hold these instances, by UID. Raises Absent where one is in no store, Damaged, StoreAway."""
    by_series: dict[str, list[Image]] = defaultdict(list)
    for image in images_of(store, stores, tenant, study_uid, digests).values():
        by_series[image.series_uid].append(image)
    return tuple(_looked_at(store, uid, sorted(by_series[uid], key=_name)) for uid in sorted(by_series))


def images_of(
    store: ObjectStore, stores: Iterable[str], tenant: str, study_uid: str, digests: Collection[str]
) -> Mapping[str, Image]:
    """Where each of these instances is, by digest: in the first of `stores` that has it. Raises Absent, StoreAway."""
    missing = set(digests)
    found: dict[str, Image] = {}
    for name in stores:
        if not missing:
            break
        for key, size in store.keys(name, f"{tenant}/studies/{study_uid}/"):
            image = _image(tenant, name, key, size)
            if image is not None and image.digest in missing:
                missing.discard(image.digest)
                found[image.digest] = image
    if missing:
        raise Absent(f"{len(missing)} of {len(digests)} images are in no store")
    return found


def _image(tenant: str, store: str, key: str, size: int) -> Image | None:
    """What the name of an original says (`streams.identity.original_key`)."""
    parts = key.removesuffix(".dcm").split("/")
    if len(parts) != 6:
        return None
    *_, series_uid, sop_instance_uid, digest = parts
    ref = ObjectRef(tenant=tenant, store=store, key=key, length=size, size=size, sha256=digest)
    return Image(series_uid, sop_instance_uid, ref)


def _name(image: Image) -> tuple[str, str]:
    return image.sop_instance_uid, image.digest


def _looked_at(store: ObjectStore, uid: str, images: Sequence[Image]) -> Series:
    """The smallest image tells as much as any other."""
    data = read_copy(store, min(images, key=lambda image: image.ref.size).ref)
    try:
        file = part10.read(data)
    except (Malformed, TooComplex):
        return Series(uid, tuple(images), "", Technical())
    technical = Technical(
        modality=file.text(_MODALITY), body_part=file.text(_BODY_PART) or None, frames=file.integer(_FRAMES)
    )
    return Series(uid, tuple(images), file.text(_SOP_CLASS) or "", technical)
