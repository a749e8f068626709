"""Starts the service: python -m consumers.tiering --config FILE"""

from __future__ import annotations

from consumers.tiering.config import Settings
from consumers.tiering.folding import NAME, Folding
from consumers.tiering.moving import Moving
from consumers.tiering.policy import Policy, load_policy
from consumers.tiering.state import Studies
from streams.config import ConfigError
from streams.deciding import Deciding
from streams.service import Context, run
from streams.sizes import DECISION_BYTES_MAX


def main(context: Context, settings: Settings) -> None:
    policy = load_policy(settings.policy)
    if missing := sorted(set(policy.names) - set(context.store.names)):
        raise ConfigError(f"[store.buckets] does not name {', '.join(missing)}, which the policy of [tiering] does")
    tiering(context, settings, policy).run()


def tiering(context: Context, settings: Settings, policy: Policy) -> Deciding[Studies]:
    folding = Folding(context, settings.checkpoint_every)
    return Deciding(
        context,
        NAME,
        folding,
        lambda producer: Moving(context, settings, policy, folding, producer),
        record_bytes_max=DECISION_BYTES_MAX + 100_000,
    )


if __name__ == "__main__":
    run(NAME, Settings, main)
