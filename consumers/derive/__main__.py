"""How it starts: `python -m consumers.derive --config FILE`."""

from __future__ import annotations

from consumers.derive.config import Settings
from consumers.derive.step import CODE_VERSION, Derive
from streams.config import digest
from streams.runner import Runner
from streams.service import Context, claimed, run


def main(context: Context, settings: Settings) -> None:
    config_digest = digest(settings.output)
    identity = claimed(context, step=Derive.name, code_version=CODE_VERSION, config_digest=config_digest)
    if identity is None:
        return
    Runner(context, Derive(identity, context.store, settings.output), identity, settings.runner).run()


if __name__ == "__main__":
    run(Derive.name, Settings, main)
