"""The parts of the service, put together."""

from __future__ import annotations

from streams.chains.config import Settings
from streams.chains.keys import Signing
from streams.chains.reading import read_one
from streams.chains.signing import Chaining, Heads
from streams.chains.step import NAME, Chains, Seen
from streams.deciding import Deciding
from streams.decisions import Entities
from streams.folding import Folding
from streams.service import Context
from streams.sizes import DECISION_BYTES_MAX


def chaining(context: Context, settings: Settings, keys: Signing) -> Deciding[Entities[Seen]]:
    """The runner of the step, with its signer."""
    step = Chains(lambda ref: read_one(context.log, ref), settings.quiet_s)
    folding = Folding(context, step, settings.checkpoint_every)
    return Deciding(
        context,
        NAME,
        folding,
        lambda producer: Chaining(
            context, step, folding, producer, Heads(context, producer, keys, settings.sign_every_s)
        ),
        record_bytes_max=DECISION_BYTES_MAX + 100_000,
    )
