"""Options that several commands have, and what they open."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import click
import msgspec

from infra.local.home import default_home
from radstream.errors import Failure
from streams import config as configuration
from streams.config import ENVIRONMENT, Config, Kafka
from streams.kafka_log import KafkaLog
from streams.log import Log, LogAway, LogRefused
from streams.titles import AeTitle

F = TypeVar("F", bound=Callable[..., Any])

CONFIG_NAME = "radstream.toml"


class Moment(click.ParamType):
    """A date or a time; UTC where it does not say."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            at = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value} is no time; write 2026-11-23, 2026-11-23T08:15, or with Z or +01:00", param, ctx)
        return at if at.tzinfo else at.replace(tzinfo=UTC)


class AeTitled(click.ParamType):
    """An AE title (PS3.5 section 6.2)."""

    name = "title"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return msgspec.convert(value, AeTitle)
        except msgspec.ValidationError:
            what = "an AE title has 1 to 16 ASCII characters, not only spaces, and no backslash"
            self.fail(f"{value!r}: {what}", param, ctx)


class Duration(click.ParamType):
    """A number with a unit: 90s, 15m, 2h, 1d."""

    name = "duration"
    _UNITS: ClassVar = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        number, unit = str(value)[:-1], str(value)[-1:]
        if unit not in self._UNITS or not re.fullmatch(r"[0-9]{1,6}", number):
            self.fail(f"{value} is no duration; write 90s, 15m, 2h or 1d", param, ctx)
        return timedelta(**{self._UNITS[unit]: int(number)})


class Names(click.ParamType):
    """Names with commas between them, each one of `known`."""

    name = "names"

    def __init__(self, known: Iterable[str]) -> None:
        self._known = tuple(known)

    def convert(
        self, value: str | Sequence[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(value.split(","))) if isinstance(value, str) else tuple(value)
        for name in names:
            if name not in self._known:
                self.fail(f"{name!r} is none of: {', '.join(self._known)}", param, ctx)
        return names


def config_option(command: F) -> F:
    """`--config FILE`, given to the command as `config_path: Path`."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        default=default_config_path,
        help=f"Configuration file; else ${ENVIRONMENT}, else that of the local stack.",
    )(command)


def json_option(command: F) -> F:
    """`--json`, given to the command as `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def default_config_path() -> Path:
    return Path(os.environ[ENVIRONMENT]) if ENVIRONMENT in os.environ else default_home() / CONFIG_NAME


def open_config(path: Path) -> Config:
    """Raises ConfigError, which the command line prints as one message."""
    return configuration.load(path)


def open_log(config: Config, readers_kept: int = 0) -> Log:
    return KafkaLog(config.section("kafka", Kafka), readers_kept)


@contextmanager
def log_answers() -> Iterator[None]:
    """Turns an absent or refusing broker into a Failure."""
    try:
        yield
    except LogAway as error:
        raise Failure(f"the broker does not answer ({error}); see what runs, and start it: radstream up") from None
    except LogRefused as error:
        raise Failure(f"the broker refused: {error}") from None
