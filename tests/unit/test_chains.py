"""The chain of a study: what is linked, in what order, and that it is linked once; and the heads that are signed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import structs

from schemas import load_subjects
from streams import part10
from streams.chains import step
from streams.chains.heads import SpanDigest, hash_of
from streams.chains.keys import Signing, Trusted
from streams.chains.links import NOTHING, last_hash, link_hash
from streams.config import ConfigError
from streams.events import ChainHead, ChainLink, StudyChain
from streams.log import TopicPartition
from tests.chain_world import Archive, file_of, private_text, study_uid
from tests.deciding_world import PARTITIONS, TENANT

VALIDATED = "imaging.instance.validated"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def test_a_study_that_was_quiet_is_one_record_with_a_link_for_each_image(archive: Archive) -> None:
    archive.receive(1, 1, 2, 3)
    archive.quiet(archive.member())
    (record,) = archive.chain(1)
    assert [link.digest.hex() for link in record.links] == [archive.refs[1, image].sha256 for image in (1, 2, 3)]
    assert [record.series[link.series] for link in record.links] == [
        f"{study_uid(1)}.{image % 2}" for image in (1, 2, 3)
    ]
    assert (record.seq, record.first, record.previous) == (1, 1, NOTHING)
    for image, link in enumerate(record.links, start=1):
        file = part10.read(file_of(1, image))
        assert link.metadata is not None
        assert link.metadata.hex() == part10.metadata_sha256(file)


def test_a_late_image_is_bound_to_what_was_there(archive: Archive) -> None:
    archive.receive(1, 1, 2)
    archive.quiet(member := archive.member())
    archive.receive(1, 3)
    archive.quiet(member)
    first, second = archive.chain(1)
    assert (second.seq, second.first, second.previous) == (2, 3, first.hash)
    (link,) = second.links
    assert second.hash == link_hash(first.hash, TENANT, study_uid(1), 3, second.series[0], link)


def test_what_is_linked_is_linked_once_by_whichever_process(archive: Archive) -> None:
    archive.receive(1, 1, 2)
    archive.quiet(member := archive.member())
    archive.receive(1, 2, 3)
    archive.quiet(member)
    member.log.kill()
    archive.receive(1, 1, 3, 4)
    archive.quiet(archive.member())
    linked = [link.digest for record in archive.chain(1) for link in record.links]
    assert [digest.hex() for digest in linked] == [archive.refs[1, image].sha256 for image in (1, 2, 3, 4)]


def test_a_crowd_is_linked_in_several_records(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "LINKS_MAX", 4)
    archive.receive(1, *range(10))
    archive.quiet(archive.member())
    assert [len(record.links) for record in archive.chain(1)] == [4, 4, 2]
    names = [TopicPartition(VALIDATED, number) for number in range(PARTITIONS)]
    committed = archive.log.committed("chains", names)
    assert sum(committed[name] or 0 for name in names) == 10


def test_heads_follow_each_other_and_cover_every_offset_once(archive: Archive) -> None:
    member = archive.member()
    for image in range(3):
        for study in range(4):
            archive.receive(study, image)
        archive.quiet(member)
    trusted, before, ends = Trusted(archive.keys / "chain-keys.public"), NOTHING, dict.fromkeys(range(PARTITIONS), 0)
    heads = archive.heads()
    assert len(heads) >= 3
    for number, head in enumerate(heads, start=1):
        assert (head.seq, head.previous, head.hash) == (number, before, hash_of(head))
        assert trusted.signed(head.key_id, head.signature, head.hash)
        assert [(span.partition, span.start) for span in head.spans] == list(ends.items())
        before, ends = head.hash, {span.partition: span.end for span in head.spans}
    assert sum(ends.values()) == 12


def test_nothing_new_is_not_signed(archive: Archive) -> None:
    archive.receive(1, 1)
    archive.quiet(member := archive.member())
    count = len(archive.heads())
    archive.quiet(member)
    assert len(archive.heads()) == count


@pytest.mark.parametrize("encoding", ["explicit", "implicit", "big", "deflated"])
def test_the_hash_of_metadata_is_of_all_but_pixels_and_header(encoding: str) -> None:
    data = file_of(1, 1, encoding)
    file = part10.read(data)
    pixels = file.elements[0x7FE00010]
    without = file.data[file.start : pixels.at] + file.data[pixels.end :]
    assert part10.metadata_sha256(file) == hashlib.sha256(without).hexdigest()


def test_hashes_never_change() -> None:
    """Every chain there is was made with them."""
    links = (
        ChainLink(series=0, sop_instance_uid="1.2.3", digest=bytes(range(32)), metadata=bytes(32)),
        ChainLink(series=1, sop_instance_uid="1.2.4", digest=bytes(32)),
    )
    assert last_hash(NOTHING, "general", "1.2", 1, ("1.3", "1.4"), links).hex() == (
        "9580e5b28bdc30e72bf1671092675975c77a47dd8d697e19f9d36f7467bd052b"
    )


@pytest.mark.parametrize("number", [0, 1])
def test_the_published_examples_can_be_worked_out(number: int) -> None:
    """Whoever checks chains with code of their own begins with these."""
    chain = msgspec.convert(load_subjects()["imaging.study.chain"].examples[number], StudyChain)
    head = msgspec.convert(load_subjects()["imaging.chain.head"].examples[number], ChainHead)
    told = (chain.meta.tenant, chain.study_uid, chain.first, chain.series, chain.links)
    assert last_hash(chain.previous, *told) == chain.hash
    assert hash_of(head) == head.hash
    Ed25519PublicKey.from_public_bytes(head.public_key).verify(head.signature, head.hash)
    (span,) = (span for span in head.spans if span.end > span.start)
    digest = SpanDigest()
    digest.add(span.start, chain)
    assert digest.value == span.digest


def test_a_second_signer_changes_nothing(archive: Archive) -> None:
    """One that lost its partitions and does not know it yet: its head comes second."""
    archive.receive(1, 1)
    archive.quiet()
    (head,) = archive.heads()
    archive.say(structs.replace(head, spans=(), hash=NOTHING))
    archive.receive(2, 1)
    archive.quiet()
    first, _, third = archive.heads()
    assert (third.seq, third.previous) == (2, first.hash)
    assert archive.verify().sound


def test_every_field_of_a_link_changes_its_hash() -> None:
    link = ChainLink(series=0, sop_instance_uid="1.2.3", digest=bytes(range(32)), metadata=bytes(32))
    made = [
        link_hash(NOTHING, "t", "1.2", 1, "1.3", link),
        link_hash(bytes([1] * 32), "t", "1.2", 1, "1.3", link),
        link_hash(NOTHING, "u", "1.2", 1, "1.3", link),
        link_hash(NOTHING, "t", "1.21", 1, ".3", link),
        link_hash(NOTHING, "t", "1.2", 2, "1.3", link),
        *(
            link_hash(NOTHING, "t", "1.2", 1, "1.3", structs.replace(link, **change))
            for change in (
                {"sop_instance_uid": "1.2.4"},
                {"digest": bytes(32)},
                {"metadata": None},
                {"metadata": link.digest},
            )
        ),
    ]
    assert len(set(made)) == len(made)


def test_a_rotated_key_signs_and_the_old_one_is_believed(tmp_path: Path) -> None:
    path, public = tmp_path / "keys", tmp_path / "public"
    path.write_text(private_text("old", bytes(32)))
    path.chmod(0o600)
    signature = (old := Signing(path)).sign(b"head")
    path.write_text(private_text("new", bytes([1] * 32), ("old", bytes(32))))
    public.write_text((new := Signing(path)).public_text())
    trusted = Trusted(public)
    assert (old.key_id, new.key_id) == ("old", "new")
    assert trusted.signed("old", signature, b"head")
    assert trusted.signed("new", new.sign(b"head"), b"head")
    assert not trusted.signed("new", signature, b"head")
    assert not trusted.signed("old", signature, b"another")
    assert not trusted.knows("stranger")


def test_a_key_file_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(private_text("old", bytes(32)))
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        Signing(path)
