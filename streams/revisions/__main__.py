"""Starts the service: python -m streams.revisions --config FILE"""

from __future__ import annotations

from streams.emitting import when_quiet
from streams.held import HeldImages
from streams.revisions.config import Settings
from streams.revisions.step import Revisions
from streams.service import Context, run


def main(context: Context, settings: Settings) -> None:
    step = Revisions(context.store, HeldImages(context.log, context.clock), settings.quiet_s)
    when_quiet(context, step, checkpoint_every=settings.checkpoint_every).run()


if __name__ == "__main__":
    run("revisions", Settings, main)
