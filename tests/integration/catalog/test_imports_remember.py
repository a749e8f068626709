"""What came from outside before the log said so of studies is said there once, by the catalog."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from radstream import import_remembering
from radstream.__main__ import cli
from radstream.import_remembering import Remembered
from streams.clock import SystemClock
from streams.generation import of_facts
from streams.log import TopicPartition
from streams.outside_studies import STEP, TOPIC, OutsideStudies
from tests.catalog_config import catalog_config
from tests.catalogs import projected
from tests.event_streams import TENANT, Hospital, new_log, write
from tests.import_events import DISC, from_outside
from tests.import_events import decided as reconciled


def test_the_forwarder_learns_of_studies_that_came_before_it_asked(
    tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital, log, config = Hospital(), new_log(), tmp_path / "radstream.toml"
    config.write_text(catalog_config(dsn))
    monkeypatch.setattr(import_remembering, "open_log", lambda _: log)
    disc, settled = from_outside(hospital), from_outside(hospital)
    own = hospital.received(hospital.uid(), hospital.uid(), {"PatientID": "P1"})
    back = hospital.received(own.instance.study_uid, own.instance.series_uid, {"PatientID": "X1"}, outside=DISC)
    here = hospital.received(hospital.uid(), hospital.uid(), {"PatientID": "P2"})
    came = (disc, settled, own, back, here)
    write(log, [*came, *map(hospital.validated, came), reconciled(hospital, settled.instance.study_uid)])
    projected(dsn, log, hospital)

    def remember() -> Remembered:
        done = CliRunner().invoke(cli, ["imports", "remember", "--json", "--config", str(config)])
        assert done.exit_code == 0, done.exception
        return Remembered(**json.loads(done.stdout))

    assert remember() == Remembered(studies=3, new=3)
    known = OutsideStudies(log, SystemClock())
    known.read_on()
    assert [known.of(TENANT, one.instance.study_uid) for one in came] == [DISC, DISC, DISC, DISC, None]
    assert remember() == Remembered(studies=3, new=0)
    said = [record.header("ce_id") for record in log.read(TopicPartition(TOPIC, 0), 0, 3)]
    names = sorted(of_facts(STEP).event_id(TENANT, one.instance.study_uid, 0) for one in (disc, settled, own))
    assert sorted(map(str, said)) == names, "it is the event that validate would have written"
