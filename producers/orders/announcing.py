"""From an order to its record: texts into encrypted blocks, the rest into the event (promise 6)."""

from __future__ import annotations

from dataclasses import dataclass

from producers.orders.order import Order, Step, check
from schemas import Lane
from streams.clock import Clock
from streams.config import Site
from streams.events import Meta, OrderCommand, OrderStep
from streams.generation import of_facts
from streams.identity import event_id
from streams.protected import ProtectedBlocks
from streams.terms import MODALITIES

STEP = "orders"


@dataclass(frozen=True)
class Announcer:
    """Makes events of orders. Used from many threads."""

    site: Site
    blocks: ProtectedBlocks
    clock: Clock

    def order_id(self, order: Order) -> str:
        """What names the order in the log: a pseudonym, so that no accession number is there."""
        return str(self.blocks.pseudonym("order", order.issuer, order.accession, order.procedure_id))

    def study_uid(self, order: Order) -> str:
        """The RIS's own, else one that follows from what names the order: a change keeps it (PS3.5 annex B.2)."""
        if order.study_uid is not None:
            return order.study_uid
        return f"2.25.{self.blocks.pseudonym('study', order.issuer, order.accession, order.procedure_id).int}"

    def event(self, order: Order, said_as: str, actor: str) -> OrderCommand:
        """The event, its blocks durable. `said_as` names the message: who says it again has said it once.

        Raises BadOrder, StoreAway, Damaged.
        """
        check(order)
        named = self.order_id(order)
        subject = f"{named}/{self.blocks.pseudonym('message', said_as).hex}"
        lane: Lane = "stat" if order.priority == "stat" else "routine"
        states = order.action in ("placed", "changed")
        return OrderCommand(
            meta=Meta(
                event_id=event_id(self.site.tenant, STEP, subject, 0, 0),
                tenant=self.site.tenant,
                site=self.site.site,
                lane=lane,
                subject=subject,
                occurred_at=self.clock.now(),
            ),
            provenance=of_facts(STEP).provenance(),
            order_id=named,
            action=order.action,
            actor=actor,
            priority=order.priority,
            study_uid=self.study_uid(order) if states else None,
            study_uid_made=states and order.study_uid is None,
            block=self.blocks.put_part("order", named, _whole(order)) if states else None,
            steps=tuple(self._step(named, step) for step in order.steps),
        )

    def _step(self, named: str, step: Step) -> OrderStep:
        modality = step.modality if step.modality in MODALITIES else None
        said = {**step.said, "Modality": step.modality} if step.modality and not modality else dict(step.said)
        return OrderStep(
            block=self.blocks.put_part("step", named, said),
            modality=modality,
            station_aes=step.station_aes,
            start_date=step.start_date,
            start_time=step.start_time,
        )


def _whole(order: Order) -> dict[str, str | list[str]]:
    named = {
        "AccessionNumber": order.accession,
        "IssuerOfAccessionNumber": order.issuer,
        "RequestedProcedureID": order.procedure_id,
    }
    return {name: value for name, value in {**order.said, **named}.items() if value}
