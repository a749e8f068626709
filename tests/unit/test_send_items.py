"""What `radstream send` makes of files: each becomes one request, whatever it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from radstream.errors import Failure
from radstream.items import SECONDARY_CAPTURE, Item, items_of
from radstream.send import parse_target
from streams.store_scu import Target, command_set, pdus
from streams.stored_file import stored_file
from tests.routers import CT, EXPLICIT, IMPLICIT, Ct


def only(path: Path) -> Item:
    (item,) = items_of([path])
    return item


def written(folder: Path, data: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(data)
    return path


def test_a_part_10_file_is_sent_without_its_header(tmp_path: Path) -> None:
    item = only(written(tmp_path, stored_file(CT, "1.2.3.4.5", EXPLICIT, Ct().data_set())))
    assert (item.sop_class, item.sop_instance, item.transfer_syntax) == (CT, "1.2.3.4.5", EXPLICIT)
    assert item.data_set() == Ct().data_set()


def test_the_data_sets_own_uids_count_where_the_header_has_others(tmp_path: Path) -> None:
    item = only(written(tmp_path, stored_file(SECONDARY_CAPTURE, "9.9", EXPLICIT, Ct().data_set())))
    assert (item.sop_class, item.sop_instance) == (CT, "1.2.3.4.5")


@pytest.mark.parametrize(
    ("data", "transfer_syntax"), [(Ct().data_set(), EXPLICIT), (Ct().implicit_data_set(), IMPLICIT)]
)
def test_a_data_set_without_a_header_shows_its_transfer_syntax(
    tmp_path: Path, data: bytes, transfer_syntax: str
) -> None:
    item = only(written(tmp_path, data))
    assert (item.sop_class, item.sop_instance, item.transfer_syntax) == (CT, "1.2.3.4.5", transfer_syntax)
    assert item.data_set() == data


@pytest.mark.parametrize("data", [b"", b"no DICOM at all", bytes(128) + b"DICM", bytes(128) + b"DICM" + b"\xff" * 50])
def test_what_is_no_dicom_is_sent_as_it_is_and_twice_the_same(tmp_path: Path, data: bytes) -> None:
    first, second = only(written(tmp_path, data)), only(written(tmp_path, data))
    assert first.sop_class == SECONDARY_CAPTURE
    assert first.sop_instance == second.sop_instance
    assert first.sop_instance.startswith("2.25.")
    assert data.endswith(first.data_set())


def test_folders_are_walked_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1").write_bytes(b"")
    (tmp_path / "a").write_bytes(b"")
    assert [Path(item.name).name for item in items_of([tmp_path])] == ["a", "1"]


def test_a_path_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no such file or folder"):
        list(items_of([tmp_path / "nowhere"]))


def test_a_target_is_an_ae_title_a_host_and_a_port() -> None:
    assert parse_target("RADSTREAM@127.0.0.1:11112") == Target("RADSTREAM", "127.0.0.1", 11112)
    assert parse_target("A B@[::1]:104") == Target("A B", "::1", 104)
    for wrong in ("RADSTREAM", "@host:1", "A@host:0", "A@host:70000", "A@host", "seventeen letters@h:1"):
        with pytest.raises(Failure, match="AE@HOST:PORT"):
            parse_target(wrong)


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 200, 1000])
def test_fragments_keep_to_the_peers_maximum_and_add_up(size: int) -> None:
    data = bytes(range(256)) * 4
    sent = list(pdus(3, command_set(CT, "1.2.3", 1), data[:size], 106))
    assert all(len(pdu) <= 106 + 6 for pdu in sent[1:])
    assert b"".join(pdu[12:] for pdu in sent[1:]) == data[:size]
    assert [pdu[11] for pdu in sent[1:]] == [0] * (len(sent) - 2) + [2]
