"""That a study was read, for the policy that says where studies are kept."""

from __future__ import annotations

import click

from radstream.audit import account
from streams.accesses import Accesses
from streams.clock import SystemClock
from streams.config import Config, Kafka, Site
from streams.log import Log
from streams.schema_ids import read_ids
from streams.wire import SchemaIds


def counted(config: Config, log: Log, study_uid: str, objects: int) -> None:
    """Says on stderr where the log does not take it: nothing is lost but that the study was used."""
    path = config.section("kafka", Kafka).schema_ids
    accesses = Accesses(log, read_ids(path) if path else SchemaIds(), config.section("site", Site), SystemClock())
    accesses.record(study_uid, account(), objects)
    if accesses.close():
        click.echo("radstream: warning: the log has not taken that the study was read; it may look unused", err=True)
