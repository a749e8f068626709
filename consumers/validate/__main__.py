"""How it starts: `python -m consumers.validate --config FILE`."""

from __future__ import annotations

from consumers.validate import levels_reading
from consumers.validate.config import Settings
from consumers.validate.step import CODE_VERSION, Validate
from streams.config import Config, digest
from streams.runner import Runner
from streams.service import Context, claimed, run


def main(context: Context, settings: Settings) -> None:
    levels = levels_reading.of_site(context.config, settings.rules)
    config_digest = digest(settings.limits, levels.file)
    identity = claimed(context, step=Validate.name, code_version=CODE_VERSION, config_digest=config_digest)
    if identity is None:
        return
    Runner(context, Validate(identity, context.store, settings.limits, levels), identity, settings.runner).run()


def check(config: Config, settings: Settings) -> None:
    levels_reading.of_site(config, settings.rules)


if __name__ == "__main__":
    run(Validate.name, Settings, main, check)
