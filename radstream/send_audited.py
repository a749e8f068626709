"""Sends files, shows how far that is, ends where a person interrupts it, and has the audit say what was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from radstream.audit import audit
from radstream.dicom_peer import quiet
from radstream.errors import Failure
from radstream.options import open_config, open_log
from radstream.sending import INTERRUPTED, RETRIES, Destination, Interrupted, SendResult, Sent, send_files
from streams.config import Config, ConfigError, Kafka, Site
from streams.schema_ids import read_ids
from streams.wire import SchemaIds

Outcome = Literal["success", "refused", "failure"]


@dataclass(frozen=True)
class Sending:
    """What came of it, and as what it goes into the audit of `config`, where there is one."""

    target: Destination
    config: Config | None
    action: str
    result: SendResult

    def audit(self) -> None:
        """Counts, never names of files. What is sent is sent, so a log that is away is a warning, after the result."""
        if self.config is None:
            return
        kafka, result = self.config.section("kafka", Kafka), self.result
        outcome: Outcome = "failure" if result.unsent else "refused" if result.refused else "success"
        counts = {f"status_{status}": str(count) for status, count in result.statuses.items()}
        if count := interrupted(result):
            counts["interrupted"] = str(count)
        try:
            audit(
                open_log(self.config),
                read_ids(kafka.schema_ids) if kafka.schema_ids else SchemaIds(),
                self.config.section("site", Site),
                action=self.action,
                subject=str(self.target),
                outcome=outcome,
                attributes={"files": str(result.files), "unsent": str(len(result.unsent)), **counts},
            )
        except Failure:
            warning = "what was sent is not in the audit: the broker does not take it; see: radstream status"
            click.echo(f"radstream: warning: {warning}", err=True)


def auditing(config_path: Path, to: str | None) -> Config | None:
    """The configuration whose audit is told. Raises ConfigError.

    Who says whom to send `to` may have no log: a warning says that nothing is audited, where there is a configuration.
    """
    try:
        config = open_config(config_path)
        config.section("kafka", Kafka)
        config.section("site", Site)
    except ConfigError as error:
        if to is None:
            raise
        if config_path.exists():
            click.echo(f"radstream: warning: what is sent to {to} is not in the audit: {error}", err=True)
        return None
    return config


def send_audited(
    files: Sequence[Path],
    target: Destination,
    config: Config | None,
    action: str,
    *,
    calling_ae: str,
    shown: bool,
    associations: int = 1,
    retries: int = RETRIES,
) -> Sending:
    """What was not sent where a person interrupted it, the result says too; a second interruption is raised.

    Raises Failure for a file that cannot be read.
    """
    quiet()
    with _progress(len(files), shown=shown) as on_sent:
        try:
            result = send_files(
                files, target, associations=associations, calling_ae=calling_ae, retries=retries, on_sent=on_sent
            )
        except Interrupted as ended:
            result = ended.result
    return Sending(target, config, action, result)


def interrupted(result: SendResult) -> int:
    """How many were not sent because a person interrupted it."""
    return sum(one["reason"] == INTERRUPTED for one in result.unsent)


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Callable[[Sent], None]]:
    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as progress:
        task = progress.add_task("sending", total=total)
        yield lambda _: progress.advance(task)
