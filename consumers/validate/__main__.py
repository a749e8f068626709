"""How it starts: `python -m consumers.validate --config FILE`."""

from __future__ import annotations

from consumers.validate import levels_reading
from consumers.validate.both import Both
from consumers.validate.config import Settings
from consumers.validate.outside import OutsideFirst
from consumers.validate.step import CODE_VERSION, Validate
from consumers.validate.study import step as study
from consumers.validate.study.decided import Decisions
from schemas import load_topics
from streams.config import Config, digest
from streams.events import SUBJECTS, StudyRevision
from streams.outside_studies import OutsideStudies
from streams.runner import Runner
from streams.service import Context, claimed, run


def main(context: Context, settings: Settings) -> None:
    levels = levels_reading.of_site(settings.rules)
    config_digest = digest(settings.limits, levels.file)
    identity = claimed(context, step=Validate.name, code_version=CODE_VERSION, config_digest=config_digest)
    # A site without a word on any rule keeps the generation that it has.
    of_studies_digest = digest(settings.studies, *([levels.file] if levels.count else []))
    of_studies = claimed(
        context, step=study.Assess.name, code_version=study.CODE_VERSION, config_digest=of_studies_digest
    )
    if identity is None or of_studies is None:
        return
    validate = Validate(identity, context.store, settings.limits, levels)
    decisions = Decisions(context.log, context.clock)
    assess = study.Assess(of_studies, context.store, context.log, decisions, settings.studies.instances_max, levels)
    # A study is read for seconds: what a reader waits for is not to wait for that.
    apart = load_topics().physical(SUBJECTS[StudyRevision])
    first = OutsideFirst(validate, context.log, context.ids, context.source, OutsideStudies(context.log, context.clock))
    Runner(context, Both(first, assess), identity, settings.runner, apart=apart).run()


def check(_: Config, settings: Settings) -> None:
    levels_reading.of_site(settings.rules)


if __name__ == "__main__":
    run(Validate.name, Settings, main, check)
