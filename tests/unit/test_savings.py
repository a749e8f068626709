"""What is saved is counted over every stored copy, and nothing is while originals are kept."""

from __future__ import annotations

from msgspec import structs

from radstream.log_census import LogCensus
from radstream.savings import Savings, savings
from radstream.store_census import StoreCensus
from streams.events import InstanceDerived, Representation
from tests.instance_events import instance_of, meta_of, provenance_of, ref_of

DIGEST, OTHER = "a" * 64, "b" * 64


def derivation(digest: str, source_size: int, **lengths: int) -> InstanceDerived:
    ref = ref_of("t/derived/x", 1, "0" * 64)
    return InstanceDerived(
        meta=meta_of(digest),
        provenance=provenance_of("derive", 1),
        instance=instance_of(("1", "2", "3"), digest),
        source_size=source_size,
        representations=tuple(
            Representation(
                kind="lossless" if kind == "lossless" else "thumbnail",
                media_type="image/webp",
                rows=1,
                columns=1,
                object=structs.replace(ref, length=length),
            )
            for kind, length in lengths.items()
        ),
    )


def site() -> tuple[LogCensus, StoreCensus]:
    """One original in two stores with a copy of it, and one that arrived lossy with a picture alone."""
    log, store = LogCensus(), StoreCensus()
    log.received_bytes = 1000 + 500
    log.derivations = {
        DIGEST: derivation(DIGEST, 1000, lossless=400, picture=30),
        OTHER: derivation(OTHER, 500, picture=20),
    }
    whole, lossy = f"t/studies/1/2/3/{DIGEST}.dcm", f"t/studies/1/2/4/{OTHER}.dcm"
    store.originals = {whole: 1000, lossy: 500}
    store.copies = {"hot": {whole: 1000, lossy: 500}, "backup": {whole: 1000}}
    store.derived = {"t/derived/1": 440, "t/derived/2": 25}
    return log, store


def test_copies_beside_their_originals_save_less_than_nothing() -> None:
    found = savings(*site())

    assert (found.received, found.original_copies, found.derived) == (1500, 2500, 465)
    assert found.saved == -465


def test_released_originals_would_give_way_in_every_store() -> None:
    # Two copies of 1000 give way to two of 400; pictures, indexes and the rest of what was derived stay.
    assert savings(*site()).saved_if_released == 2 * (1000 - 400) - (465 - 400)


def test_what_has_no_original_in_any_store_gives_no_way() -> None:
    log, store = site()
    store.copies = {"hot": {}}

    assert savings(log, store).saved_if_released == -465


def test_the_sentence_says_both_with_their_signs() -> None:
    said = Savings(received=1500, original_copies=2500, derived=465, saved=-465, saved_if_released=1135).sentence

    assert "-465 bytes saved" in said
    assert "+1,135 if originals were released" in said
