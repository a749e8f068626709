"""What the demo sends, samples and says, without a stack."""

from datetime import UTC, datetime

import pytest

from radstream.demo_items import PHANTOM, demo_items, pydicom_files
from radstream.demo_summary import Bytes
from radstream.quantiles import latency
from radstream.thumbnails import SERIES_MAX, chosen
from streams.events import Instance, InstanceDerived, Meta, ObjectRef, Provenance, Representation


def test_the_demo_sends_the_files_of_the_wheel_and_three_generated_series():
    items = demo_items()
    assert len(pydicom_files()) > 100
    assert len(items) == len(pydicom_files()) + sum(PHANTOM.slices)
    assert len({item.name for item in items}) == len(items)


def test_texts_of_the_wheel_are_not_sent():
    assert not [file for file in pydicom_files() if file.suffix in {".txt", ".json", ".dump", ".gz", ".icc"}]


def derived(series: int, number: int, *, thumbnail: bool = True) -> InstanceDerived:
    sop_instance = f"1.{series}.{number}"
    ref = ObjectRef(tenant="t", store="hot", key=sop_instance, length=1, size=2, sha256="")
    pictures = [Representation(kind="lossless", media_type="application/dicom", rows=1, columns=1, object=ref)]
    if thumbnail:
        pictures.append(Representation(kind="thumbnail", media_type="image/jpeg", rows=1, columns=1, object=ref))
    return InstanceDerived(
        meta=Meta(
            event_id="", tenant="t", site="s", lane="routine", subject="", occurred_at=datetime(2026, 1, 5, tzinfo=UTC)
        ),
        provenance=Provenance(step="derive", build="1", generation=1, config_digest=""),
        instance=Instance(
            study_uid="1",
            series_uid=f"1.{series}",
            sop_instance_uid=sop_instance,
            sop_class_uid="",
            transfer_syntax_uid="",
            digest=sop_instance,
        ),
        source_size=1,
        representations=tuple(pictures),
    )


def test_thumbnails_come_in_the_order_sent_and_long_series_are_sampled():
    long = [f"1.1.{number}" for number in range(3 * SERIES_MAX)]
    events = {sop: derived(1, number) for number, sop in enumerate(long)}
    events["1.2.0"] = derived(2, 0)
    events["1.3.0"] = derived(3, 0, thumbnail=False)
    found = chosen(["1.2.0", *long, "1.3.0", "1.2.0", "1.9.9"], events)
    assert [picture.object.key for picture in found[:2]] == ["1.2.0", "1.1.0"]
    assert found[-1].object.key == long[-1]
    assert len(found) == 1 + SERIES_MAX


@pytest.mark.parametrize(
    ("seconds", "p50", "p99"),
    [([0.003], 3.0, 3.0), ([0.001, 0.002], 1.0, 2.0), ([number / 1000 for number in range(1, 101)], 50.0, 99.0)],
)
def test_quantiles_are_values_that_were_seen(seconds: list[float], p50: float, p99: float):
    found = latency(seconds)
    assert found is not None
    assert (found.p50, found.p99, found.count) == (p50, p99, len(seconds))


def test_nothing_measured_has_no_quantiles():
    assert latency([]) is None


def test_savings_are_not_claimed_before_originals_are_released():
    sentence = Bytes(originals=3000, copied=2000, lossless_copies=500, pictures=20).sentence
    assert "75.0 % smaller than their originals" in sentence
    assert "holds +520 bytes" in sentence


def test_copies_that_are_larger_are_said_to_be():
    assert "25.0 % larger" in Bytes(originals=3000, copied=2000, lossless_copies=2500, pictures=0).sentence
    assert Bytes(originals=3000, copied=0, lossless_copies=0, pictures=0).sentence == "no lossless copies yet"
