"""HL7 v2 messages as a RIS sends them, written for these tests."""

from __future__ import annotations

STUDY = "2.25.195349290925840497603842089836094994028"

OMI = "\r".join(
    (
        r"MSH|^~\&|RIS|NORTH|RADSTREAM|NORTH|20261122101500||OMI^O23^OMI_O23|M4711|P|2.5.1||||||UNICODE UTF-8",
        r"PID|1||P1^^^NORTH&1.2.3&ISO^MR~99887^^^STATE^SS||Doe^Jane^Q^Jr^Dr^^L^A||19500101|F",
        r"PV1|1|I|W3^12^A||||4711^Brown^Bob^^^Dr|4712^Ref\T\Co^Rita|||||||B6||||V100",
        "AL1|1||^Penicillin",
        "ORC|NW|PL1^PLACER|FI1^FILLER||||||20261122|||4711^Brown^Bob",
        "TQ1|1||||||20261123093000+0100||S^STAT^HL70485",
        "OBR|1|PL1^PLACER|FI1^FILLER|CTCHEST^CT of the chest^L^CTLD^Low dose^L||||||||MRSA||||4711^Brown^Bob^^^Dr"
        "||||||||CT||||||WHEL|^Follow-up of a nodule",
        f"IPC|A-100^NORTH|RP100|{STUDY}|SPS1|CT|CTLD^Low dose chest^L|SCANNER1|ROOM2|CT1~CT2",
        f"IPC|A-100^NORTH|RP100|{STUDY}|SPS2|SR|SRDOSE^Dose report^L|SCANNER1|ROOM2|CT1",
    )
)
ORM = "\r".join(
    (
        r"MSH|^~\&|RIS|NORTH|RADSTREAM|NORTH|20261122101500||ORM^O01|M4712|P|2.3.1",
        "PID|||P2^^^NORTH||Roe^Richard||19610203|M",
        "PV1||O|OPD|||||4712^Referrer^Rita",
        "ORC|NW|PL2|FI2|||||1^once^^20261124081500^^A",
        "OBR|1|PL2|FI2|MRHEAD^MR of the head^L||||||||||||||A-200|RP200|SPS200||||MR|||1^once^^20261124081500^^A",
        f"ZDS|{STUDY}^RIS^Application^DICOM",
    )
)


def changed(message: str, control: str, number: str = "M9999") -> str:
    """The same with another order control, as another message."""
    head, *rest = message.split("\r")
    lines = [line.replace("ORC|NW", f"ORC|{control}", 1) if line.startswith("ORC") else line for line in rest]
    fields = head.split("|")
    fields[9] = number
    return "\r".join(("|".join(fields), *lines))
