"""The tables of orders and of performed procedure steps."""

from __future__ import annotations

from consumers.catalog.table import Table, columns

# Facts alone: which command holds depends on what else there is, and views say it.
ORDER_COMMANDS = Table(
    "order_commands",
    ("event_id",),
    columns(
        "event_id tenant order_id record_offset action actor site lane priority stated_uid stated_uid_made block_id "
        "block_state accession_number accession_issuer procedure_id patient_id patient_issuer attributes commanded_at"
    ),
)
SCHEDULED_STEPS = Table(
    "scheduled_steps",
    ("event_id", "place"),
    columns(
        "event_id place tenant order_id modality station_aes start_date start_time block_id block_state step_id "
        "attributes"
    ),
)
MPPS_EVENTS = Table(
    "mpps_events",
    ("event_id",),
    columns(
        "event_id tenant mpps_uid record_offset action status calling_ae modality study_uids series block_id "
        "block_state data_set said_at"
    ),
)
MPPS_SCHEDULED = Table(
    "mpps_scheduled",
    ("event_id", "place"),
    columns("event_id place tenant mpps_uid study_uid accession_number procedure_id step_id"),
)
