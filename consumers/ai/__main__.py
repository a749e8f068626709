"""How it starts: `python -m consumers.ai --config FILE`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
import structlog

from consumers.ai.analysis import Analysis
from consumers.ai.config import Settings
from consumers.ai.deployments import deployments
from consumers.ai.result import Deployed
from consumers.ai.step import CODE_VERSION, Inference
from streams.config import Store
from streams.generation import StepIdentity, of_facts
from streams.held import HeldImages
from streams.runner import Runner
from streams.service import Context, claimed, run


def main(context: Context, settings: Settings) -> None:
    deployed = []
    for analysis in deployments(settings.repository, settings.deployments, settings.backends):
        if (identity := _claimed(context, analysis)) is None:
            return
        deployed.append(Deployed(analysis, identity))
    structlog.get_logger().info("models_deployed", names=[one.identity.name for one in deployed])
    stores = _nearest_first(tuple(context.config.section("store", Store).buckets))
    step = Inference(deployed, context.store, stores, settings.limits, HeldImages(context.log, context.clock))
    Runner(context, step, of_facts(Inference.name), settings.runner).run()


def _claimed(context: Context, analysis: Analysis) -> StepIdentity | None:
    """A model has an identity of its own: another model beside it makes no new results of this one."""
    output = msgspec.json.encode((analysis.selection, dict(analysis.settings)), order="deterministic")
    return claimed(
        context,
        step=f"ai.{analysis.deployment}",
        # Each is only ever raised, so their sum is new whenever one of them is.
        code_version=CODE_VERSION + analysis.code_version,
        config_digest=hashlib.sha256(output).hexdigest(),
        models=(analysis.model.digest,),
    )


def _nearest_first(stores: Sequence[str]) -> tuple[str, ...]:
    order = ("hot", "warm", "cold", "backup")
    return tuple(sorted(stores, key=lambda name: order.index(name) if name in order else len(order)))


if __name__ == "__main__":
    run(Inference.name, Settings, main)
