"""A-ASSOCIATE-RQ as pynetdicom encodes it."""

from __future__ import annotations

from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification
from pynetdicom.presentation import PresentationContext, build_context


def proposed(number: int, abstract_syntax: str, transfer_syntaxes: list[str]) -> PresentationContext:
    context = build_context(abstract_syntax, transfer_syntaxes)
    context.context_id = number
    return context


def request(contexts: list[PresentationContext], *user: object, maximum_length: int = 16_382) -> A_ASSOCIATE_RQ:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = "SCANNER", "RADSTREAM"
    primitive.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = maximum_length
    implementation.implementation_class_uid = UID("1.2.3.4")
    primitive.user_information = [length, implementation, *user]
    encoded = A_ASSOCIATE_RQ()
    encoded.from_primitive(primitive)
    return encoded


def body(one: object) -> bytes:
    return one.encode()[6:]  # type: ignore[attr-defined]
