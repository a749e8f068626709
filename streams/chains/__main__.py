"""Starts the service: python -m streams.chains --config FILE"""

from __future__ import annotations

from streams.chains.config import Settings
from streams.chains.keys import Signing
from streams.chains.running import chaining
from streams.chains.step import NAME
from streams.config import Config
from streams.service import Context, run


def main(context: Context, settings: Settings) -> None:
    chaining(context, settings, Signing(settings.key_file)).run()


def check(_: Config, settings: Settings) -> None:
    """A key that cannot be used is a reason not to start."""
    Signing(settings.key_file)


if __name__ == "__main__":
    run(NAME, Settings, main, check)
