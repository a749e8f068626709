"""Everything that a viewer asks of the gateway, each compared with what was sent."""

from __future__ import annotations

import io
import json
import random
import threading
from collections.abc import Callable, Mapping, Sequence

import pydicom

from tests.readers.http import Http
from tests.readers.studies import Image, Study, sha256
from tests.readers.tally import Wrong

ANY_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
ANY_OCTETS = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
ANY_FRAME = "application/octet-stream; transfer-syntax=*"
PLAIN = "1.2.840.10008.1.2.1"
_BROKEN_OFF_BYTES = 100_000
_VIEWPORTS = (40, 96)


class Asking:
    """Used by many threads. Each method asks once and returns how many bytes it compared; it raises as `Http` does."""

    def __init__(self, studies: Sequence[Study]) -> None:
        self._studies = studies
        self._slices = studies[0].images
        self._images = [image for study in studies for image in study.images]
        self._large = list(studies[1].images)
        self._models = {image.uid: _model(image) for image in self._images}
        # By what was asked for; and of noise no two images have the same.
        self._pictures: dict[tuple[str, str], set[str]] = {}
        self._of_picture: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()
        self.kinds: Mapping[str, Callable[[Http, random.Random], int]] = {
            "list of studies": self.list_of_studies,
            "list of series": self.list_of_series,
            "list of instances": self.list_of_instances,
            "metadata of a series": self.metadata_of_series,
            "metadata": self.metadata,
            "unchanged": self.unchanged,
            "frame as stored": self.frame,
            "frame decoded": self.frame_decoded,
            "range of a frame": self.range_of_frame,
            "several frames": self.frames,
            "instance as stored": self.instance,
            "instance decoded": self.instance_decoded,
            "large instance": self.large_instance,
            "series": self.series,
            "bulk data": self.bulk_data,
            "rendered": self.rendered,
            "thumbnail": self.thumbnail,
            "study page": self.page,
            "broken off": self.broken_off,
        }

    def list_of_studies(self, http: Http, chance: random.Random) -> int:
        study = chance.choice(self._studies)
        found = _listed(http, f"/dicomweb/studies?StudyInstanceUID={study.uid}&includefield=PatientID")
        said = [(_one(row, "0020000D"), _one(row, "00100020"), _one(row, "00201208")) for row in found]
        return _same(said, [(study.uid, study.patient, len(study.images))])

    def list_of_series(self, http: Http, chance: random.Random) -> int:
        study = chance.choice(self._studies)
        found = _listed(http, f"/dicomweb/studies/{study.uid}/series")
        said = sorted((_one(row, "0020000E"), _one(row, "0008103E"), _one(row, "00201209")) for row in found)
        expected = [
            (uid, f"Series {number} of {study.patient}", len(images))
            for number, (uid, images) in enumerate(study.series().items(), 1)
        ]
        return _same(said, sorted(expected))

    def list_of_instances(self, http: Http, chance: random.Random) -> int:
        uid, images = chance.choice([*self._studies[0].series().items()])
        found = _listed(http, f"/dicomweb/studies/{images[0].study}/series/{uid}/instances")
        return _same(sorted(_one(row, "00080018") for row in found), sorted(image.uid for image in images))

    def metadata_of_series(self, http: Http, chance: random.Random) -> int:
        uid, images = chance.choice([*chance.choice(self._studies).series().items()])
        answer = http.get(f"/dicomweb/studies/{images[0].study}/series/{uid}/metadata")
        return _same([_said(one) for one in json.loads(answer.data)], [self._models[one.uid] for one in images])

    def metadata(self, http: Http, chance: random.Random) -> int:
        image = chance.choice(self._images)
        (said,) = json.loads(http.get(f"/dicomweb{image.path}/metadata").data)
        return _same(_said(said), self._models[image.uid])

    def unchanged(self, http: Http, chance: random.Random) -> int:
        path = f"/dicomweb{chance.choice(self._images).path}/metadata"
        tag = http.get(path).headers["etag"]
        return _same(http.get(path, if_none_match=tag).status, 304)

    def frame(self, http: Http, chance: random.Random) -> int:
        image, number = self._frame_of(chance)
        answer = http.get(f"/dicomweb{image.path}/frames/{number + 1}", ANY_FRAME)
        _same(answer.headers["content-type"], f"application/octet-stream;transfer-syntax={image.syntax}")
        return _bytes(answer.data, image.frames[number])

    def frame_decoded(self, http: Http, chance: random.Random) -> int:
        image, number = self._frame_of(chance)
        accept = f"application/octet-stream; transfer-syntax={PLAIN}"
        return _bytes(http.get(f"/dicomweb{image.path}/frames/{number + 1}", accept).data, image.pixels[number])

    def range_of_frame(self, http: Http, chance: random.Random) -> int:
        image, number = self._frame_of(chance)
        stored = image.frames[number]
        first = chance.randrange(len(stored))
        last = chance.randrange(first, len(stored))
        answer = http.get(f"/dicomweb{image.path}/frames/{number + 1}", ANY_FRAME, range=f"bytes={first}-{last}")
        _same((answer.status, answer.headers["content-range"]), (206, f"bytes {first}-{last}/{len(stored)}"))
        return _bytes(answer.data, stored[first : last + 1])

    def frames(self, http: Http, chance: random.Random) -> int:
        image = chance.choice(self._large)
        numbers = sorted(chance.sample(range(len(image.frames)), 3))
        listed = ",".join(str(number + 1) for number in numbers)
        parts = http.get(f"/dicomweb{image.path}/frames/{listed}", ANY_OCTETS).parts()
        return _bytes(b"".join(data for _, data in parts), b"".join(image.frames[number] for number in numbers))

    def instance(self, http: Http, chance: random.Random) -> int:
        return self._instance(http, chance.choice(self._slices))

    def large_instance(self, http: Http, chance: random.Random) -> int:
        return self._instance(http, chance.choice(self._large))

    def instance_decoded(self, http: Http, chance: random.Random) -> int:
        image = chance.choice(self._images)
        data = http.get(f"/dicomweb{image.path}", "application/dicom").data
        read = pydicom.dcmread(io.BytesIO(data))
        _same((str(read.file_meta.TransferSyntaxUID), read.PatientID), (PLAIN, image.patient))
        return _bytes(read.PixelData, b"".join(image.pixels))

    def series(self, http: Http, chance: random.Random) -> int:
        uid, images = chance.choice([*chance.choice(self._studies).series().items()])
        parts = http.get(f"/dicomweb/studies/{images[0].study}/series/{uid}", ANY_DICOM).parts()
        _same([sha256(data) for _, data in parts], [image.digest for image in images])
        return sum(len(data) for _, data in parts)

    def bulk_data(self, http: Http, chance: random.Random) -> int:
        image = chance.choice([one for one in self._images if one.is_native])
        data = http.get(f"/dicomweb{image.path}/bulkdata/7FE00010", "application/octet-stream").data
        return _bytes(data, b"".join(image.pixels))

    def rendered(self, http: Http, chance: random.Random) -> int:
        image, side = chance.choice(self._slices), chance.choice(_VIEWPORTS)
        return self._picture(http, image.uid, f"/dicomweb{image.path}/rendered?viewport={side},{side}", "image/png", 1)

    def thumbnail(self, http: Http, chance: random.Random) -> int:
        image = chance.choice(self._images)
        # That which derive made, and where that is damaged one that is rendered then.
        return self._picture(http, image.uid, f"/dicomweb{image.path}/thumbnail", "image/jpeg", 2)

    def page(self, http: Http, chance: random.Random) -> int:
        study = chance.choice(self._studies)
        text = http.get(f"/study/{study.uid}").data.decode()
        others = [one.patient for one in self._studies if one is not study]
        _same((f"READER^{study.patient}" in text, [name for name in others if f"^{name}" in text]), (True, []))
        return len(text)

    def broken_off(self, http: Http, chance: random.Random) -> int:
        http.broken_off(f"/dicomweb{chance.choice(self._large).path}", ANY_DICOM, _BROKEN_OFF_BYTES)
        return 0

    def _frame_of(self, chance: random.Random) -> tuple[Image, int]:
        image = chance.choice(self._images)
        return image, chance.randrange(len(image.frames))

    def _instance(self, http: Http, image: Image) -> int:
        data = http.get(f"/dicomweb{image.path}", "application/dicom; transfer-syntax=*").data
        _same(sha256(data), image.digest)
        return len(data)

    def _picture(self, http: Http, uid: str, path: str, kind: str, variants: int) -> int:
        data = http.get(path, kind).data
        digest = sha256(data)
        with self._lock:
            known = self._pictures.setdefault((uid, path), set())
            known.add(digest)
            _same(len(known) <= variants, True)
            _same(self._of_picture.setdefault(digest, (uid, path)), (uid, path))
        return len(data)


def _listed(http: Http, path: str) -> list[dict[str, dict[str, list[object]]]]:
    found = json.loads(http.get(path, "application/dicom+json").data or b"[]")
    assert isinstance(found, list)
    return found


def _one(row: dict[str, dict[str, list[object]]], tag: str) -> object:
    return row.get(tag, {}).get("Value", [None])[0]


def _model(image: Image) -> dict[str, object]:
    """By pydicom, of what was sent; without what is bulk data."""
    return _said(pydicom.dcmread(io.BytesIO(image.file)).to_json_dict(bulk_data_threshold=1 << 30))


def _said(model: dict[str, object]) -> dict[str, object]:
    return {tag: element for tag, element in model.items() if tag != "7FE00010"}


def _same(came: object, expected: object) -> int:
    if came != expected:
        raise Wrong(f"{str(came)[:300]} and not {str(expected)[:300]}")
    return len(str(expected))


def _bytes(came: bytes, expected: bytes) -> int:
    if came != expected:
        raise Wrong(f"{len(came)} bytes, {sha256(came)}, and not {len(expected)}, {sha256(expected)}")
    return len(came)
