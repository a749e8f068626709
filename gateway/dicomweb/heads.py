"""What stands before an instance's pixels: read alone, modelled once, and kept by the digest of the whole.

It is checked by what validate found the data set without pixel data to be; where nothing says that, or it is something
else, the whole is read and checked (docs/decisions/0069).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol

import msgspec
import structlog

from gateway.dicomweb.json_model import Alike, Modelled
from gateway.dicomweb.served import Served
from gateway.dicomweb.syntaxes import NATIVE
from gateway.flights import Flights
from gateway.kept import Kept
from gateway.problem import Problem
from gateway.reading import LARGE_BYTES, Blob, Reading
from gateway.workers import Workers
from streams.elements import Element, Encoding, Limits, Malformed, TooComplex, Walk
from streams.part10 import DEFLATED, Part10, beginning
from streams.pixels.image import (
    BITS_ALLOCATED,
    COLUMNS,
    FRAMES,
    PHOTOMETRIC,
    ROWS,
    SAMPLES,
    SUBSAMPLED,
    Image,
    describe,
)

# Most headers are shorter; what is longer is asked for again, this many times as much.
HEAD_BYTES: Final = 32 << 10
_GROWTH: Final = 8
# That read headers for one request; and heads that are held as they are used, of about 6 kB.
_THREADS: Final = 8
_TURNS: Final = 32
_DECODED_MAX: Final = 2048
_LONG_BYTES: Final = 4 << 20
# No frame of more is decoded (as `streams.rendering.source` has it).
_FRAME_BYTES_MAX: Final = 128 << 20
# Behind pixel data there is padding, if anything.
_BEHIND_BYTES_MAX: Final = 4 << 20
# The end of pixel data in items (PS3.5 annex A.4), where it is the end of the file.
_DELIMITER: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
_OFFSETS: Final = 0x7FE00001
# PS3.6: of pixel data, that in floats and in doubles.
_VRS: Final = {0x7FE00010: ("OB", "OW"), 0x7FE00008: ("OF",), 0x7FE00009: ("OD",)}
_REAL_BITS: Final = {0x7FE00008: 32, 0x7FE00009: 64}
# Raised by hand when a change of the model changes what is kept.
VERSION = 4


class Pixels(msgspec.Struct, frozen=True, kw_only=True):
    """Where pixel data is: its value from `at` to `end` of the file, or of the inflated data set.

    `encapsulated`: in items; `end` is then where the file ends. `big`: words are big endian. A native frame has
    `frame_bits`; 0 where the header makes no sense. `image` is None where there is none that can be decoded, and `why`
    says why (`streams.pixels.image.describe`).
    """

    tag: int
    vr: str
    at: int
    end: int
    encapsulated: bool
    big: bool
    frames: int
    frame_bits: int
    image: Image | None
    why: str


class Place(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Bulk data: offset and length (bytes) of a value in the file, or in the inflated data set."""

    at: int
    length: int
    vr: str


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """`model` is the DICOM JSON model of one instance; what is bulk data says `bulkdata/<path>`, as in `bulk`.

    `offsets` is the extended offset table (PS3.3 section C.7.6.3.1.8), where there is one. It was made of `read` bytes,
    whose digest is `sha256`.
    """

    model: bytes
    offsets: bytes
    read: int
    sha256: str
    inflated: bool
    explicit: bool
    big: bool
    bulk: dict[str, Place]
    pixels: Pixels | None


class Filed(Protocol):
    """A file whose header is wanted, shown or not."""

    @property
    def blob(self) -> Blob: ...

    @property
    def transfer_syntax(self) -> str: ...

    @property
    def digest(self) -> str: ...


# By digest of the file, the SHA-256 (hex) of the data set without pixel data (`streams.part10.metadata_sha256`).
Proofs = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]

_DECODER = msgspec.msgpack.Decoder(Head)
_ENCODER = msgspec.msgpack.Encoder()


class Heads:
    """For one event loop. `proofs` knows what headers are checked by; it raises as the catalog does."""

    def __init__(self, reading: Reading, workers: Workers, kept: Kept, proofs: Proofs) -> None:
        self._reading, self._workers, self._kept, self._proofs = reading, workers, kept, proofs
        self._flights, self._turns = Flights(), asyncio.Semaphore(_TURNS)
        # Those that were asked for last, as they are used: frame after frame needs the same one.
        self._decoded: OrderedDict[str, Head] = OrderedDict()
        # How often one was found to be damaged: what was made of any before may have it in it.
        self.damaged = 0
        # A header of megabytes is hundreds of them while it is modelled.
        self._long = asyncio.Semaphore(1)
        reading.on_right = self._compared

    def _compared(self, digest: str, first: bytes) -> None:
        """A header is read alone, which no digest is of: what it was made of is compared once the whole was right."""
        head = self._decoded.get(digest) or self._known(digest)
        if head is None:
            return
        # Whoever is shown the image is about to ask for it.
        self._hold(digest, head)
        if head.read <= len(first) and hashlib.sha256(memoryview(first)[: head.read]).hexdigest() != head.sha256:
            structlog.get_logger().error("header_damaged", digest=digest)
            self._kept.drop(_name(digest))
            self.damaged += 1
            self._decoded.pop(digest, None)

    async def check_online(self, served: Sequence[Served]) -> None:
        """Raises NotOnline where a header is not at hand and the file that it stands in has to be restored."""
        for one in served:
            name = _name(one.digest)
            if not one.is_online and await self._workers.run(lambda: self._kept.get(name)) is None:  # noqa: B023
                await self._reading.check_online(one.blob)

    async def of(self, served: Served) -> Head:
        """Raises Problem 422 for a header that cannot be read, and as `Reading.whole` does."""
        held = self._decoded.get(served.digest)
        if held is not None:
            return held
        head = self._known(served.digest)
        if head is None:
            head = await self._flights.shared(served.digest, lambda: self._at_hand(served))
        self._hold(served.digest, head)
        return head

    def _hold(self, digest: str, head: Head) -> None:
        self._decoded[digest] = head
        if len(self._decoded) > _DECODED_MAX:
            self._decoded.popitem(last=False)

    async def of_many(self, served: Sequence[Served]) -> list[Head]:
        """In their order; what is to be read is read some at a time, in threads. Raises as `of` does."""
        found = {one.digest: self._known(one.digest) for one in served}
        absent = [one for one in served if found[one.digest] is None]
        if absent:
            proofs = await self._proofs([one.digest for one in absent])
            shares = [absent[number::_THREADS] for number in range(min(_THREADS, len(absent)))]
            for some in await asyncio.gather(*(self._shared(share, proofs) for share in shares)):
                found.update(some)
        rest = [one for one in served if found.get(one.digest) is None]
        found.update(zip((one.digest for one in rest), await asyncio.gather(*map(self._in_turn, rest)), strict=True))
        return [head for one in served if (head := found[one.digest]) is not None]

    async def prepare(self, files: Sequence[Filed], proofs: Mapping[str, str]) -> None:
        """Has their heads at hand for who asks next, of those that are read plainly and rightly. Raises StoreAway."""
        absent = [one for one in files if self._kept.at_hand(_name(one.digest)) is None]
        if absent:
            length = len(absent) * HEAD_BYTES
            await self._reading.in_thread(lambda: dict(self._plain(absent, proofs)), length)

    async def _in_turn(self, served: Served) -> Head:
        async with self._turns:
            return await self.of(served)

    def _known(self, digest: str) -> Head | None:
        known = self._kept.at_hand(_name(digest))
        return None if known is None else _DECODER.decode(known)

    async def _shared(self, share: Sequence[Served], proofs: Mapping[str, str]) -> Mapping[str, Head | None]:
        key = tuple(one.digest for one in share)
        length = len(share) * HEAD_BYTES
        return await self._flights.shared(
            key, lambda: self._reading.in_thread(lambda: dict(self._plain(share, proofs)), length)
        )

    def _plain(self, share: Sequence[Filed], proofs: Mapping[str, str]) -> Iterator[tuple[str, Head | None]]:
        """Those that the fastest place gives at once, and rightly, which are nearly all. In a thread."""
        alike: Alike = {}
        for one in share:
            known = self._kept.get(_name(one.digest))
            if known is not None:
                yield one.digest, _DECODER.decode(known)
            elif one.digest in proofs and one.transfer_syntax not in DEFLATED:
                yield one.digest, self._read_plain(one, proofs[one.digest], alike)

    def _read_plain(self, served: Filed, proof: str, alike: Alike) -> Head | None:
        data = self._reading.where_fastest(served.blob, 0, HEAD_BYTES)
        found = None if data is None else _found(data, served.blob.length, alike)
        if found is None or not self._ends(found.head.pixels, served.blob) or not found.is_of(served, proof):
            return None
        # Of many, what is made of them is kept (`gateway.dicomweb.retrieving`).
        self._kept.hold(_name(served.digest), _ENCODER.encode(found.head))
        return found.head

    def _ends(self, pixels: Pixels | None, blob: Blob) -> bool:
        """Whether nothing stands behind the pixel data. In a thread."""
        if pixels is None or not pixels.encapsulated:
            return pixels is None or pixels.end == blob.length
        return self._reading.where_fastest(blob, blob.length - len(_DELIMITER), len(_DELIMITER)) == _DELIMITER

    async def _at_hand(self, served: Served) -> Head:
        """From memory or the folder, else from the store."""
        name = _name(served.digest)
        known = self._kept.at_hand(name) or await self._workers.run(lambda: self._kept.get(name))
        if known is not None:
            return _DECODER.decode(known)
        if served.blob.is_small:
            # Who asks for one header wants its pixels next, and what is held is checked, and not read twice.
            return await self._read(served, None)
        return await self._read(served, (await self._proofs([served.digest])).get(served.digest))

    async def _read(self, served: Served, proof: str | None) -> Head:
        found = None
        if proof is not None and served.transfer_syntax not in DEFLATED:
            # What cannot be read may be damaged, which the whole shows.
            with suppress(Problem):
                found = await self._looked_at(served, self._reading.unchecked)
        if found is None or proof is None or not found.is_of(served, proof):
            found = await self._looked_at(served, self._reading.checked)
        self._kept.put(_name(served.digest), _ENCODER.encode(found.head))
        return found.head

    async def _looked_at(self, served: Served, read: Read) -> _Found:
        """As much of the file as the header needs. Raises Problem 422."""
        blob = served.blob
        length = blob.length if served.transfer_syntax in DEFLATED else min(HEAD_BYTES, blob.length)
        while True:
            if length > LARGE_BYTES:
                raise Problem(422, "The header of an instance is too long to be shown.")
            async with self._long if length > _LONG_BYTES else nullcontext():
                data = await read(blob, 0, length)
                found = await self._workers.run(lambda: _found(data, blob.length))  # noqa: B023 - waited for
            if found is not None:
                return await self._with_what_is_behind(blob, found, read)
            if length == blob.length:
                raise Problem(422, "The header of an instance cannot be read.")
            length = min(length * _GROWTH, blob.length)

    async def _with_what_is_behind(self, blob: Blob, found: _Found, read: Read) -> _Found:
        """With the few elements that may stand behind pixel data, such as padding or signatures."""
        pixels = found.head.pixels
        if pixels is None or found.head.inflated:
            return found
        at = found.end or pixels.end
        if not found.end and pixels.encapsulated:
            last = await read(blob, blob.length - len(_DELIMITER), len(_DELIMITER))
            if last == _DELIMITER or not blob.is_small:
                return found
            whole = await self._reading.whole(blob)
            file = await self._workers.run(lambda: beginning(whole))
            element = None if file is None else file.elements.get(pixels.tag)
            at = blob.length if element is None or element.truncated else element.end
        if not 0 < blob.length - at <= _BEHIND_BYTES_MAX:
            return found
        tail = await read(blob, at, blob.length - at)
        return await self._workers.run(lambda: _extended(found, tail, at))


Read = Callable[[Blob, int, int], Awaitable[bytes]]


@dataclass(frozen=True)
class _Found:
    """A header as it was read. `before` is the digest, so far, of the data set without pixel data, which ends at `end`;
    0 where there is none, or it goes on behind what was read."""

    head: Head
    transfer_syntax: str
    before: hashlib._Hash
    end: int

    def is_of(self, served: Filed, proof: str) -> bool:
        """Group 0002 is not in the proof either."""
        is_named = self.transfer_syntax == served.transfer_syntax
        return is_named and self.before.hexdigest() == proof and _is_as(self.head.pixels, served.transfer_syntax)


def _found(data: bytes, size: int, alike: Alike | None = None) -> _Found | None:
    """None where the header goes on behind `data`, or there is none."""
    file = beginning(data)
    if file is None:
        return None
    pixel_data = file.pixel_data
    if pixel_data is None and len(data) < size:
        return None
    is_plain = file.data is data
    head = _of_file(file, size if is_plain else len(file.data), {} if alike is None else alike)
    before = hashlib.sha256(memoryview(file.data)[file.start : len(file.data) if pixel_data is None else pixel_data.at])
    # Nothing of it was made of what stands behind where the pixels begin: that is read by itself.
    read = pixel_data.value_at if pixel_data is not None and is_plain else len(data)
    head = msgspec.structs.replace(head, read=read, sha256=hashlib.sha256(memoryview(data)[:read]).hexdigest())
    end = 0 if pixel_data is None or pixel_data.truncated or not is_plain else pixel_data.end
    return _Found(head, file.transfer_syntax_uid, before, end)


def _of_file(file: Part10, size: int, alike: Alike) -> Head:
    pixel_data = file.pixel_data
    if pixel_data is not None:
        pixel_data = _in_full(file, pixel_data, size)
        file = replace(file, elements=_before(file, pixel_data) | {pixel_data.tag: pixel_data})
    modelled = Modelled(file)
    model = modelled.encoded(alike)
    bulk = {path: Place(at=at, length=length, vr=vr) for path, (at, length, vr) in modelled.places.items()}
    return Head(
        model=model,
        read=0,
        sha256="",
        offsets=file.value(file.elements[_OFFSETS]) if _OFFSETS in file.elements else b"",
        inflated=file.transfer_syntax_uid in DEFLATED,
        explicit=file.encoding.explicit,
        big=file.encoding.byte_order == "big",
        bulk=bulk,
        pixels=None if pixel_data is None else _pixels(file, pixel_data),
    )


def _before(file: Part10, pixel_data: Element) -> dict[int, Element]:
    """Without what stands behind pixel data and is read by itself. Of a deflated data set all is read at once."""
    is_inflated = file.transfer_syntax_uid in DEFLATED
    return {tag: one for tag, one in file.elements.items() if is_inflated or one.at < pixel_data.at}


def _extended(found: _Found, tail: bytes, at: int) -> _Found:
    head, digest = found.head, found.before.copy()
    digest.update(tail)
    found = replace(found, before=digest)
    walk = Walk(tail, Encoding(head.explicit, "big" if head.big else "little"), Limits())
    with suppress(Malformed, TooComplex):
        walk.top(0, head.explicit)
    # Of an element that is there twice the first counts, as in `Walk`.
    known = msgspec.json.decode(head.model, type=dict[str, msgspec.Raw])
    new = {tag: one for tag, one in walk.elements.items() if f"{tag:08X}" not in known}
    file = Part10(tail, 0, Encoding(head.explicit, "big" if head.big else "little"), {}, new, frozenset())
    modelled = Modelled(file)
    model = msgspec.json.encode(modelled.model())
    if model == b"{}":
        return found
    bulk = {path: Place(at=at + start, length=length, vr=vr) for path, (start, length, vr) in modelled.places.items()}
    return replace(
        found, head=msgspec.structs.replace(head, model=head.model[:-1] + b"," + model[1:], bulk=head.bulk | bulk)
    )


def _in_full(file: Part10, element: Element, size: int) -> Element:
    """Pixel data as the file has it, of which a beginning was read."""
    if element.undefined_length:
        return msgspec.structs.replace(element, end=size, truncated=False)
    said = int.from_bytes(file.data[element.value_at - 4 : element.value_at], file.encoding.byte_order)
    end = min(element.value_at + said, size)
    return msgspec.structs.replace(element, end=end, truncated=element.value_at + said > size)


def _pixels(file: Part10, element: Element) -> Pixels:
    image = describe(file, _FRAME_BYTES_MAX)
    return Pixels(
        tag=element.tag,
        vr=element.vr or "OW",
        at=element.value_at,
        end=element.end,
        encapsulated=element.undefined_length,
        big=file.encoding.byte_order == "big",
        frames=max(1, file.integer(FRAMES) or 1),
        frame_bits=_frame_bits(file, element.tag),
        image=image if isinstance(image, Image) else None,
        why=image if isinstance(image, str) else "",
    )


def _is_as(pixels: Pixels | None, transfer_syntax: str) -> bool:
    """Whether VR and length of pixel data, which no proof is of, are as this syntax has them."""
    return pixels is None or (pixels.vr in _VRS[pixels.tag] and pixels.encapsulated == (transfer_syntax not in NATIVE))


def _frame_bits(file: Part10, tag: int) -> int:
    """Of one native frame, of whatever kind its samples are (PS3.5 section 8.1.1)."""
    pixels = (file.unsigned(ROWS) or 0) * (file.unsigned(COLUMNS) or 0)
    bits = _REAL_BITS.get(tag) or file.unsigned(BITS_ALLOCATED) or 0
    samples = file.unsigned(SAMPLES) or 1
    # PS3.3 section C.7.6.3.1.2: two samples of colour for each two pixels.
    return pixels * bits * (2 if file.text(PHOTOMETRIC) in SUBSAMPLED and samples == 3 else samples)


def _name(digest: str) -> str:
    return f"head {VERSION} {digest}"
